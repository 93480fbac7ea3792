// Package settings is what a server has to be set to so that its WAL can be archived and
// base backups taken: what is right, what is to be changed, what waits for a restart.
//
// What lives here: the decision (Plan, a function of values), and reading and changing
// the settings of a server. What must not: rights and pg_hba.conf (doctor looks at
// those), and printing (the runner).
package settings

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// Wanted is what the server is to do.
type Wanted struct {
	// Mode is how WAL is archived: job.WALPush, job.WALReceive, or "" for base backups
	// alone.
	Mode string
	// Command is the archive_command of a push.
	Command string
	// Slot of a receiver; SlotLimit are the bytes it may hold back before it is told.
	Slot      string
	SlotLimit int64
	// Incremental base backups, of which the last full one is not older than FullEvery.
	Incremental bool
	FullEvery   time.Duration
}

// Server is what a server says about itself.
type Server struct {
	Major int
	// Role is who asked.
	Role     string
	Settings map[string]Current
	// Slots in use, but for Wanted.Slot.
	Slots int
}

// Current is one setting.
type Current struct {
	Value string // in the setting's own unit
	// Source is where the value comes from: "configuration file", "command line", …
	Source string
	// Restart: a change of it needs one.
	Restart bool
	// Pending is the value that it has after a restart; the same as Value where none is
	// waited for.
	Pending string
	// Hidden is why the role may not see what counts, and who may; "" where it may.
	Hidden string
}

// State of a setting.
type State string

// The states.
const (
	Right     State = "right"
	Change    State = "change"    // ALTER SYSTEM makes it right
	Waits     State = "restart"   // it is set, and needs a restart
	Foreign   State = "foreign"   // it is somebody's, and stays unless it may be replaced
	Hidden    State = "hidden"    // the role may not see it, so nobody knows; it is never changed
	Elsewhere State = "elsewhere" // set where ALTER SYSTEM does not reach
	Advice    State = "advice"    // not changed: the server works, with a risk that is told
)

// Setting is one line of a plan.
type Setting struct {
	Name    string `json:"name"`
	Is      string `json:"is"`
	Want    string `json:"want"` // what it is set to, where it is changed
	State   State  `json:"state"`
	Restart bool   `json:"restart,omitempty"` // the change takes effect with one
	Why     string `json:"why"`
}

// Plan says what is right and what is not, in a fixed order. Nothing that is right
// already appears with another value.
func Plan(w Wanted, s Server) ([]Setting, error) {
	p := planner{w: w, s: s}
	if w.Incremental && s.Major < 17 {
		return nil, fmt.Errorf("incremental base backups need PostgreSQL 17 or newer, this server is %d: leave them out", s.Major)
	}
	p.need("wal_level", "replica", is("replica", "logical"), "WAL that a recovery can use is written with replica or more")
	p.senders()
	switch w.Mode {
	case job.WALPush:
		p.archiver()
	case job.WALReceive:
		p.slots()
	}
	if w.Incremental {
		p.summaries()
	}
	return p.plan, nil
}

type planner struct {
	w    Wanted
	s    Server
	plan []Setting
}

func is(values ...string) func(string) bool {
	return func(v string) bool {
		for _, want := range values {
			if v == want {
				return true
			}
		}
		return false
	}
}

func atLeast(n int64) func(string) bool {
	return func(v string) bool {
		got, err := strconv.ParseInt(v, 10, 64)
		return err == nil && got >= n
	}
}

// need adds a setting that is right when ok is true for its value, and made so by want.
func (p *planner) need(name, want string, ok func(string) bool, why string) {
	is, known := p.s.Settings[name]
	if !known {
		return
	}
	line := Setting{Name: name, Is: is.Value, Want: want, Why: why, Restart: is.Restart}
	switch {
	case is.Hidden != "":
		line.State, line.Is, line.Why = Hidden, is.Value, is.Hidden
	case ok(is.Value) && ok(is.Pending):
		line.State, line.Want, line.Restart = Right, is.Value, false
	case ok(is.Pending):
		line.State, line.Want = Waits, is.Pending
	case is.Source == "command line" || is.Source == "environment variable":
		line.State, line.Why = Elsewhere, why+"; it is set by the "+is.Source+" that starts the server, which counts for more: change it there"
	default:
		line.State = Change
	}
	p.plan = append(p.plan, line)
}

// senders: a base backup and a receiver hold one each, and a second backup may be
// running or a broken connection not noticed yet.
func (p *planner) senders() {
	least := int64(2)
	if p.w.Mode == job.WALReceive {
		least = 4
	}
	p.need("max_wal_senders", "10", atLeast(least), fmt.Sprintf("base backups and receivers of WAL each take one: at least %d", least))
}

// archiver is what a push needs.
func (p *planner) archiver() {
	p.need("archive_mode", "on", is("on", "always"), "the server calls archive_command for each finished segment")
	p.need("archive_library", "", is(""), "a library would be called instead of archive_command")
	why := "the command that stores a segment"
	p.need("archive_command", p.w.Command, is(p.w.Command), why)
	p.foreign("archive_library", func(v string) bool { return v != "" })
	p.foreign("archive_command", func(v string) bool { return !idle(v) && !SameCommand(v, p.w.Command) })
	p.need("archive_timeout", "60", atLeast(1), "a quiet server archives what it has that often, in seconds: so much is lost at most")
}

// foreign marks a setting that is to be changed, and is somebody else's.
func (p *planner) foreign(name string, theirs func(string) bool) {
	for i, line := range p.plan {
		if line.Name == name && line.State == Change && theirs(p.s.Settings[name].Pending) {
			p.plan[i].State = Foreign
			p.plan[i].Is = p.s.Settings[name].Pending
		}
	}
}

// idle are commands that archive nothing.
func idle(command string) bool {
	switch strings.TrimSpace(command) {
	case "", "(disabled)", "true", "/bin/true", "/usr/bin/true", ":", "exit 0":
		return true
	}
	return false
}

// pushes is what every command of ours has in it.
const pushes = " wal push "

// SameCommand tells whether two archive commands do the same, with a program that may lie
// elsewhere: an older one of ours is replaced without asking.
func SameCommand(a, b string) bool {
	_, withA, okA := strings.Cut(a, pushes)
	_, withB, okB := strings.Cut(b, pushes)
	return okA && okB && withA == withB && strings.Contains(a, "pgbackup-runner")
}

// slots is what a receiver needs.
func (p *planner) slots() {
	least := int64(p.s.Slots + 1)
	p.need("max_replication_slots", strconv.FormatInt(max(10, least), 10), atLeast(least), fmt.Sprintf("the receiver has a slot, %d are used by others", p.s.Slots))
	const name = "max_slot_wal_keep_size" // in MB; -1 is no limit
	limit, known := p.s.Settings[name]
	mb, err := strconv.ParseInt(limit.Value, 10, 64)
	if !known || err != nil {
		return
	}
	line := Setting{Name: name, Is: limit.Value, Want: limit.Value, State: Right, Why: "WAL that the receiver has not got yet stays, whatever its size"}
	if mb >= 0 && mb<<20 < p.w.SlotLimit {
		line.State, line.Want = Advice, strconv.FormatInt(p.w.SlotLimit>>20, 10)
		line.Why = "in MB: the server removes WAL that the receiver has not got yet, which makes a gap, before the receiver warns of it"
	}
	p.plan = append(p.plan, line)
}

// summaries is what incremental base backups need.
func (p *planner) summaries() {
	p.need("summarize_wal", "on", is("on"), "an incremental backup reads the summaries of WAL")
	keep := int64((p.w.FullEvery + 24*time.Hour) / time.Minute)
	enough := func(v string) bool { return v == "0" || atLeast(keep)(v) }
	p.need("wal_summary_keep_time", strconv.FormatInt(keep, 10), enough, fmt.Sprintf("in minutes; summaries are needed back to the last backup: a day longer than %s, or 0 for ever", p.w.FullEvery))
}
