package impact

import (
	"strconv"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/bytesize"
)

// count writes "1 point", "16 points".
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

func points(n int) string { return count(n, "recovery point", "recovery points") }

// agree picks the form of the verb that goes with n things.
func agree(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// sizeOf writes how much n points take of which unsized ones have no known size.
func sizeOf(bytes int64, n, unsized int) string {
	switch {
	case n > 0 && unsized == n:
		return "size unknown"
	case unsized > 0:
		return "at least " + bytesize.Text(bytes)
	}
	return bytesize.Text(bytes)
}

// dollars writes an estimate; small ones keep the digits that say something.
func dollars(usd float64) string {
	switch {
	case usd != 0 && usd < 0.01:
		return "under $0.01"
	case usd >= 1000:
		return "$" + strconv.FormatFloat(usd, 'f', 0, 64)
	}
	return "$" + strconv.FormatFloat(usd, 'f', 2, 64)
}

const dateForm = "2 January 2006"

// moments writes days for people, in the time zone of the policy. Two that fall
// on one day get the time of day as well.
type moments struct{ loc *time.Location }

func (m moments) day(t time.Time) string {
	if t.IsZero() {
		return "none"
	}
	return t.In(m.loc).Format(dateForm)
}

func (m moments) pair(a, b time.Time) (string, string) {
	if a.IsZero() || b.IsZero() || a.Equal(b) || m.day(a) != m.day(b) {
		return m.day(a), m.day(b)
	}
	const withTime = dateForm + " 15:04"
	return a.In(m.loc).Format(withTime), b.In(m.loc).Format(withTime)
}

// span writes a length of time for people by its largest units that matter:
// "7 days", "1 day 6 hours", "30 minutes".
func span(d time.Duration) string {
	const day = 24 * time.Hour
	if d < time.Minute {
		return "less than a minute"
	}
	// Backups never start at exactly the same second of the day.
	switch {
	case d >= 2*day:
		d = d.Round(day)
	case d >= 20*time.Hour:
		d = d.Round(time.Hour)
	default:
		d = d.Round(time.Minute)
	}
	var parts []string
	for _, u := range []struct {
		length    time.Duration
		one, many string
	}{{day, "day", "days"}, {time.Hour, "hour", "hours"}, {time.Minute, "minute", "minutes"}} {
		if n := int(d / u.length); n > 0 {
			parts = append(parts, count(n, u.one, u.many))
			d %= u.length
		}
	}
	return strings.Join(parts, " ")
}
