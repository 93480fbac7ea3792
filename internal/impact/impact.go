// Package impact says what a change of a policy costs: which recovery points
// the new rules lose that the old ones would keep, how far back one can still
// restore, how large the gaps become, what it saves. It says so in numbers, in
// sentences for a reviewer, and in the text of the plan that is stopped; and it
// makes the code by which exactly this loss is approved.
//
// It is pure. What the rules decide about each point comes in (package
// retention decides, package rotate asks it and reads the repository); nothing
// here lists, deletes or knows what time it is.
package impact

import (
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/cost"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// Impact is what a change does to the recovery points there were at a moment.
type Impact struct {
	AsOf     time.Time
	Timezone string  // of the policy: dates in texts are in it; "" is UTC
	Groups   []Group // by source, then kind; those with neither a point before nor after are left out

	Points int   // lost: the next rotation deletes them
	Bytes  int64 // stored bytes of those whose size is known
	// Unsized counts the lost points whose size is not known.
	Unsized int
	// Spared counts the points that the new rules alone would delete, and not
	// the old ones, and that the runner keeps all the same.
	Spared int
	// Waiting counts those of Spared, and windows, that go as soon as what keeps them is
	// put right, such as a manifest that can not be read: they have to be approved
	// like the lost ones.
	Waiting int
	// Windows are since when servers can be recovered to any moment, by source and
	// system; Shortened counts those that lose some of it.
	Windows   []Window
	Shortened int
	Gained    int // points the old rules would delete and the new ones keep
	Due       int // points that go by the old rules and the new: not a loss of this change
	// First: no rules were in force before, so nothing was deleted so far.
	First bool

	Cost    *Cost // nil when no prices were given
	Changes []policy.Change
	// Sentences tell it all in order: one for each change, then the totals.
	Sentences []string
	// Lost names the oldest of the lost points, oldest first, as
	// <source>/<kind>/<id>: at most MaxNamed of them.
	Lost []string
}

// MaxNamed bounds how many lost points are named.
const MaxNamed = 10

// Group is the part of an impact that is about one source and kind.
type Group struct {
	Source, Kind  string
	Before, After int // points kept
	Lost          int
	LostBytes     int64 // of the lost points whose size is known
	Unsized       int   // lost points whose size is not known
	Gained        int
	// The start of the oldest point one can restore from; zero for none.
	OldestBefore, OldestAfter time.Time
	// The longest time between two neighbouring points one can restore from.
	GapBefore, GapAfter time.Duration
}

// Cost is an estimate in US dollars a month, and never a bill.
type Cost struct {
	Before, After float64
	Prices        string // which prices: their region and date
}

// ToApprove is how many points and windows the change loses or shortens, now or later:
// what has to be approved, and what a revision records as its loss.
func (i Impact) ToApprove() int { return i.Points + i.Shortened + i.Waiting }

// Loses reports whether the change has to be approved.
func (i Impact) Loses() bool { return i.ToApprove() > 0 }

// Facts are what an impact is worked out from.
type Facts struct {
	AsOf   time.Time
	Points []Point // every point there was, in any order
	// Windows of the servers whose WAL is archived, by source and system.
	Windows []Window
	Old     *policy.Document // nil when there never was a policy: nothing was deleted so far
	New     policy.Document
	Prices  cost.Table // zero: no cost
}

// Point is one recovery point with what becomes of it.
type Point struct {
	Source, Kind, ID string
	Start            time.Time
	Bytes            int64 // stored; 0 when not known
	// Restorable: one could go back to it. Points found bad, unreadable or dated
	// in the future are not.
	Restorable    bool
	Before, After Fate // under the old and under the new rules
	// Spared is why the runner keeps the point although only the old rules would;
	// "" when it does not.
	Spared string
	// Protected: it stays for good as far as this change goes (another policy
	// keeps it), and not only until something is put right.
	Protected bool
}

// Fate is what rules do with a point.
type Fate struct {
	Kept bool
	By   retention.RuleSet // the rules that keep it
	Tier string            // of a kept point
}

// doomed: the old rules keep the point, the new ones do not.
func (p *Point) doomed() bool { return p.Before.Kept && !p.After.Kept }

// lost: it is doomed and nothing spares it.
func (p *Point) lost() bool { return p.doomed() && p.Spared == "" }

// stays: it is there after the next rotation under the new rules.
func (p *Point) stays() bool { return p.After.Kept || p.doomed() && p.Spared != "" }

func (p *Point) name() string { return p.Source + "/" + p.Kind + "/" + p.ID }
