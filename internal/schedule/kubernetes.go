package schedule

import "fmt"

// Kubernetes gives schedule and timeZone of a CronJob; timeZone needs Kubernetes
// 1.27 or newer.
//
// On the two days a year when clocks change Kubernetes follows rules of its own:
// a time that does not exist is skipped, as here, but one that comes twice is
// run twice.
//
// Source: Kubernetes documentation, "CronJob"; its parser is robfig/cron, whose
// week has days 0 to 6, and for which "*/2" restricts like any list.
func (s Schedule) Kubernetes() (schedule, timeZone string, err error) {
	if s.IsZero() {
		return "", "", fmt.Errorf("an empty schedule: %w", ErrNotThere)
	}
	dom, dow, rule := s.days()
	if rule == bothFields {
		return "", "", s.errBothFields("a Kubernetes CronJob")
	}
	return fiveFields(s.minute, s.hour, dom, s.month, dow), s.zone, nil
}

// fiveFields writes sets as every cron reads them. Only a day field that
// restricts nothing begins with "*".
func fiveFields(minute, hour, dom, month, dow set) string {
	return fmt.Sprintf("%s %s %s %s %s", minute.written(0, 59, cronSteps), hour.written(0, 23, cronSteps),
		dom.written(1, 31, noSteps), month.written(1, 12, cronSteps), dow.written(0, 6, noSteps))
}
