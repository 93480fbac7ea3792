package foreign

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// parseStarted reads the date that pg_dump --verbose writes: 2026-03-01 02:00:00 CET.
func parseStarted(text string) (time.Time, string) {
	day, zone := text, ""
	if len(text) > 19 {
		day, zone = text[:19], strings.TrimSpace(text[19:])
	}
	at, err := time.Parse(time.DateTime, day)
	if err != nil {
		return time.Time{}, ""
	}
	from := "the line \"Started on\" of the file"
	switch zone {
	case "", "UTC", "GMT", "Z":
	default:
		for _, layout := range []string{"-07", "-0700", "-07:00"} {
			if offset, err := time.Parse(layout, zone); err == nil {
				_, seconds := offset.Zone()
				return at.Add(-time.Duration(seconds) * time.Second), from
			}
		}
		from += fmt.Sprintf(" (%.20q, taken as UTC)", zone)
	}
	return at, from
}

// inName finds a date in the name of a file: 2026-03-01, 20260301, each perhaps
// with a time behind it.
var inName = regexp.MustCompile(`(?:^|\D)(20\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])(?:[-_T .]{0,2}([01]\d|2[0-3])[-_:.]?([0-5]\d)(?:[-_:.]?([0-5]\d))?)?(?:\D|$)`)

// dateInName is the date that a file's name carries, zero when there is none.
func dateInName(name string) time.Time {
	m := inName.FindStringSubmatch(name)
	if m == nil {
		return time.Time{}
	}
	layout, text := "20060102", m[1]+m[2]+m[3]
	for i, part := range []string{"15", "04", "05"} {
		if m[4+i] != "" {
			layout, text = layout+part, text+m[4+i]
		}
	}
	at, err := time.Parse(layout, text)
	if err != nil {
		return time.Time{} // such as the 31st of February
	}
	return at
}

// ByModified is what Date names when nothing but the file's own time is known: that
// of a copy is often when it was copied.
const ByModified = "the time the file was last changed"

// Date is when the dump of a source was made, and who says so: the dump itself,
// its name, or the time its file was last changed. All are taken as UTC where they
// do not say.
func (f *Facts) Date(source *Source) (at time.Time, from string) {
	if !f.Created.IsZero() {
		return f.Created, f.CreatedFrom
	}
	if at := dateInName(source.Base); !at.IsZero() {
		return at, "the name of the file (taken as UTC)"
	}
	if !source.Modified.IsZero() {
		return source.Modified.UTC(), ByModified
	}
	return time.Time{}, ""
}
