package policy

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
)

// maxTransitions is far above what a waterfall of seven classes and five tiers
// can use: it bounds the work a hostile document causes.
const maxTransitions = 100

// validateStorage reports everything about the storage block that S3 could not
// do, each with the path of the attribute. The ceiling against the keep rules is
// retention's to check.
func (d Document) validateStorage() error {
	s := d.Storage
	if len(s.Transitions) > maxTransitions {
		return fmt.Errorf("storage.transitions: %d of them, at most %d can be meant", len(s.Transitions), maxTransitions)
	}
	var errs []error
	report := func(path string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
		}
	}
	if s.Class != "" {
		_, err := storageclass.Parse(s.Class)
		report("storage.class", err)
	}
	for _, f := range s.Classes.fields() {
		if f.class != "" {
			_, err := storageclass.Parse(f.class)
			report("storage.classes."+f.tier, err)
			report("storage.classes."+f.tier, d.checkTier(f.tier))
		}
	}
	for i, t := range s.Transitions {
		path := fmt.Sprintf("storage.transitions[%d]", i)
		report(path+".after", checkDays(t.After))
		report(path+".class", checkTarget(t.Class))
		d.checkTiers(path+".tiers", t.Tiers, report)
	}
	if len(errs) == 0 { // only then is it worth looking how they go together
		errs = d.checkWaterfalls()
	}
	return errors.Join(errs...)
}

// checkDays holds that a transition is at a whole number of days, the only unit
// of an S3 lifecycle rule.
func checkDays(after duration.Duration) error {
	const day = 24 * time.Hour
	days := max(1, (after.Approx()+day/2)/day)
	exact, ok := after.Exact()
	switch {
	case after.IsZero():
		return errors.New("must be at least 1d: give an age in days, such as 90d; for a class from the beginning set storage.class")
	case !ok:
		return fmt.Errorf("%s has no fixed number of days, and S3 counts in days: write %dd", after, days)
	case exact%day != 0:
		return fmt.Errorf("%s is not a whole number of days, and S3 counts in days: write %dd", after, days)
	}
	return nil
}

func checkTarget(name string) error {
	class, err := storageclass.Parse(name)
	if err == nil && class.Rank == 0 {
		return fmt.Errorf("S3 moves no object to %s: give a class below it, such as %s, or remove the transition", name, storageclass.StandardIA)
	}
	return err
}

// checkTiers holds that a list of tiers names some, each once; nil is every tier.
func (d Document) checkTiers(path string, tiers []string, report func(path string, err error)) {
	switch all := retention.Tiers(); {
	case tiers == nil:
		return
	case len(tiers) == 0:
		report(path, errors.New("names no tier: leave it out for every tier, or remove the transition"))
	case len(tiers) > len(all):
		report(path, fmt.Errorf("names %d tiers and there are %d: leave it out for every tier", len(tiers), len(all)))
		return
	}
	for i, tier := range tiers {
		place := fmt.Sprintf("%s[%d]", path, i)
		report(place, d.checkTier(tier))
		if slices.Index(tiers, tier) < i {
			report(place, fmt.Errorf("%q is given twice: remove one", clip(tier)))
		}
	}
}

// checkTier holds that a tier exists and that a rule of the policy can produce
// it: what is said of any other would never happen.
func (d Document) checkTier(tier string) error {
	if !slices.Contains(retention.Tiers(), tier) {
		return fmt.Errorf("unknown tier %q%s", clip(tier), nearest.Suggestion(tier, retention.Tiers()))
	}
	if has := d.Tiers(); !d.Retention.IsZero() && !slices.Contains(has, tier) {
		return fmt.Errorf("no point is ever %s under these rules, which make points %s: add keep_%s, or remove this", tier, and(has), tier)
	}
	return nil
}
