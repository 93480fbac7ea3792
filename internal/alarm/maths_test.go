package alarm_test

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/alarm"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
)

// history is what was published, by metric: moments and values.
type history map[metric.Name][]sample

type sample struct {
	at    time.Time
	value float64
}

// points is a series over the periods of an evaluation, oldest first; NaN is
// absent. A scalar has one element.
type points []float64

// ringing evaluates an alarm at a moment, as CloudWatch documents it: over the
// periods that end then, with metric math over their statistics.
func ringing(t *testing.T, a alarm.Alarm, h history, now time.Time) (rings bool) {
	t.Helper()
	period := time.Duration(a.Period) * time.Second
	n := a.Periods + 1 // RATE needs the one before; CloudWatch retrieves more than it evaluates
	series := map[string]points{}
	for id, s := range a.Metrics {
		values := make(points, n)
		for i := range values {
			end := now.Add(-time.Duration(n-1-i) * period)
			values[i] = statistic(s.Statistic, h[s.Metric], end.Add(-period), end)
		}
		series[id] = values
	}
	e := &expression{text: a.Expression, series: series, n: n, period: period}
	result := e.sum()
	if e.next() != 0 {
		t.Fatalf("%s: cannot be read from %q on", a.Expression, e.text[e.at:])
	}
	breaching, ok := 0, 0
	for _, v := range result[len(result)-a.Periods:] {
		switch {
		case math.IsNaN(v) && a.Missing == alarm.Breaching:
			breaching++
		case math.IsNaN(v):
		case compare(t, a.Comparison, v, a.Threshold):
			breaching++
		default:
			ok++
		}
	}
	return breaching >= a.ToAlarm
}

func statistic(name string, samples []sample, from, to time.Time) float64 {
	result := math.NaN()
	for _, s := range samples {
		if !s.at.After(from) || s.at.After(to) {
			continue
		}
		switch {
		case math.IsNaN(result):
			result = s.value
		case name == "Sum":
			result += s.value
		case name == "Maximum":
			result = max(result, s.value)
		case name == "Minimum":
			result = min(result, s.value)
		}
	}
	return result
}

func compare(t *testing.T, comparison string, v, threshold float64) bool {
	switch comparison {
	case "LessThanThreshold":
		return v < threshold
	case "GreaterThanThreshold":
		return v > threshold
	case "GreaterThanOrEqualToThreshold":
		return v >= threshold
	}
	t.Fatalf("comparison %q is not known", comparison)
	return false
}

// expression reads the part of metric math that alarms use: + and *, comparisons,
// FILL, IF, RATE, numbers and ids.
type expression struct {
	text   string
	at     int
	series map[string]points
	n      int
	period time.Duration
}

func (e *expression) next() rune {
	for e.at < len(e.text) && e.text[e.at] == ' ' {
		e.at++
	}
	if e.at == len(e.text) {
		return 0
	}
	return rune(e.text[e.at])
}

func (e *expression) take(r rune) {
	if e.next() != r {
		panic(fmt.Sprintf("%s: %q is missing before %q", e.text, r, e.text[e.at:]))
	}
	e.at++
}

func (e *expression) sum() points {
	left := e.product()
	for e.next() == '+' {
		e.take('+')
		left = e.each(left, e.product(), func(a, b float64) float64 { return a + b })
	}
	for _, op := range []string{"<=", ">"} {
		if e.next(); strings.HasPrefix(e.text[e.at:], op) {
			e.at += len(op)
			left = e.each(left, e.product(), func(a, b float64) float64 {
				if op == ">" && a > b || op == "<=" && a <= b {
					return 1
				}
				return 0
			})
		}
	}
	return left
}

func (e *expression) product() points {
	left := e.term()
	for e.next() == '*' {
		e.take('*')
		left = e.each(left, e.term(), func(a, b float64) float64 { return a * b })
	}
	return left
}

func (e *expression) each(a, b points, f func(a, b float64) float64) points {
	out := make(points, e.n)
	for i := range out {
		va, vb := a[i%len(a)], b[i%len(b)]
		if out[i] = math.NaN(); !math.IsNaN(va) && !math.IsNaN(vb) {
			out[i] = f(va, vb)
		}
	}
	return out
}

func (e *expression) word() string {
	e.next()
	from := e.at
	for e.at < len(e.text) && (unicode.IsLetter(rune(e.text[e.at])) || unicode.IsDigit(rune(e.text[e.at])) || e.text[e.at] == '.') {
		e.at++
	}
	return e.text[from:e.at]
}

func (e *expression) term() points {
	name := e.word()
	if value, err := strconv.ParseFloat(name, 64); err == nil {
		return points{value}
	}
	if e.next() != '(' {
		values, ok := e.series[name]
		if !ok {
			panic(fmt.Sprintf("%s: no metric has the id %q", e.text, name))
		}
		return values
	}
	e.take('(')
	defer e.take(')')
	switch name {
	case "FILL":
		values := e.sum()
		e.take(',')
		with := e.word()
		out := append(points(nil), values...)
		for i := range out {
			switch {
			case !math.IsNaN(out[i]):
			case with == "REPEAT" && i > 0:
				out[i] = out[i-1]
			case with != "REPEAT":
				out[i], _ = strconv.ParseFloat(with, 64)
			}
		}
		return out
	case "IF":
		condition := e.sum()
		e.take(',')
		yes := e.sum()
		e.take(',')
		no := e.sum()
		out := make(points, e.n)
		for i := range out {
			switch c := condition[i%len(condition)]; {
			case math.IsNaN(c):
				out[i] = math.NaN()
			case c != 0:
				out[i] = yes[i%len(yes)]
			default:
				out[i] = no[i%len(no)]
			}
		}
		return out
	case "RATE":
		values := e.sum()
		out := make(points, e.n)
		out[0] = math.NaN()
		for i := 1; i < len(out); i++ {
			out[i] = (values[i] - values[i-1]) / e.period.Seconds()
		}
		return out
	}
	panic(fmt.Sprintf("%s: function %s is not known", e.text, name))
}
