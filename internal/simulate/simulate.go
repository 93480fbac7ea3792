// Package simulate plays a schedule and the retention rules forward: which of
// the recovery points that will be made are still there after so many days.
//
// It is pure: the moment it begins at is an argument, and what stays is decided
// by package retention, run after run as the runner does. What must not live
// here: points that exist already (package rotate shows what happens to those)
// and how a result is drawn (the faces).
package simulate

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
)

// MaxRuns bounds how many runs are played: half-hourly ones for eleven years.
const MaxRuns = 200_000

// MaxDays bounds Input.Days: a hundred years.
const MaxDays = 36_525

// maxDecisions bounds the work of all rotations together, in points decided
// about: a few seconds of one processor.
const maxDecisions = 10_000_000

// ErrTooMuch is wrapped by the error for more runs, or more points at a time,
// than are played.
var ErrTooMuch = errors.New("too much to play forward")

// Input is a schedule, the rules that apply to what it makes, and for how long.
type Input struct {
	Rules    retention.Rules
	Schedule schedule.Schedule
	From     time.Time // a run at this moment is played
	Days     int       // calendar days in the time zone of the schedule
}

// Result is what is there after the last run.
type Result struct {
	From, Until time.Time // UTC; Until is the first moment that is not played any more
	Runs        int       // recovery points made
	Kept        []Kept    // newest first
	// Skipped are the local times in between at which nothing runs because
	// clocks skip them, written as if in UTC; see schedule.Schedule.Skipped.
	Skipped []time.Time
}

// Kept is a recovery point that is still there, and why.
type Kept struct {
	Start   time.Time // UTC
	Reasons []string  // as retention.Decision has them; read only
	Tier    string    // as retention.Decision has it
}

// Deleted is how many points were made and are gone again.
func (r Result) Deleted() int { return r.Runs - len(r.Kept) }

// Forward begins with an empty repository. Every run makes one logical recovery
// point, verified and complete at once, and a rotation follows it at the same
// moment; the last rotation is that of the last run.
//
// Errors are those of Rules.Validate, a schedule or a number of days that is
// missing, and ErrTooMuch.
func Forward(in Input) (Result, error) {
	if err := in.check(); err != nil {
		return Result{}, err
	}
	result := Result{From: in.From.UTC(), Until: in.From.In(in.Schedule.Location()).AddDate(0, 0, in.Days).UTC()}
	play := player{rules: in.Rules, everyRun: dependsOnEveryRun(in.Rules)}
	for run := range in.Schedule.Between(result.From, result.Until) {
		if result.Runs == MaxRuns {
			return Result{}, fmt.Errorf("%d days of %q: %w: more than %d runs (reached on %s); give fewer days, or a schedule that runs less often",
				in.Days, in.Schedule, ErrTooMuch, MaxRuns, run.Format(time.DateOnly))
		}
		result.Runs++
		if err := play.add(run); err != nil {
			return Result{}, fmt.Errorf("%d days of %q: %w", in.Days, in.Schedule, err)
		}
	}
	result.Kept = play.kept()
	result.Skipped = in.Schedule.Skipped(result.From.Add(-1), result.Until.Add(-1))
	return result, nil
}

func (in Input) check() error {
	switch {
	case in.Schedule.IsZero():
		return errors.New("there is no schedule to play forward")
	case in.Days < 1:
		return fmt.Errorf("%d days: give 1 or more", in.Days)
	case in.Days > MaxDays:
		return fmt.Errorf("%d days: %w; the most is %d, a hundred years", in.Days, ErrTooMuch, MaxDays)
	}
	return in.Rules.Validate()
}

// dependsOnEveryRun reports whether it makes a difference that what an earlier
// rotation deleted is not there for a later one. The counting rules do not mind:
// what they keep in the end they have kept all along. A span or the ceiling
// moves the end of history, and "the oldest point stays" then speaks of the
// oldest that is left.
//
// Example, keep_weekly 5 and expire_after 35d, backups at 1, 2 and 3 o'clock on
// the first of each month. On 1 March the ceiling has taken January, and of 1
// February the backup of 3 o'clock is left: the others went on that day.
// Deciding once on 1 March would keep the one of 1 o'clock too, as the oldest
// point of a history that is shorter than five weeks.
func dependsOnEveryRun(rules retention.Rules) bool {
	for _, f := range rules.Fields() {
		if f.Span != nil && f.Name != "wal" && !f.Span.IsZero() {
			return true
		}
	}
	return !rules.ExpireAfter.IsZero()
}

// player holds the points that are there.
type player struct {
	rules    retention.Rules
	everyRun bool

	points    []retention.Point
	made      int
	rotated   int // points left after the last rotation
	decisions int
	now       time.Time
	plan      retention.Plan // of the last rotation
}

// lazily is how many points gather at least before a rotation that may wait.
const lazily = 1000

// add makes a recovery point and rotates, unless rotating later comes to the
// same.
func (p *player) add(run time.Time) error {
	p.made++
	p.now = run
	p.points = append(p.points, retention.Point{
		ID: strconv.Itoa(p.made), Source: "simulated", Kind: "logical", Start: run, End: run, Verified: true,
	})
	if !p.everyRun && len(p.points) < 2*p.rotated+lazily {
		return nil
	}
	p.decisions += len(p.points)
	if p.decisions > maxDecisions {
		return fmt.Errorf("%w: %d points are there after %d runs, and each run looks at all of them; give fewer days, a schedule that runs less often, or rules that keep less",
			ErrTooMuch, len(p.points), p.made)
	}
	p.rotate()
	return nil
}

func (p *player) rotate() {
	p.plan = retention.Decide(retention.Input{Points: p.points, Rules: p.rules, Now: p.now})
	left := make([]retention.Point, len(p.plan.Keep), len(p.plan.Keep)+1)
	for i, d := range p.plan.Keep {
		left[i] = *d.Point
	}
	p.points, p.rotated = left, len(left)
}

func (p *player) kept() []Kept {
	if !p.everyRun {
		p.rotate()
	}
	kept := make([]Kept, len(p.plan.Keep))
	for i, d := range p.plan.Keep {
		kept[i] = Kept{Start: d.Point.Start, Reasons: d.Reasons, Tier: d.Tier}
	}
	return kept
}
