package duration

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// unit is one of the units a duration is written in, largest first.
type unit struct {
	name   string
	months int64
	exact  time.Duration
	words  string // other spellings people try, for suggestions only
}

var units = [...]unit{
	{"y", 12, 0, "yr yrs year years"},
	{"mo", 1, 0, "mon mons mth mths month months"},
	{"w", 0, week, "wk wks week weeks"},
	{"d", 0, day, "day days"},
	{"h", 0, time.Hour, "hr hrs hour hours"},
	{"m", 0, time.Minute, "min mins minute minutes"},
	{"s", 0, time.Second, "sec secs second seconds"},
}

// maxText bounds what is parsed and what is quoted back in an error.
const maxText = 64

// Parse reads a duration such as "30d", "24h" or "1y2mo3d": whole numbers with
// the units y, mo, w, d, h, m (minutes) and s, each at most once, the largest
// first. Errors name the fault and, where one can be guessed, the valid form.
func Parse(s string) (Duration, error) {
	months, exact, err := parse(s)
	if err == nil {
		return Duration{months: months, exact: exact, text: s}, nil
	}
	if len(s) > maxText {
		return Duration{}, fmt.Errorf("duration of %d characters: %w", len(s), err)
	}
	if hint, ok := suggest(s); ok {
		return Duration{}, fmt.Errorf("duration %q: %w; did you mean %q?", s, err, hint)
	}
	return Duration{}, fmt.Errorf("duration %q: %w", s, err)
}

// MustParse is Parse for constants in the program; it panics on a bad one.
func MustParse(s string) Duration {
	d, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return d
}

func parse(s string) (months int64, exact time.Duration, err error) {
	if s == "" {
		return 0, 0, fmt.Errorf("is empty: write a number and a unit, such as 30d or 1y6mo")
	}
	if len(s) > maxText {
		return 0, 0, fmt.Errorf("is too long to be a duration")
	}
	if s[0] == '-' {
		return 0, 0, fmt.Errorf("is negative")
	}
	next := 0 // units[next:] may still follow
	for rest := s; rest != ""; {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		if digits == 0 {
			return 0, 0, fmt.Errorf("a number is expected at %q", rest)
		}
		number := rest[:digits]
		rest = rest[digits:]
		if strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, ",") {
			return 0, 0, fmt.Errorf("fractions are not allowed")
		}
		letters := strings.IndexFunc(rest, func(r rune) bool { return r < 'a' || r > 'z' })
		if letters < 0 {
			letters = len(rest)
		}
		name := rest[:letters]
		rest = rest[letters:]
		index := unitIndex(name)
		switch {
		case index < 0 && name == "" && rest == "":
			return 0, 0, fmt.Errorf("%s has no unit", number)
		case index < 0 && name == "":
			return 0, 0, fmt.Errorf("%q is not a unit; units are y, mo, w, d, h, m (minutes) and s", rest)
		case index < 0:
			return 0, 0, fmt.Errorf("%q is not a unit; units are y, mo, w, d, h, m (minutes) and s", name)
		case index < next-1:
			return 0, 0, fmt.Errorf("units go from the largest to the smallest")
		case index == next-1:
			return 0, 0, fmt.Errorf("unit %q is given twice", name)
		}
		next = index + 1
		n, err := strconv.ParseInt(number, 10, 64)
		u := units[index]
		if err != nil || (u.months > 0 && n > limitYears*12/u.months) || (u.exact > 0 && n > int64(limit/u.exact)) {
			return 0, 0, fmt.Errorf("%s%s is longer than %d years", number, name, limitYears)
		}
		months += n * u.months
		part := time.Duration(n) * u.exact
		if exact > limit-part || tooLong(months, exact+part) {
			return 0, 0, fmt.Errorf("is longer than %d years", limitYears)
		}
		exact += part
	}
	return months, exact, nil
}

func unitIndex(name string) int {
	for i, u := range units {
		if u.name == name {
			return i
		}
	}
	return -1
}

// spell writes a meaning in its one canonical form, without weeks: "14d" says
// the same and mixes better ("30d", not "4w2d").
func spell(months int64, exact time.Duration) string {
	if months == 0 && exact == 0 {
		return "0s"
	}
	var b strings.Builder
	for _, u := range units {
		var n int64
		switch {
		case u.months > 0:
			n = months / u.months
			months %= u.months
		case u.name == "w":
			continue
		default:
			n = int64(exact / u.exact)
			exact %= u.exact
		}
		if n > 0 {
			b.WriteString(strconv.FormatInt(n, 10))
			b.WriteString(u.name)
		}
	}
	return b.String()
}

// suggest guesses the valid form of what a user wrote: "7 days" is 7d, "30" is
// 30d, "1.5h" is 1h30m, "30m1h" is 1h30m.
func suggest(s string) (string, bool) {
	s = strings.TrimPrefix(strings.Join(strings.Fields(s), ""), "-")
	s = strings.TrimPrefix(strings.TrimPrefix(s, "P"), "p") // ISO 8601 writes P7D
	var counts [len(units)]float64
	for s != "" {
		digits := len(s) - len(strings.TrimLeft(s, "0123456789."))
		number, err := strconv.ParseFloat(s[:digits], 64)
		if err != nil || number > 1e9 {
			return "", false
		}
		s = s[digits:]
		letters := len(s) - len(strings.TrimLeft(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
		index, ok := unitMeant(s[:letters])
		if !ok {
			return "", false
		}
		counts[index] += number
		s = strings.TrimPrefix(s[letters:], ",")
	}
	months, exact, whole := int64(0), float64(0), true
	var b strings.Builder
	for i, u := range units {
		n := counts[i]
		whole = whole && n == float64(int64(n))
		if n > 0 {
			fmt.Fprintf(&b, "%d%s", int64(n), u.name)
		}
		inMonths := n * float64(u.months)
		if inMonths != float64(int64(inMonths)) {
			return "", false
		}
		months += int64(inMonths)
		exact += n * float64(u.exact)
	}
	if exact > float64(limit) || (months == 0 && exact < float64(time.Second)) || tooLong(months, time.Duration(exact)) {
		return "", false
	}
	if whole {
		return b.String(), true
	}
	return spell(months, time.Duration(exact).Truncate(time.Second)), true
}

func unitMeant(word string) (int, bool) {
	switch word {
	case "":
		word = "d" // a bare number in a backup policy is days
	case "M":
		word = "mo" // for minutes people write a small m
	}
	word = strings.ToLower(word)
	for i, u := range units {
		if u.name == word || slices.Contains(strings.Fields(u.words), word) {
			return i, true
		}
	}
	return 0, false
}
