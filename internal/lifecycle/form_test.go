package lifecycle

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestRulesOfTheOlderFormTakeNoneOfOursBesideThem(t *testing.T) {
	const old = `<Rule><ID>old</ID><Prefix>old/</Prefix><Status>Enabled</Status><Expiration><Days>9</Days></Expiration></Rule>`
	const all = `<Rule><Prefix/><Status>Enabled</Status></Rule>`
	const filter = `<Rule><ID>new</ID><Filter><Prefix>new/</Prefix></Filter><Status>Enabled</Status></Rule>`
	const neither = `<Rule><ID>neither</ID><Status>Enabled</Status></Rule>`
	ours := string(OfRepository("pg", 30, 0)[0].render(""))
	older := strings.NewReplacer("<Filter>", "", "</Filter>", "").Replace(ours)
	for name, c := range map[string]struct {
		rules   string
		refused []string
	}{
		"one of them":                         {old, []string{"old"}},
		"some without a name":                 {all + neither + old, []string{"", "old"}},
		"beside one of ours that goes":        {old + strings.Replace(older, "versions@", "gone@", 1) + ours, nil},
		"where both forms stand already":      {old + filter, nil},
		"where only rules with filters stand": {filter, nil},
		"where no rule says what it is for":   {neither, nil},
		"where the server gave ours the form": {old + older, nil},
	} {
		raw := "<LifecycleConfiguration>" + c.rules + "</LifecycleConfiguration>"
		_, _, err := parse(t, []byte(raw)).Merge(Repository("pg"), OfRepository("pg", 90, 7))
		var mixed *OldFormError
		if errors.As(err, &mixed) != (c.refused != nil) || mixed != nil && !slices.Equal(mixed.Rules, c.refused) {
			t.Errorf("%s: %v", name, err)
		}
		if mixed != nil && (!strings.Contains(err.Error(), `"old"`) || !strings.Contains(err.Error(), "<Filter><Prefix>")) {
			t.Errorf("%s: the error names neither rule nor fix: %v", name, err)
		}
		merge(t, []byte(raw), Repository("pg"), nil) // going is always possible
		if _, changed, err := parse(t, []byte(raw)).Merge(Repository("elsewhere"), nil); changed || err != nil {
			t.Errorf("%s: nothing to do, but changed %t, %v", name, changed, err)
		}
	}
}

func TestARuleTellsWhatItDoes(t *testing.T) {
	rules := OfRepository("pg", 30, 1)
	rules = append(rules, Rule{ID: "moving", Transitions: []Transition{{Days: 90, Class: "GLACIER"}, {Days: 30, Class: "STANDARD_IA"}}})
	for i, want := range []string{
		"pgbackup/repository/versions@" + place("pg") + " (ends non-current versions after 30 days)",
		"pgbackup/repository/uploads@" + place("pg") + " (drops unfinished uploads after 1 day)",
		"moving (moves objects to STANDARD_IA after 30 days and to GLACIER after 90 days)",
	} {
		if got := rules[i].String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
