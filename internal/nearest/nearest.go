// Package nearest finds the valid name a mistyped one was probably meant to be,
// so that every "unknown …" message of the product can end in "did you mean …?".
//
// It knows nothing of where names come from and never decides for the user.
package nearest

import "strings"

// Name returns the entry of valid closest to got and whether it is close enough
// to be worth suggesting: at most a third of the longer of the two names may
// differ (a swap of neighbours counts as one difference), ignoring case and
// the difference between "-", "_" and a space.
// Of several equally close names the first in valid wins.
func Name(got string, valid []string) (string, bool) {
	if got == "" || len(got) > maxLength {
		return "", false
	}
	g := fold(got)
	best, bestDistance := "", -1
	for _, v := range valid {
		f := fold(v)
		d := distance(g, f)
		if d*3 > max(len(g), len(f)) {
			continue
		}
		if bestDistance < 0 || d < bestDistance {
			best, bestDistance = v, d
		}
	}
	return best, bestDistance >= 0
}

// Suggestion is Name as the end of a sentence: `; did you mean "databases"?`
// with a suggestion, otherwise the list of valid names when it is short, or
// nothing at all.
func Suggestion(got string, valid []string) string {
	if name, ok := Name(got, valid); ok {
		return `; did you mean "` + name + `"?`
	}
	if len(valid) == 0 || len(valid) > 12 {
		return ""
	}
	return "; valid are " + strings.Join(valid, ", ")
}

// maxLength bounds the quadratic work a hostile name can cause.
const maxLength = 200

func fold(s string) []rune {
	s = strings.ToLower(s)
	s = strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return '_'
		}
		return r
	}, s)
	return []rune(s)
}

// distance is the optimal string alignment distance: insertions, deletions,
// replacements and swaps of neighbours, each counting one.
func distance(a, b []rune) int {
	previous2 := make([]int, len(b)+1)
	previous := make([]int, len(b)+1)
	current := make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], previous2[j-2]+1)
			}
		}
		previous2, previous, current = previous, current, previous2
	}
	return previous[len(b)]
}
