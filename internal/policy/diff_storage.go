package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
)

// storage compares what is said about the objects. Classes and transitions keep
// no point longer or shorter; the ceiling does.
func (d *differ) storage(a, b Storage) {
	d.text("class", uploadText(a.Class), uploadText(b.Class), none)
	for _, tier := range retention.Tiers() {
		if a.Classes.Of(tier) == "" && b.Classes.Of(tier) == "" {
			continue // it follows storage.class
		}
		if before, after := a.UploadClass(tier), b.UploadClass(tier); before != after {
			d.add("classes."+tier, "storage class of "+tier+" points", before, after, Other)
		}
	}
	for _, class := range storageclass.Names() {
		before, after := transitionsTo(class, a), transitionsTo(class, b)
		if !slices.EqualFunc(before, after, func(x, y tiersAt) bool { return x.after.Equal(y.after) && slices.Equal(x.tiers, y.tiers) }) {
			d.add("transitions", "transition to "+class, transitionText(before), transitionText(after), Other)
		}
	}
	d.ceiling(a.ExpireAfter, b.ExpireAfter)
}

// ceiling compares two expire_after, of which none is the longest.
func (d *differ) ceiling(before, after duration.Duration) {
	down, up := Shorter, Longer
	if before.IsZero() || after.IsZero() {
		down, up = up, down // a ceiling that comes takes away, one that goes gives back
	}
	d.span("expire_after", before, after, down, up)
}

func uploadText(class string) string {
	if class == "" {
		return storageclass.Standard
	}
	return class
}

// tiersAt is an age and the tiers that are moved at it.
type tiersAt struct {
	after duration.Duration
	tiers []string // shortest first
}

// transitionsTo gives by age, youngest first, which tiers are moved to a class:
// the meaning of the transitions, whatever way they are listed.
func transitionsTo(class string, s Storage) []tiersAt {
	var out []tiersAt
	for _, tier := range retention.Tiers() {
		for _, t := range s.TransitionsOf(tier) {
			if t.Class != class {
				continue
			}
			i := slices.IndexFunc(out, func(x tiersAt) bool { return x.after.Equal(t.After) })
			if i < 0 {
				i = len(out)
				out = append(out, tiersAt{after: t.After})
			}
			if !slices.Contains(out[i].tiers, tier) {
				out[i].tiers = append(out[i].tiers, tier)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b tiersAt) int { return a.after.Compare(b.after) })
	return out
}

// transitionText gives "after 90d", or "after 30d (daily), after 90d (monthly,
// yearly)" where tiers differ.
func transitionText(at []tiersAt) string {
	if len(at) == 0 {
		return none
	}
	parts := make([]string, 0, len(at))
	for _, x := range at {
		text := "after " + x.after.String()
		if len(x.tiers) < len(retention.Tiers()) {
			text += fmt.Sprintf(" (%s)", strings.Join(x.tiers, ", "))
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}
