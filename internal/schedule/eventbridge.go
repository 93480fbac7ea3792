package schedule

import "fmt"

// maxEventBridge is the most characters Scheduler takes as an expression.
const maxEventBridge = 256

// EventBridge gives the expression and the time zone of a schedule in Amazon
// EventBridge Scheduler: cron(minutes hours day-of-month month day-of-week
// year), where one of the day fields is "?" and Sunday is day 1 of the week.
//
// It is the same schedule also when clocks change: Scheduler skips a time that
// does not exist, and runs once at one that comes twice. Days of the month and
// days of the week together cannot be said in one expression: the error wraps
// ErrNotThere and says what to write instead.
//
// Source: EventBridge Scheduler User Guide, "Schedule types".
func (s Schedule) EventBridge() (expression, timezone string, err error) {
	const where = "EventBridge Scheduler"
	if s.IsZero() {
		return "", "", fmt.Errorf("an empty schedule: %w", ErrNotThere)
	}
	dom, dow, rule := s.days()
	days, weekdays := dom.written(1, 31, noSteps), "?"
	switch {
	case rule == eitherDay:
		return "", "", fmt.Errorf("schedule %q for %s: days of the month or days of the week in one expression: %w; make two schedules of it, %q and %q",
			s.expr, where, ErrNotThere, s.withDays(s.canonical[2], "*"), s.withDays("*", s.canonical[4]))
	case rule == bothFields:
		return "", "", s.errBothFields(where)
	case dow != allWeekdays:
		days, weekdays = "?", (dow<<1).written(1, 7, noSteps)
	}
	expression = fmt.Sprintf("cron(%s %s %s %s %s *)", s.minute.written(0, 59, openSteps), s.hour.written(0, 23, openSteps),
		days, s.month.written(1, 12, noSteps), weekdays)
	if len(expression) > maxEventBridge {
		return "", "", fmt.Errorf("schedule %q for %s: its expression has %d characters, at most %d are taken: %w; make two schedules of it",
			s.expr, where, len(expression), maxEventBridge, ErrNotThere)
	}
	return expression, s.zone, nil
}

// withDays is the canonical expression with other day fields.
func (s Schedule) withDays(dom, dow string) string {
	return fmt.Sprintf("%s %s %s %s %s", s.canonical[0], s.canonical[1], dom, s.canonical[3], dow)
}
