package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
)

// fault is what is wrong with the way of one or more tiers down the waterfall.
type fault struct {
	path  string   // of the attribute
	tiers []string // whose objects cannot go there; nil where tiers do not matter
	text  string   // the rest of a sentence that begins with them
}

func (f fault) error(d Document) error {
	switch {
	case f.tiers == nil:
		return fmt.Errorf("%s: %s", f.path, f.text)
	case len(f.tiers) == len(d.Tiers()):
		return fmt.Errorf("%s: points %s", f.path, f.text)
	}
	return fmt.Errorf("%s: %s points %s", f.path, and(f.tiers), f.text)
}

// checkWaterfalls follows the objects of each tier down the waterfall: strictly
// down, at strictly growing ages, all before the ceiling. Classes, ages and
// tiers are known to be good each for itself.
func (d Document) checkWaterfalls() []error {
	var faults []fault
	for _, tier := range d.Tiers() {
		for _, f := range d.checkWaterfall(tier) {
			i := slices.IndexFunc(faults, func(x fault) bool { return x.path == f.path && x.text == f.text })
			if i < 0 {
				faults = append(faults, f)
			} else if f.tiers != nil {
				faults[i].tiers = append(faults[i].tiers, tier)
			}
		}
	}
	var errs []error
	for _, f := range faults {
		errs = append(errs, f.error(d))
	}
	return errs
}

func (d Document) checkWaterfall(tier string) []fault {
	s := d.Storage
	faults := d.checkBeginning(tier)
	chain := s.transitionIndexes(tier)
	for i, n := range chain {
		t, path := s.Transitions[n], fmt.Sprintf("storage.transitions[%d]", n)
		from, where := s.UploadClass(tier), "are uploaded to "
		fix := d.meantFor(t)
		if i > 0 {
			before := s.Transitions[chain[i-1]]
			if t.After.Equal(before.After) {
				faults = append(faults, fault{path + ".after", []string{tier}, fmt.Sprintf("go to %s at %s too: give the two different ages or different tiers",
					before.Class, before.After)})
				continue
			}
			from, where = before.Class, "are from "+before.After.String()+" in "
			fix = ""
		}
		if fix == "" {
			fix = below(from) + ", or remove the transition"
		}
		switch {
		case from == t.Class:
			faults = append(faults, fault{path + ".class", []string{tier}, where + from + " already: " + fix})
		case !mustParse(from).MovesTo(mustParse(t.Class)):
			faults = append(faults, fault{path + ".class", []string{tier}, where + from + ", and S3 moves no object from there to " + t.Class + ": " + fix})
		}
		if !s.ExpireAfter.IsZero() && t.After.Compare(s.ExpireAfter) >= 0 {
			faults = append(faults, fault{path + ".after", nil, fmt.Sprintf("nothing is left to move at %s, expire_after = %q deletes it before: make it earlier, or remove the transition",
				t.After, s.ExpireAfter)})
		}
	}
	return faults
}

// checkBeginning holds that a tier with a class of its own can get there: a point
// is uploaded under the shortest tier and becomes one of a longer tier later.
func (d Document) checkBeginning(tier string) []fault {
	class, from := d.Storage.Classes.Of(tier), d.Storage.UploadClass(d.uploadTier())
	if class == "" || class == from || mustParse(from).MovesTo(mustParse(class)) {
		return nil
	}
	return []fault{{"storage.classes." + tier, nil, fmt.Sprintf("points are uploaded as %s ones to %s, and S3 moves no object from there to %s: %s, or a higher class for %s points",
		d.uploadTier(), from, class, below(from), d.uploadTier())}}
}

// meantFor says the tiers a transition for every tier was probably meant for: the
// ones that can go there. It is empty when that is none or all.
func (d Document) meantFor(t Transition) string {
	if t.Tiers != nil {
		return ""
	}
	var names []string
	for _, tier := range d.Tiers() {
		if mustParse(d.Storage.UploadClass(tier)).MovesTo(mustParse(t.Class)) {
			names = append(names, `"`+tier+`"`)
		}
	}
	if len(names) == 0 || len(names) == len(d.Tiers()) {
		return ""
	}
	return "name the tiers it is for, tiers = [" + strings.Join(names, ", ") + "]"
}

// below says where objects can still go from a class.
func below(name string) string {
	from := mustParse(name)
	var names []string
	for _, c := range storageclass.All() {
		if from.MovesTo(c) {
			names = append(names, c.Name)
		}
	}
	if len(names) == 0 {
		return "no class is below " + name
	}
	return "give " + strings.Join(names, " or ")
}

// mustParse gives the class of a name that was checked before.
func mustParse(name string) storageclass.Class {
	class, err := storageclass.Parse(name)
	if err != nil {
		panic(err)
	}
	return class
}

// and joins words as a sentence does: "daily", "daily and weekly", "a, b and c".
func and(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
