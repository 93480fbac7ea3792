package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// calendar draws recovery points for a terminal: the newest months day by day,
// and all of history as a row a year with a cell a month, when there is more of
// it than the months show.
type calendar struct {
	zone   *time.Location // in which days begin; nil is UTC
	width  int            // columns there are
	colour bool
}

// calendarPoint is one point to draw.
type calendarPoint struct {
	start time.Time
	tier  string // "" for one that no rule counts
}

const (
	monthWidth = 7*4 - 1 // seven cells such as "14d", a space apart
	monthGap   = 3
	maxMonths  = 6  // drawn day by day
	maxYears   = 30 // drawn as a row
	yearWidth  = 6 + 12*5
)

// cell is a day or a month.
type cell struct {
	n    int
	rank int // of the longest tier in it
}

func (c *cell) add(rank int) {
	c.n++
	c.rank = max(c.rank, rank)
}

// The marks and colours of tiers by rank, rank 0 for points that no rule counts.
const marks = "+hdwmy"

var colours = [...]string{"37", "34", "32", "36", "33", "35"}

func tierRank(tier string) int { return slices.Index(retention.Tiers(), tier) + 1 }

// month counts months since the year 0, so that they can be stepped through.
type month int

func monthOf(t time.Time) month { return month(t.Year()*12 + int(t.Month()) - 1) }
func (m month) first() time.Time {
	return time.Date(int(m)/12, time.Month(int(m)%12+1), 1, 0, 0, 0, 0, time.UTC)
}
func (m month) day(n int) (time.Time, bool) {
	t := m.first().AddDate(0, 0, n-1)
	return t, monthOf(t) == m
}

// draw gives the lines, oldest first. No points give none.
func (c calendar) draw(points []calendarPoint) []string {
	if len(points) == 0 {
		return nil
	}
	if c.zone == nil {
		c.zone = time.UTC
	}
	days, months, used := map[time.Time]*cell{}, map[month]*cell{}, [len(marks)]bool{}
	daysOf := map[month]int{}
	first, last := month(0), month(0)
	for i, p := range points {
		y, m, d := p.start.In(c.zone).Date()
		day := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
		in, rank := monthOf(day), tierRank(p.tier)
		if i == 0 {
			first, last = in, in
		}
		first, last = min(first, in), max(last, in)
		if days[day] == nil {
			days[day] = &cell{}
			daysOf[in]++
		}
		if months[in] == nil {
			months[in] = &cell{}
		}
		days[day].add(rank)
		months[in].add(rank)
		used[rank] = true
	}
	// Months in which single days still matter, back from the newest.
	from := last
	for from > first && last-from < maxMonths-1 && daysOf[from-1] > 1 {
		from--
	}
	var lines []string
	if from > first {
		lines = append(c.years(months), "")
	}
	lines = append(lines, c.months(from, last, days)...)
	lines = append(lines, "", tiers(used))
	if from > first {
		lines = append(lines, "a year's row: how many points are kept, the longest tier")
	}
	return append(lines, "a month: the date, the longest tier kept of that day", "· nothing is kept; days begin in "+c.zone.String())
}

// tiers explains the letters that were used.
func tiers(used [len(marks)]bool) string {
	names := append([]string{"kept for another reason"}, retention.Tiers()...)
	var parts []string
	for rank := len(marks) - 1; rank >= 0; rank-- {
		if used[rank] {
			parts = append(parts, marks[rank:rank+1]+" "+names[rank])
		}
	}
	return strings.Join(parts, " · ")
}

// paint colours a cell by its rank.
func (c calendar) paint(text string, rank int) string {
	if !c.colour {
		return text
	}
	return "\x1b[" + colours[rank] + "m" + text + "\x1b[0m"
}

// months draws grids side by side, weeks beginning on Monday.
func (c calendar) months(from, to month, days map[time.Time]*cell) []string {
	beside := max(1, (c.width+monthGap)/(monthWidth+monthGap))
	var lines []string
	for ; from <= to; from += month(beside) {
		var grids [][]string
		height := 0
		for m := from; m <= to && m < from+month(beside); m++ {
			grid := c.grid(m, days)
			grids = append(grids, grid)
			height = max(height, len(grid))
		}
		if len(lines) > 0 {
			lines = append(lines, "")
		}
		for row := range height {
			var b strings.Builder
			for i, grid := range grids {
				if i > 0 {
					b.WriteString(strings.Repeat(" ", monthGap))
				}
				if row < len(grid) {
					b.WriteString(grid[row])
				} else {
					b.WriteString(strings.Repeat(" ", monthWidth))
				}
			}
			lines = append(lines, strings.TrimRight(b.String(), " "))
		}
	}
	return lines
}

// grid is one month: its name, the days of the week, and a row a week.
func (c calendar) grid(m month, days map[time.Time]*cell) []string {
	title := m.first().Format("January 2006")
	left := (monthWidth - len(title)) / 2
	lines := []string{
		fmt.Sprintf("%*s%-*s", left, "", monthWidth-left, title),
		"Mo  Tu  We  Th  Fr  Sa  Su ",
	}
	column := (int(m.first().Weekday()) + 6) % 7 // Monday is 0
	row := slices.Repeat([]string{"   "}, 7)
	for n := 1; ; n++ {
		day, there := m.day(n)
		if there {
			row[column] = " · "
			if at := days[day]; at != nil {
				row[column] = c.paint(fmt.Sprintf("%2d%c", n, marks[at.rank]), at.rank)
			}
			column++
		}
		if column == 7 || !there && column > 0 {
			lines = append(lines, strings.Join(row, " "))
			row, column = slices.Repeat([]string{"   "}, 7), 0
		}
		if !there {
			return lines
		}
	}
}

// years draws a row a year. Years without points are left out between dots.
func (c calendar) years(months map[month]*cell) []string {
	in := map[int]bool{}
	for m := range months {
		in[int(m)/12] = true
	}
	var all []int
	for year := range in {
		all = append(all, year)
	}
	slices.Sort(all)
	narrow := c.width < yearWidth
	format := func(text string) string { return fmt.Sprintf("%5s", text) }
	if narrow {
		format = func(text string) string { return fmt.Sprintf("%3.2s", text) }
	}
	var head strings.Builder
	fmt.Fprintf(&head, "%-6s", "")
	for m := time.January; m <= time.December; m++ {
		head.WriteString(format(m.String()[:3]))
	}
	lines := []string{head.String()}
	if more := len(all) - maxYears; more > 0 {
		before := 0
		for m, at := range months {
			if int(m)/12 < all[more] {
				before += at.n
			}
		}
		lines = append(lines, fmt.Sprintf("%s before %d", plural(int64(before), "point"), all[more]))
		all = all[more:]
	}
	for i, year := range all {
		if i > 0 && year > all[i-1]+1 {
			lines = append(lines, "  …")
		}
		var b strings.Builder
		fmt.Fprintf(&b, "%-6d", year)
		for m := month(year * 12); m < month(year*12+12); m++ {
			at := months[m]
			switch {
			case at == nil:
				b.WriteString(format("·"))
			case narrow:
				b.WriteString(c.paint(format(marks[at.rank:at.rank+1]), at.rank))
			default:
				b.WriteString(c.paint(format(short(at.n)+marks[at.rank:at.rank+1]), at.rank))
			}
		}
		lines = append(lines, b.String())
	}
	return lines
}

// short writes a number in at most three characters.
func short(n int) string {
	switch {
	case n < 1000:
		return fmt.Sprint(n)
	case n < 100_000:
		return fmt.Sprintf("%dk", n/1000)
	}
	return ">99"
}
