package schedule

import (
	"fmt"
	"strings"
)

// Systemd gives the values of OnCalendar= that together are the schedule, time
// zone included. There are two when day of month and day of week are both
// restricted: a timer with several OnCalendar= lines elapses at each of them,
// which is cron's "either". Every schedule can be said there.
//
// Zones in OnCalendar= need systemd 235 or newer.
func (s Schedule) Systemd() []string {
	if s.IsZero() {
		return nil
	}
	if s.domStar || s.dowStar {
		return []string{s.onCalendar(s.dom, s.dow)}
	}
	return []string{s.onCalendar(s.dom, allWeekdays), s.onCalendar(allDays, s.dow)}
}

func (s Schedule) onCalendar(dom, dow set) string {
	var b strings.Builder
	if dow != fullSet(0, 6) {
		b.WriteString(weekdays(dow))
		b.WriteByte(' ')
	}
	fmt.Fprintf(&b, "*-%s-%s %s:%s:00 %s", s.month.systemd(1, 12), dom.systemd(1, 31), s.hour.systemd(0, 23), s.minute.systemd(0, 59), s.zone)
	return b.String()
}

func fullSet(low, high int) set {
	var s set
	for n := low; n <= high; n++ {
		s |= 1 << n
	}
	return s
}

// systemd writes a set the way OnCalendar= does: "*", "00,30", "01..05".
func (s set) systemd(low, high int) string {
	if s == fullSet(low, high) {
		return "*"
	}
	var parts []string
	for n := low; n <= high; n++ {
		if !s.has(n) {
			continue
		}
		end := n
		for end < high && s.has(end+1) {
			end++
		}
		if end-n < 2 {
			parts = append(parts, fmt.Sprintf("%02d", n))
			continue
		}
		parts = append(parts, fmt.Sprintf("%02d..%02d", n, end))
		n = end
	}
	return strings.Join(parts, ",")
}

func weekdays(s set) string {
	names := [7]string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}
	var parts []string
	for _, n := range []int{1, 2, 3, 4, 5, 6, 0} {
		if s.has(n) {
			parts = append(parts, names[n])
		}
	}
	return strings.Join(parts, ",")
}
