package lifecycle

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Drift says in sentences how the rules in a bucket differ from the declared
// ones; nothing when they mean the same.
func Drift(declared, found []Rule) []string {
	var sentences []string
	say := func(id, format string, args ...any) {
		sentences = append(sentences, "lifecycle rule "+id+" "+fmt.Sprintf(format, args...))
	}
	seen := map[string]Rule{}
	for _, r := range found {
		if _, twice := seen[r.ID]; twice {
			say(r.ID, "is there twice")
			continue
		}
		seen[r.ID] = r
	}
	for _, want := range declared {
		have, there := seen[want.ID]
		delete(seen, want.ID)
		if !there {
			say(want.ID, "is missing")
			continue
		}
		for _, difference := range want.differences(have) {
			say(want.ID, "%s", difference)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(seen)) {
		say(id, "is not declared any more")
	}
	return sentences
}

// differences say what of r is otherwise in the rule that was found.
func (r Rule) differences(found Rule) []string {
	var all []string
	if found.Disabled {
		all = append(all, "is switched off")
	}
	for _, d := range []struct{ what, want, have string }{
		{"is for keys below", fmt.Sprintf("%q", r.Prefix), fmt.Sprintf("%q", found.Prefix)},
		{"is for objects tagged", tagText(r.Tags), tagText(found.Tags)},
		{"moves objects", transitionText(r.Transitions), transitionText(found.Transitions)},
		{"ends non-current versions", daysText(r.NoncurrentDays), daysText(found.NoncurrentDays)},
		{"drops unfinished uploads", daysText(r.AbortDays), daysText(found.AbortDays)},
	} {
		if d.want != d.have {
			all = append(all, fmt.Sprintf("%s %s, not %s as declared", d.what, d.have, d.want))
		}
	}
	for _, name := range found.Other {
		all = append(all, "has "+name+", which pgbackup never writes")
	}
	return all
}

func tagText(tags map[string]string) string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		all = append(all, key+"="+clip(tags[key]))
	}
	return orElse(all, "with nothing in particular")
}

func transitionText(ts []Transition) string {
	var all []string
	for _, t := range ordered(ts) {
		all = append(all, fmt.Sprintf("to %s %s", clip(t.Class), daysText(t.Days)))
	}
	return orElse(all, "nowhere")
}

func daysText(days int) string {
	switch days {
	case 0:
		return "never"
	case 1:
		return "after 1 day"
	}
	return fmt.Sprintf("after %d days", days)
}

func orElse(all []string, none string) string {
	if len(all) == 0 {
		return none
	}
	return strings.Join(all, " and ")
}
