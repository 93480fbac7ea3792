package schedule

import (
	"fmt"
	"strconv"
	"strings"
)

var allDays, allWeekdays = fullSet(1, 31), fullSet(0, 6)

// dayRule says how day of month and day of week restrict together.
type dayRule uint8

const (
	oneField   dayRule = iota // at most one of them restricts
	eitherDay                 // a day that matches one of them
	bothFields                // a day that matches both; "*/2" and such in one of them asks for this
)

// days gives the two day fields in the form other schedulers agree about: a
// field that allows everything restricts nothing, however it was written. What
// "*/2" means beside a restricted field is what crons do not agree about.
func (s Schedule) days() (dom, dow set, rule dayRule) {
	anyDom, anyDow := s.dom == allDays, s.dow == allWeekdays
	either := !s.domStar && !s.dowStar
	switch {
	case either && (anyDom || anyDow):
		return allDays, allWeekdays, oneField
	case anyDom || anyDow:
		return s.dom, s.dow, oneField
	case either:
		return s.dom, s.dow, eitherDay
	}
	return s.dom, s.dow, bothFields
}

// errBothFields is for schedulers to which "*/2" is a restriction like another.
func (s Schedule) errBothFields(where string) error {
	return fmt.Errorf("schedule %q for %s: it means days that match both day of month %s and day of week %s, which is read as \"either\": %w; restrict one of them, and leave the other at *",
		s.expr, where, s.canonical[2], s.canonical[4], ErrNotThere)
}

// steps is how a scheduler writes every n-th value.
type steps uint8

const (
	noSteps   steps = iota // 0,15,30,45
	cronSteps              // */15, and 5-50/15 where it begins later or ends earlier
	openSteps              // 0/15, to the end only
)

// written gives a set as a field: "*", "0,30", "1-5", or with steps.
func (s set) written(low, high int, form steps) string {
	if s == fullSet(low, high) {
		return "*"
	}
	var values []int
	for n := range s.all() {
		values = append(values, n)
	}
	first, last := values[0], values[len(values)-1]
	if step := everyNth(values); step > 1 {
		toTheEnd := last+step > high
		switch {
		case form == openSteps && toTheEnd:
			return fmt.Sprintf("%d/%d", first, step)
		case form == cronSteps && toTheEnd && first == low:
			return fmt.Sprintf("*/%d", step)
		case form == cronSteps:
			return fmt.Sprintf("%d-%d/%d", first, last, step)
		}
	}
	var parts []string
	for i := 0; i < len(values); i++ {
		end := i
		for end+1 < len(values) && values[end+1] == values[end]+1 {
			end++
		}
		if end-i < 2 {
			parts = append(parts, strconv.Itoa(values[i]))
			continue
		}
		parts = append(parts, fmt.Sprintf("%d-%d", values[i], values[end]))
		i = end
	}
	return strings.Join(parts, ",")
}

// everyNth gives the distance between values when it is always the same, 0 for
// fewer than three of them.
func everyNth(values []int) int {
	if len(values) < 3 {
		return 0
	}
	step := values[1] - values[0]
	for i := 2; i < len(values); i++ {
		if values[i]-values[i-1] != step {
			return 0
		}
	}
	return step
}
