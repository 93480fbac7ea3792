// Package duration is the one way a length of time is written in this product:
// in HCL, flags, policies and job files. Years and months go by the calendar,
// everything else is exact. Values keep the spelling the user chose and are
// compared by meaning.
//
// It is pure: no clock, no I/O. Parsing is in parse.go.
package duration

import (
	"math"
	"time"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// Duration is a number of calendar months (a year is twelve) plus an exact
// length. The zero value is no time at all. Durations are never negative and at
// most 250 years long. Compare with Equal, not with ==, which also compares the
// spelling.
type Duration struct {
	months int64
	exact  time.Duration
	text   string
}

// Of gives the exact duration d, spelled with the largest fitting units.
// Negative d is taken as zero.
func Of(d time.Duration) Duration {
	if d <= 0 {
		return Duration{}
	}
	d = d.Truncate(time.Second)
	return Duration{exact: d, text: spell(0, d)}
}

// String gives the user's own spelling back; "0s" for the zero value.
func (d Duration) String() string {
	if d.text == "" {
		return spell(d.months, d.exact)
	}
	return d.text
}

// Canonical spells the meaning: equal durations have equal canonical
// spellings. 24h gives "1d", 18mo gives "1y6mo", 90m gives "1h30m".
func (d Duration) Canonical() string { return spell(d.months, d.exact) }

// IsZero reports whether d is no time at all. encoding/json's omitzero uses it.
func (d Duration) IsZero() bool { return d.months == 0 && d.exact == 0 }

// Equal reports whether both mean the same: 24h = 1d, 7d = 1w, 12mo = 1y. A
// month is not equal to any number of days.
func (d Duration) Equal(other Duration) bool {
	return d.months == other.months && d.exact == other.exact
}

// Compare orders by Approx: -1 when d is shorter than other, +1 when longer.
// It can be 0 for durations that are not Equal, such as 30d and 1mo.
func (d Duration) Compare(other Duration) int {
	a, b := d.Approx(), other.Approx()
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Approx is the length for ordering and for rough arithmetic: a year counts
// 365 days, each further month 30 days. It cannot overflow.
func (d Duration) Approx() time.Duration {
	return time.Duration(d.months/12)*365*day + time.Duration(d.months%12)*30*day + d.exact
}

// Exact gives the exact length and true when no calendar unit is involved.
func (d Duration) Exact() (time.Duration, bool) { return d.exact, d.months == 0 }

// Months gives the calendar part: years times twelve plus months.
func (d Duration) Months() int { return int(d.months) }

// SubtractFrom gives the moment d before t. Years and months are taken off the
// calendar of loc (UTC when nil), keeping the time of day; when the month
// reached has no such day, its last day is meant: 31 March less 1mo is 28 (or
// 29) February. The exact part is then taken off as elapsed time, so 1d is
// always 24 hours, also on a day when clocks change. A local time that clocks
// skip is moved as time.Date does.
func (d Duration) SubtractFrom(t time.Time, loc *time.Location) time.Time {
	return addMonths(t, -d.months, loc).Add(-d.exact)
}

// AddTo gives the moment d after t, by the same rules as SubtractFrom: 31
// January plus 1mo is 28 (or 29) February.
func (d Duration) AddTo(t time.Time, loc *time.Location) time.Time {
	return addMonths(t, d.months, loc).Add(d.exact)
}

func addMonths(t time.Time, months int64, loc *time.Location) time.Time {
	if loc == nil {
		loc = time.UTC
	}
	t = t.In(loc)
	if months == 0 {
		return t
	}
	y, m, dayOfMonth := t.Date()
	first := time.Date(y, m+time.Month(months), 1, 0, 0, 0, 0, time.UTC)
	y, m, _ = first.Date()
	last := time.Date(y, m+1, 0, 0, 0, 0, 0, time.UTC).Day()
	return time.Date(y, m, min(dayOfMonth, last), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), loc)
}

// MarshalText gives String, so that files keep the user's spelling.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is Parse.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// limitYears bounds a duration so that no arithmetic on it can overflow:
// time.Duration itself ends at 292 years.
const limitYears = 250

var limit = time.Duration(limitYears) * 365 * day

func tooLong(months int64, exact time.Duration) bool {
	if months > limitYears*12 || exact > limit {
		return true
	}
	approx := float64(months)/12*365*float64(day) + float64(exact)
	return approx > float64(limit) || approx > math.MaxInt64
}
