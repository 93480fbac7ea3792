package push

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// queue hands out the files to store: the asked one first, then those that the server
// finished, in the order in which its archiver will ask for them.
type queue struct {
	p     *pusher
	until time.Time

	mu      sync.Mutex
	taken   map[string]bool // or stored before
	waiting []string        // of the last look
	left    int             // how many more may be taken
	ended   bool
}

func newQueue(p *pusher) *queue {
	q := &queue{p: p, taken: p.notes.names(), waiting: []string{p.asked}, left: 1 + max(p.Ahead, 0), until: p.Now().Add(longestAhead)}
	delete(q.taken, p.asked) // a note about it does not fit any more
	return q
}

// next is the next file; false when there is none, or no more shall be taken.
func (q *queue) next() (string, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for range 2 {
		for len(q.waiting) > 0 && q.left > 0 && !q.ended {
			name := q.waiting[0]
			q.waiting = q.waiting[1:]
			if q.taken[name] {
				continue
			}
			if name != q.p.asked && q.p.Now().After(q.until) {
				return "", false
			}
			q.taken[name] = true
			q.left--
			return name, true
		}
		if q.left <= 0 || q.ended || q.p.notes == nil {
			return "", false
		}
		// The server goes on while these are stored: look again.
		q.waiting = q.p.ready(q.left, q.taken)
	}
	return "", false
}

// end stops handing out.
func (q *queue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
}

// ready are the files that wait for the archiver, but for those in pass, at most limit:
// histories first, then by name, as the server takes them (pgarch.c).
func (p *pusher) ready(limit int, pass map[string]bool) []string {
	var names []string
	err := p.eachReady(func(name string) {
		if !pass[name] {
			names = append(names, name)
		}
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.Log.Warn("which files wait for the archiver could not be read", "error", err)
	}
	slices.SortFunc(names, func(a, b string) int {
		if x, y := isHistory(a), isHistory(b); x != y {
			if x {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	return names[:min(limit, len(names))]
}

// eachReady reads the folder in which the server marks what waits: there may be a
// hundred thousand files in it.
func (p *pusher) eachReady(do func(name string)) error {
	dir, err := os.Open(p.statusFolder())
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	for {
		found, err := dir.Readdirnames(4096)
		for _, f := range found {
			name, ok := strings.CutSuffix(f, ".ready")
			if kind, _ := pgwal.KindOfFile(name); ok && kind != pgwal.NoFile {
				do(name)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func isHistory(name string) bool {
	kind, _ := pgwal.KindOfFile(name)
	return kind == pgwal.HistoryFile
}
