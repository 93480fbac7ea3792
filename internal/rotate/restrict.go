package rotate

import (
	"fmt"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// Restriction is a second set of rules: a point goes only when they delete it too.
type Restriction struct {
	Rules retention.Rules
	Why   string // the reason of the points they keep, a sentence without a full stop

	fix string // what to do about it
}

// restricted names the points of a source that stay for a restriction.
type restricted struct {
	source string
	by     *Restriction
}

// restrict keeps what the rules delete and a restriction does not.
func (o *Outcome) restrict(listed []repo.Listed, restrictions []Restriction, now time.Time, known archives) {
	for i := range restrictions {
		r := &restrictions[i]
		if len(o.Delete) == 0 {
			return
		}
		kept := fatesUnder(listed, r.Rules, now, known)
		o.spareIf(keptForNow, func(d Decision) string {
			if !kept[d.ref].Kept {
				return ""
			}
			o.restricted[restricted{d.Source, r}]++
			return r.Why
		})
	}
}

// restrictedWarnings tells of what stays although the policy would delete it.
func (o Outcome) restrictedWarnings() []string {
	points := map[*Restriction]int{}
	for r, n := range o.restricted {
		points[r.by] += n
	}
	var texts []string
	for r, n := range points {
		noun, verb := "recovery points", "stay"
		if n == 1 {
			noun, verb = "recovery point", "stays"
		}
		text := fmt.Sprintf("%s: %d %s %s that the policy would delete", r.Why, n, noun, verb)
		if r.fix != "" {
			text += "; " + r.fix
		}
		texts = append(texts, text)
	}
	slices.Sort(texts)
	return texts
}
