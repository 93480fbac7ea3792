package policy

import (
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
)

// Storage is what a policy says about the stored objects themselves.
type Storage struct {
	// Class is the S3 storage class objects begin in; "" is STANDARD.
	Class string `json:"class,omitempty"`
	// Classes are exceptions from Class by tier.
	Classes TierClasses `json:"classes,omitzero"`
	// Transitions move objects down to cheaper classes as they age. Their order
	// has no meaning.
	Transitions []Transition `json:"transitions,omitempty"`
	// ExpireAfter is the age no point grows beyond, except the newest verified.
	ExpireAfter duration.Duration `json:"expire_after,omitzero"`
}

// IsZero reports whether nothing is said, so that an empty list of transitions
// is written as nothing and not as an empty block.
func (s Storage) IsZero() bool {
	return s.Class == "" && s.Classes == TierClasses{} && len(s.Transitions) == 0 && s.ExpireAfter.IsZero()
}

// TierClasses names a storage class for each tier; "" leaves the tier to
// Storage.Class.
type TierClasses struct {
	Hourly  string `json:"hourly,omitempty"`
	Daily   string `json:"daily,omitempty"`
	Weekly  string `json:"weekly,omitempty"`
	Monthly string `json:"monthly,omitempty"`
	Yearly  string `json:"yearly,omitempty"`
}

// Transition moves objects to a class at an age.
type Transition struct {
	// After is the age, a whole number of days: S3 knows no other unit.
	After duration.Duration `json:"after"`
	Class string            `json:"class"`
	// Tiers names the tiers it is for; nil is every tier.
	Tiers []string `json:"tiers,omitempty"`
}

// Days gives the age at which the transition happens, in days.
func (t Transition) Days() int {
	exact, _ := t.After.Exact()
	return int(exact / (24 * time.Hour))
}

// IsFor reports whether the transition moves objects of a tier.
func (t Transition) IsFor(tier string) bool {
	return t.Tiers == nil || slices.Contains(t.Tiers, tier)
}

// Of gives the class named for a tier, "" for none.
func (c TierClasses) Of(tier string) string {
	for _, f := range c.fields() {
		if f.tier == tier {
			return f.class
		}
	}
	return ""
}

type tierClass struct{ tier, class string }

// fields lists the classes by tier, shortest tier first.
func (c TierClasses) fields() []tierClass {
	return []tierClass{
		{retention.TierHourly, c.Hourly}, {retention.TierDaily, c.Daily}, {retention.TierWeekly, c.Weekly},
		{retention.TierMonthly, c.Monthly}, {retention.TierYearly, c.Yearly},
	}
}

// UploadClass gives the storage class the objects of a tier begin in.
func (s Storage) UploadClass(tier string) string {
	if class := s.Classes.Of(tier); class != "" {
		return class
	}
	if s.Class != "" {
		return s.Class
	}
	return storageclass.Standard
}

// TransitionsOf gives the transitions of a tier, youngest age first.
func (s Storage) TransitionsOf(tier string) []Transition {
	var of []Transition
	for _, i := range s.transitionIndexes(tier) {
		of = append(of, s.Transitions[i])
	}
	return of
}

// transitionIndexes gives the places of the transitions of a tier in the list,
// youngest age first.
func (s Storage) transitionIndexes(tier string) []int {
	var of []int
	for i, t := range s.Transitions {
		if t.IsFor(tier) {
			of = append(of, i)
		}
	}
	slices.SortStableFunc(of, func(a, b int) int { return s.Transitions[a].After.Compare(s.Transitions[b].After) })
	return of
}

// ClassAt gives the storage class objects of a tier are in at an age, as far as
// the policy decides it: S3 moves them within a day or two of their age, and
// leaves those under 128 KiB where they are.
func (s Storage) ClassAt(tier string, age time.Duration) string {
	class := s.UploadClass(tier)
	for _, t := range s.TransitionsOf(tier) {
		if t.After.Approx() > age {
			break
		}
		class = t.Class
	}
	return class
}
