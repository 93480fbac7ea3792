package schedule_test

import (
	"strconv"
	"strings"
	"time"
)

// reading is how another scheduler reads an expression, written down from its
// documentation without a line of the package under test: which values of each
// field match, asked minute by minute.
type reading struct {
	minute, hour, month, dom, dow [64]bool
	either                        bool // one matching day field is enough
}

type fataler interface{ Fatalf(string, ...any) }

// readEventBridge reads cron(minutes hours dom month dow year).
func readEventBridge(t fataler, expression string) reading {
	inside, ok := strings.CutPrefix(strings.TrimSuffix(expression, ")"), "cron(")
	f := strings.Fields(inside)
	if !ok || len(f) != 6 || f[5] != "*" || len(expression) > 256 {
		t.Fatalf("%q is no expression of EventBridge", expression)
	}
	if (f[2] == "?") == (f[4] == "?") {
		t.Fatalf("%q: exactly one of the day fields has to be ?", expression)
	}
	r := timeOfDay(t, f)
	r.dom, r.dow = values(t, strings.Replace(f[2], "?", "*", 1), 1, 31), [64]bool{}
	for day, runs := range values(t, strings.Replace(f[4], "?", "*", 1), 1, 7) {
		if runs {
			r.dow[day-1] = true // Sunday is 1
		}
	}
	return r
}

// readCron reads five fields as robfig/cron does, which Kubernetes uses, and as
// POSIX has it: two restricted day fields mean either.
func readCron(t fataler, expression string) reading {
	f := strings.Fields(expression)
	if len(f) != 5 {
		t.Fatalf("%q has not five fields", expression)
	}
	r := timeOfDay(t, f)
	r.dom, r.dow, r.either = values(t, f[2], 1, 31), values(t, f[4], 0, 6), f[2] != "*" && f[4] != "*"
	return r
}

func timeOfDay(t fataler, f []string) reading {
	return reading{minute: values(t, f[0], 0, 59), hour: values(t, f[1], 0, 23), month: values(t, f[3], 1, 12)}
}

// values reads a field.
func values(t fataler, field string, low, high int) (set [64]bool) {
	for item := range strings.SplitSeq(field, ",") {
		span, step, stepped := strings.Cut(item, "/")
		from, to, ranged := strings.Cut(span, "-")
		a, b, n := low, high, 1
		if span != "*" {
			a = number(t, field, from, low, high)
			switch {
			case ranged:
				b = number(t, field, to, a, high)
			case !stepped:
				b = a
			}
		}
		if stepped {
			n = number(t, field, step, 1, high)
		}
		for v := a; v <= b; v += n {
			set[v] = true
		}
	}
	return set
}

func number(t fataler, field, text string, low, high int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		t.Fatalf("field %q: %q is not from %d to %d", field, text, low, high)
	}
	return n
}

func (r *reading) matches(at time.Time) bool {
	dom, dow := r.dom[at.Day()], r.dow[at.Weekday()]
	return r.minute[at.Minute()] && r.hour[at.Hour()] && r.month[at.Month()] && (dom && dow || r.either && (dom || dow))
}

// scan asks at every minute of a span. A local time that comes twice counts the
// first time only, unless again is set.
func (r reading) scan(t fataler, zone string, from time.Time, again bool) []time.Time {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatalf("%v", err)
	}
	var runs []time.Time
	shown := map[string]bool{} // what clocks have shown so far
	for at := from; at.Before(from.Add(span)); at = at.Add(time.Minute) {
		local := at.In(loc)
		if !r.matches(local) {
			continue
		}
		face := local.Format("2006-01-02 15:04")
		if again || !shown[face] {
			runs = append(runs, at)
		}
		shown[face] = true
	}
	return runs
}
