package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrNotThere is wrapped by the error for a schedule that another scheduler has
// no words for.
var ErrNotThere = errors.New("cannot be said there")

// Canonical gives the five fields in the words every cron understands: @daily
// spelled out, numbers instead of names, "5-59/15" instead of "5/15". The time
// zone is not in it.
func (s Schedule) Canonical() string {
	if s.IsZero() {
		return ""
	}
	return strings.Join(s.canonical[:], " ")
}

// Crontab gives the five fields for the crontab of a host whose cron runs in
// the time zone host (nil is UTC).
//
// A crontab has no time zone of its own: cronie reads CRON_TZ, the cron of
// Debian and busybox silently ignore it, so it is never written. A schedule in
// another zone than the host's is therefore an error that wraps ErrNotThere,
// unless it runs at the same minutes of every hour and both zones are whole
// hours from UTC.
//
// On the two days a year when clocks change, cron follows its own rules: most
// run a skipped job right after the change.
func (s Schedule) Crontab(host *time.Location) (string, error) {
	if s.IsZero() {
		return "", fmt.Errorf("an empty schedule: %w", ErrNotThere)
	}
	if host == nil {
		host = time.UTC
	}
	if sameZone(s.zone, host.String()) || (s.everyHour() && wholeHours(s.loc) && wholeHours(host)) {
		return s.Canonical(), nil
	}
	return "", fmt.Errorf("schedule %q in %s as a crontab line of a host in %s: cron knows no time zone but the host's: %w; use a systemd timer, or give timezone = %q and the hours as seen there",
		s.expr, s.zone, host, ErrNotThere, host)
}

func (s Schedule) everyHour() bool {
	return s.hour == fullSet(0, 23) && s.dom == fullSet(1, 31) && s.month == fullSet(1, 12) && s.dow == fullSet(0, 6)
}

// wholeHours reports whether the clocks of a zone, in winter and in summer,
// show the minute UTC shows. The years are those schedules are made for.
func wholeHours(loc *time.Location) bool {
	for _, month := range []time.Month{time.January, time.July} {
		if _, offset := time.Date(2026, month, 1, 0, 0, 0, 0, time.UTC).In(loc).Zone(); offset%3600 != 0 {
			return false
		}
	}
	return true
}

func sameZone(a, b string) bool { return a == b || (isUTC(a) && isUTC(b)) }

func isUTC(name string) bool {
	switch name {
	case "UTC", "Etc/UTC", "Etc/UCT", "UCT", "Zulu", "Etc/Zulu", "Universal", "Etc/Universal":
		return true
	}
	return false
}
