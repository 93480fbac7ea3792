package pgwal

import (
	"bufio"
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Switch is where a timeline was left for its successor.
type Switch struct {
	Timeline Timeline // the one that was left
	At       LSN      // the first position that is no longer its
	Reason   string
}

// History is the contents of a history file: the ancestors of a timeline, oldest
// first. Timeline 1 has none, and no file.
type History struct {
	Timeline  Timeline
	Ancestors []Switch
}

// HistoryName is the name of a timeline's history file.
func HistoryName(t Timeline) string { return t.String() + ".history" }

// ParseHistory reads a history file as a server writes it.
func ParseHistory(t Timeline, data []byte) (History, error) {
	h := History{Timeline: t}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		bad := func(why string) (History, error) {
			return History{}, fmt.Errorf("history of timeline %s, line %d: %s", t, n, why)
		}
		if len(fields) < 2 {
			return bad("a timeline and a position are expected")
		}
		parent, err := strconv.ParseUint(fields[0], 10, 32)
		if err != nil || parent == 0 || Timeline(parent) >= t {
			return bad(fmt.Sprintf("%.20q is no ancestor", fields[0]))
		}
		at, err := ParseLSN(fields[1])
		if err != nil {
			return bad(err.Error())
		}
		if last := len(h.Ancestors) - 1; last >= 0 && (h.Ancestors[last].Timeline >= Timeline(parent) || h.Ancestors[last].At > at) {
			return bad("timelines and positions must grow")
		}
		h.Ancestors = append(h.Ancestors, Switch{Timeline(parent), at, strings.Join(fields[2:], " ")})
	}
	if err := lines.Err(); err != nil {
		return History{}, fmt.Errorf("history of timeline %s: %w", t, err)
	}
	return h, nil
}

// TimelineAt is the timeline that a position belongs to in this history.
func (h History) TimelineAt(at LSN) Timeline {
	for _, s := range h.Ancestors {
		if at < s.At {
			return s.Timeline
		}
	}
	return h.Timeline
}

// Left is where the history leaves a timeline; false for the last one and for those
// that are not in it.
func (h History) Left(t Timeline) (LSN, bool) {
	for _, s := range h.Ancestors {
		if s.Timeline == t {
			return s.At, true
		}
	}
	return 0, false
}

// Has tells whether the timeline is the history's own or one of its ancestors.
func (h History) Has(t Timeline) bool {
	_, left := h.Left(t)
	return left || t == h.Timeline
}
