package rds

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	day       = 24 * time.Hour
	week      = 7 * day
	minWindow = 30 * time.Minute
)

var weekdays = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// span is from one moment of a week to another, which may lie in the next one.
type span struct{ from, length time.Duration }

func (s span) overlaps(o span) bool {
	for _, shift := range []time.Duration{-week, 0, week} {
		if s.from+shift < o.from+o.length && o.from < s.from+shift+s.length {
			return true
		}
	}
	return false
}

// CheckBackupWindow holds that a window of automated backups has the form
// hh24:mi-hh24:mi and lasts half an hour or more.
func CheckBackupWindow(window string) error {
	_, err := backupWindow(window)
	return err
}

// CheckWindows holds that a backup window does not touch a maintenance window
// (ddd:hh24:mi-ddd:hh24:mi) on any day of the week: RDS refuses that.
//
//	23:30-00:30 and mon:00:15-mon:01:15 touch on the night to Monday
func CheckWindows(backup, maintenance string) error {
	daily, err := backupWindow(backup)
	if err != nil || maintenance == "" {
		return err
	}
	kept, err := maintenanceWindow(maintenance)
	if err != nil {
		return err
	}
	for d := range time.Duration(7) {
		if (span{daily.from + d*day, daily.length}).overlaps(kept) {
			return fmt.Errorf("the backup window %s overlaps the maintenance window %s: RDS wants them apart; both are in UTC", backup, maintenance)
		}
	}
	return nil
}

func backupWindow(window string) (span, error) {
	from, to, ok := strings.Cut(window, "-")
	start, errFrom := clock(from)
	end, errTo := clock(to)
	if !ok || errFrom != nil || errTo != nil {
		return span{}, fmt.Errorf("%.40q is no backup window: write it in UTC as 02:00-03:00", window)
	}
	length := (end - start + day) % day
	if length < minWindow {
		return span{}, fmt.Errorf("the backup window %s lasts %s: RDS wants 30 minutes or more", window, length)
	}
	return span{start, length}, nil
}

func maintenanceWindow(window string) (span, error) {
	from, to, ok := strings.Cut(window, "-")
	start, errFrom := moment(from)
	end, errTo := moment(to)
	if !ok || errFrom != nil || errTo != nil {
		return span{}, fmt.Errorf("%.40q is no maintenance window: they look like sun:04:00-sun:05:00, in UTC", window)
	}
	return span{start, (end - start + week) % week}, nil
}

func moment(text string) (time.Duration, error) {
	name, rest, _ := strings.Cut(text, ":")
	for i, d := range weekdays {
		if d == strings.ToLower(name) {
			at, err := clock(rest)
			return time.Duration(i)*day + at, err
		}
	}
	return 0, errors.New("no day")
}

func clock(text string) (time.Duration, error) {
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, errors.New("no time of day")
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, nil
}
