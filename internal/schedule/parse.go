package schedule

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/timezone"
)

// field describes one of the five fields.
type field struct {
	name     string
	min, max int
	names    []string // of min, min+1, …
}

var fields = [5]field{
	{name: "minute", min: 0, max: 59},
	{name: "hour", min: 0, max: 23},
	{name: "day of month", min: 1, max: 31},
	{name: "month", min: 1, max: 12, names: strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec")},
	{name: "day of week", min: 0, max: 7, names: strings.Fields("sun mon tue wed thu fri sat")},
}

var shorthands = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

var shorthandNames = strings.Fields("@yearly @annually @monthly @weekly @daily @midnight @hourly")

// maxExpression bounds what is parsed and quoted back in an error.
const maxExpression = 256

// Parse reads a cron expression of five fields (minute, hour, day of month,
// month, day of week) or one of @hourly, @daily, @midnight, @weekly, @monthly,
// @yearly and @annually, in an IANA time zone ("" is UTC).
//
// A field is a list, by commas, of values, ranges a-b, and steps */n, a-b/n or
// a/n (from a to the end). Months and week days may be named by their first
// three letters. Day of week 0 and 7 are both Sunday. Ranges may not run
// backwards. When day of month and day of week are both restricted, a day that
// matches either is meant, as in every cron.
//
// Errors name the field, what is wrong with it, and the nearest valid value. An
// expression that never comes true, such as 30 February, is an error.
func Parse(expr, tz string) (Schedule, error) {
	loc, err := timezone.Load(tz)
	if err != nil {
		return Schedule{}, err
	}
	s := Schedule{expr: expr, zone: loc.String(), loc: loc}
	if err := s.parse(expr); err != nil {
		if len(expr) > maxExpression {
			return Schedule{}, fmt.Errorf("cron expression of %d characters: %w", len(expr), err)
		}
		return Schedule{}, fmt.Errorf("cron expression %q: %w", expr, err)
	}
	return s, nil
}

func (s *Schedule) parse(expr string) error {
	if len(expr) > maxExpression {
		return fmt.Errorf("is longer than %d characters", maxExpression)
	}
	parts := strings.Fields(expr)
	if len(parts) == 1 && strings.HasPrefix(parts[0], "@") {
		long, ok := shorthands[strings.ToLower(parts[0])]
		if !ok {
			return fmt.Errorf("unknown shorthand %s%s", parts[0], nearest.Suggestion(parts[0], shorthandNames))
		}
		parts = strings.Fields(long)
	}
	if len(parts) > 0 && (strings.HasPrefix(parts[0], "CRON_TZ=") || strings.HasPrefix(parts[0], "TZ=")) {
		return fmt.Errorf("the time zone goes into timezone, not into the expression")
	}
	if len(parts) > 0 && (strings.HasPrefix(parts[0], "cron(") || strings.HasPrefix(parts[0], "rate(")) {
		return fmt.Errorf("is an expression of EventBridge: give five fields without brackets, such as \"0 2 * * *\"")
	}
	if len(parts) != len(fields) {
		return fmt.Errorf("has %d fields, five are needed: minute, hour, day of month, month, day of week (such as \"0 2 * * *\")%s",
			len(parts), extraFieldHint(parts))
	}
	for i, target := range []*set{&s.minute, &s.hour, &s.dom, &s.month, &s.dow} {
		values, canonical, err := fields[i].parse(parts[i])
		if err != nil {
			return fmt.Errorf("%s %q: %w", fields[i].name, parts[i], err)
		}
		*target, s.canonical[i] = values, canonical
	}
	if s.dow.has(7) {
		s.dow = s.dow&^(1<<7) | 1
	}
	s.domStar, s.dowStar = parts[2][0] == '*', parts[4][0] == '*'
	if err := s.checkHappens(); err != nil {
		return err
	}
	if len(s.Next(anyTime, 1)) == 0 {
		return fmt.Errorf("never happens: clocks in %s skip this time on each of its days; move it by an hour", s.zone)
	}
	return nil
}

// anyTime is where the search for a first run begins: what happens at all
// happens again within searchYears of any moment.
var anyTime = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

func extraFieldHint(parts []string) string {
	switch len(parts) {
	case 6:
		return "; seconds and years are not supported"
	case 7:
		return "; this looks like Quartz, which has seconds first and a year last"
	}
	return ""
}

// checkHappens refuses a day that no month of the schedule has.
func (s *Schedule) checkHappens() error {
	longest := 0
	for m := range s.month.all() {
		longest = max(longest, daysIn[m])
	}
	first := 0
	for d := range s.dom.all() {
		first = d
		break
	}
	restrictedByWeekday := !s.domStar && !s.dowStar
	if first > longest && !restrictedByWeekday {
		return fmt.Errorf("never happens: no month of it has a day %d; the nearest is %d", first, longest)
	}
	return nil
}

// daysIn holds the most days each month can have; January is 1.
var daysIn = [13]int{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// parse gives the values of a field and the field in the words every cron
// understands: numbers instead of names, and no "a/n".
func (f field) parse(text string) (set, string, error) {
	var values set
	var canonical []string
	for item := range strings.SplitSeq(text, ",") {
		v, c, err := f.parseItem(item)
		if err != nil {
			return 0, "", err
		}
		values |= v
		canonical = append(canonical, c)
	}
	return values, strings.Join(canonical, ","), nil
}

func (f field) parseItem(item string) (set, string, error) {
	if item == "" {
		return 0, "", fmt.Errorf("has an empty entry: remove the extra comma")
	}
	span, stepText, stepped := strings.Cut(item, "/")
	low, high, err := f.parseSpan(span, stepped)
	if err != nil {
		return 0, "", err
	}
	canonical := fmt.Sprintf("%d-%d", low, high)
	switch {
	case span == "*":
		canonical = "*"
	case low == high:
		canonical = strconv.Itoa(low)
	}
	step := 1
	if stepped {
		step, err = strconv.Atoi(stepText)
		if err != nil || step < 1 || step > f.max {
			return 0, "", fmt.Errorf("step %q must be a number from 1 to %d", stepText, f.max)
		}
		if low != high && step > 1 {
			canonical += "/" + strconv.Itoa(step)
		}
	}
	var values set
	for v := low; v <= high; v += step {
		values |= 1 << v
	}
	return values, canonical, nil
}

// parseSpan reads "*", "a" or "a-b"; with a step behind it, "a" means "from a to
// the end".
func (f field) parseSpan(span string, stepped bool) (low, high int, err error) {
	end := f.max
	if f.max == 7 {
		end = 6 // 7 is Sunday again
	}
	if span == "*" {
		return f.min, end, nil
	}
	from, to, ranged := strings.Cut(span, "-")
	if low, err = f.value(from); err != nil {
		return 0, 0, err
	}
	if !ranged {
		if stepped {
			return low, max(low, end), nil
		}
		return low, low, nil
	}
	if high, err = f.value(to); err != nil {
		return 0, 0, err
	}
	if f.max == 7 && high == 0 && low > 0 {
		high = 7 // fri-sun
	}
	if low > high {
		return 0, 0, fmt.Errorf("range %s runs backwards; write %s", span, f.split(from, to))
	}
	return low, high, nil
}

// split writes a backwards range as the two ranges that were meant.
func (f field) split(from, to string) string {
	last, first := strconv.Itoa(f.max), strconv.Itoa(f.min)
	if f.max == 7 {
		if from == "7" {
			return fmt.Sprintf("%q", "0-"+to)
		}
		last = "6"
	}
	return fmt.Sprintf("%q", from+"-"+last+","+first+"-"+to)
}

func (f field) value(text string) (int, error) {
	for i, name := range f.names {
		if strings.EqualFold(text, name) {
			return f.min + i, nil
		}
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		if letters := strings.Trim(text, "0123456789"); strings.ContainsAny(text, "?#") || letters == "L" || letters == "W" || letters == "LW" {
			return 0, fmt.Errorf("%q is of Quartz and EventBridge and not known here; the nearest is * or a list such as 1,15", text)
		}
		if len(f.names) > 0 {
			// "monday" and "january" are meant by their first three letters.
			if len(text) > 3 {
				for _, name := range f.names {
					if strings.EqualFold(text[:3], name) {
						return 0, fmt.Errorf("%q is not a value; did you mean %q?", text, name)
					}
				}
			}
			return 0, fmt.Errorf("%q is not a value%s", text, nearest.Suggestion(text, f.names))
		}
		return 0, fmt.Errorf("%q is not a number from %d to %d", text, f.min, f.max)
	}
	if int(n) < f.min || int(n) > f.max {
		return 0, fmt.Errorf("%d is outside %d to %d; the nearest is %d", n, f.min, f.max, min(max(int(n), f.min), f.max))
	}
	return int(n), nil
}
