package retention

import (
	"errors"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
)

// All as a count keeps every period a rule distinguishes.
const All = -1

// Keep holds the rules a user writes under `retention`. A point stays when any
// of them keeps it. Zero values are rules not given.
type Keep struct {
	KeepLast    int `json:"keep_last,omitempty"`
	KeepHourly  int `json:"keep_hourly,omitempty"`
	KeepDaily   int `json:"keep_daily,omitempty"`
	KeepWeekly  int `json:"keep_weekly,omitempty"`
	KeepMonthly int `json:"keep_monthly,omitempty"`
	KeepYearly  int `json:"keep_yearly,omitempty"`

	KeepWithin        duration.Duration `json:"keep_within,omitzero"`
	KeepWithinHourly  duration.Duration `json:"keep_within_hourly,omitzero"`
	KeepWithinDaily   duration.Duration `json:"keep_within_daily,omitzero"`
	KeepWithinWeekly  duration.Duration `json:"keep_within_weekly,omitzero"`
	KeepWithinMonthly duration.Duration `json:"keep_within_monthly,omitzero"`
	KeepWithinYearly  duration.Duration `json:"keep_within_yearly,omitzero"`

	// WAL keeps point-in-time recovery possible over this span.
	WAL duration.Duration `json:"wal,omitzero"`
}

// Rules are the keep rules with what surrounds them.
type Rules struct {
	Keep
	// ExpireAfter is the ceiling: no point older than this stays, whatever a
	// keep rule says, except the ones Decide never deletes. Zero is no ceiling.
	ExpireAfter duration.Duration
	// Location decides where days, weeks, months and years begin. Nil is UTC.
	Location *time.Location
}

// Field is one keep rule with its name as in HCL and JSON; exactly one of Count
// and Span is set. It lets flags, attributes and diffs be made from one table.
type Field struct {
	Name  string
	Help  string // one line, for flags and documentation
	Count *int
	Span  *duration.Duration
}

// Fields lists every keep rule of k, pointing into it, in the order of the
// documentation.
func (k *Keep) Fields() []Field {
	return []Field{
		{Name: "keep_last", Help: "keep the newest n points", Count: &k.KeepLast},
		{Name: "keep_hourly", Help: "keep the newest point of each of the last n hours that have one", Count: &k.KeepHourly},
		{Name: "keep_daily", Help: "keep the newest point of each of the last n days that have one", Count: &k.KeepDaily},
		{Name: "keep_weekly", Help: "keep the newest point of each of the last n ISO weeks that have one", Count: &k.KeepWeekly},
		{Name: "keep_monthly", Help: "keep the newest point of each of the last n months that have one", Count: &k.KeepMonthly},
		{Name: "keep_yearly", Help: "keep the newest point of each of the last n years that have one", Count: &k.KeepYearly},
		{Name: "keep_within", Help: "keep every point within this time of the newest point", Span: &k.KeepWithin},
		{Name: "keep_within_hourly", Help: "keep hourly points within this time of the newest point", Span: &k.KeepWithinHourly},
		{Name: "keep_within_daily", Help: "keep daily points within this time of the newest point", Span: &k.KeepWithinDaily},
		{Name: "keep_within_weekly", Help: "keep weekly points within this time of the newest point", Span: &k.KeepWithinWeekly},
		{Name: "keep_within_monthly", Help: "keep monthly points within this time of the newest point", Span: &k.KeepWithinMonthly},
		{Name: "keep_within_yearly", Help: "keep yearly points within this time of the newest point", Span: &k.KeepWithinYearly},
		{Name: "wal", Help: "keep what point-in-time recovery needs over this time", Span: &k.WAL},
	}
}

// IsZero reports whether no rule is given.
func (k Keep) IsZero() bool {
	for _, f := range k.Fields() {
		if f.set() {
			return false
		}
	}
	return true
}

func (f Field) set() bool {
	if f.Count != nil {
		return *f.Count != 0
	}
	return !f.Span.IsZero()
}

// Value gives the rule as a user writes it: "30", "all", "7d", or "off" for a
// rule that is not given.
func (f Field) Value() string {
	switch {
	case !f.set():
		return "off"
	case f.Span != nil:
		return f.Span.String()
	case *f.Count == All:
		return "all"
	}
	return fmt.Sprint(*f.Count)
}

// maxCount bounds a count so that no product with a period can overflow.
const maxCount = 1_000_000

// Validate reports everything wrong with the rules at once: each error names
// the field as in HCL and says what to write instead.
func (r Rules) Validate() error {
	var errs []error
	if r.IsZero() {
		errs = append(errs, errors.New("retention keeps nothing: give at least one of keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly, keep_within… or wal"))
	}
	for _, f := range r.Fields() {
		if f.Count == nil {
			continue
		}
		switch n := *f.Count; {
		case n < All:
			errs = append(errs, fmt.Errorf("%s is %d: give a number of points, -1 for all, or leave it out", f.Name, n))
		case n > maxCount:
			errs = append(errs, fmt.Errorf("%s is %d: more than %d cannot be meant, write -1 for all", f.Name, n, maxCount))
		case n == All && !r.ExpireAfter.IsZero():
			errs = append(errs, fmt.Errorf("%s = -1 keeps for ever what expire_after = %q would delete: give %s a number, or leave expire_after out", f.Name, r.ExpireAfter, f.Name))
		}
	}
	if len(errs) == 0 {
		errs = append(errs, r.validateCeiling())
	}
	return errors.Join(errs...)
}

// validateCeiling holds that expire_after is not shorter than the longest rule.
// A count reaches as many periods back as it says: keep_yearly = 7 is 7 years,
// and years count 365 days here, so 2555d is just enough.
func (r Rules) validateCeiling() error {
	if r.ExpireAfter.IsZero() {
		return nil
	}
	longest, longestName := duration.Duration{}, ""
	for _, f := range r.Fields() {
		if reach := f.reach(); reach.Compare(longest) > 0 {
			longest, longestName = reach, f.Name
		}
	}
	if r.ExpireAfter.Compare(longest) < 0 {
		return fmt.Errorf("expire_after = %q is shorter than %s, which reaches back %s: make expire_after at least %q, or the rule shorter",
			r.ExpireAfter, longestName, longest, longest)
	}
	return nil
}

// reach is how far back a rule keeps when backups are regular; zero for
// keep_last, which has no length in time.
func (f Field) reach() duration.Duration {
	if f.Span != nil {
		return *f.Span
	}
	unit := map[string]string{"keep_hourly": "h", "keep_daily": "d", "keep_weekly": "w", "keep_monthly": "mo", "keep_yearly": "y"}[f.Name]
	if unit == "" || *f.Count <= 0 {
		return duration.Duration{}
	}
	d, err := duration.Parse(fmt.Sprintf("%d%s", *f.Count, unit))
	if err != nil {
		return duration.MustParse("250y") // further back than a duration can say
	}
	return d
}
