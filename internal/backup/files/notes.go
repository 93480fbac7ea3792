package files

import (
	"fmt"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

const (
	// named is how many files a warning names; the manifest has more.
	named = 3
	// listed bounds the memory for what is listed in the manifest.
	listed = 2000
)

// notes are what a walk has to say about what it could not store as it was.
type notes struct {
	list []repo.Skipped
	// of those that deserve a warning: how many, and the first names
	cut, gone, closed, special, nothing tally
}

type tally struct {
	n     int
	names []string
}

func (t *tally) count(p string) {
	t.n++
	if len(t.names) < named {
		t.names = append(t.names, p)
	}
}

func (t tally) String() string {
	s := strings.Join(t.names, ", ")
	if t.n > len(t.names) {
		s += fmt.Sprintf(" and %d more", t.n-len(t.names))
	}
	return s
}

// left notes what no backup of files holds: sockets, devices, other file systems
// where that was asked for. That is no reason for a warning every night.
func (n *notes) left(p, why string) {
	if len(n.list) < listed {
		n.list = append(n.list, repo.Skipped{What: p, Why: why})
	}
}

func (n *notes) changed(p, why string) { n.left(p, why); n.cut.count(p) }

func (n *notes) vanished(p string) {
	n.left(p, "it was gone before it could be read")
	n.gone.count(p)
}

func (n *notes) denied(p string) {
	n.left(p, "the runner may not read it")
	n.closed.count(p)
}

func (n *notes) unreal(p string) {
	n.left(p, "the kernel makes up what is in it")
	n.special.count(p)
}

func (n *notes) specialText() string {
	return fmt.Sprintf("special file systems such as /proc and /sys can not be backed up: %s; exclude them", n.special)
}

// told is how many there are that a warning tells of already.
func (n *notes) told() int { return n.cut.n + n.gone.n + n.closed.n + n.special.n }

func (n *notes) skipped() []repo.Skipped { return n.list }

func (n *notes) warnings() []string {
	var out []string
	if n.cut.n > 0 {
		out = append(out, fmt.Sprintf("changed while being read, so that what is stored may be of no one moment: %s", n.cut))
	}
	if n.gone.n > 0 {
		out = append(out, fmt.Sprintf("vanished while being read: %s", n.gone))
	}
	if n.closed.n > 0 {
		out = append(out, fmt.Sprintf("not in this backup, the runner may not read: %s; run it as a user who may, or exclude them", n.closed))
	}
	if n.special.n > 0 {
		out = append(out, "not in this backup, "+n.specialText())
	}
	if n.nothing.n > 0 {
		out = append(out, fmt.Sprintf("there is no file in %s: is it mounted, and not excluded? This backup has nothing of it", n.nothing))
	}
	return out
}
