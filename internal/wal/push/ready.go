package push

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// queue hands out the files to store with the asked one: those that the server finished,
// in the order in which its archiver will ask for them.
type queue struct {
	d     *destination
	until time.Time

	mu      sync.Mutex
	taken   map[string]bool // or stored before
	waiting []string        // of the last look
	left    int             // how many more may be taken
	last    bool            // no more are looked for
	ended   bool
}

func newQueue(d *destination) *queue {
	q := &queue{d: d, taken: d.notes.names(), left: max(d.Ahead, 0), until: d.Now().Add(longestAhead), last: d.notes == nil}
	q.taken[d.asked] = true
	return q
}

// next is the next file; false when there is none, or no more shall be taken.
func (q *queue) next(ctx context.Context) (string, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended || q.left <= 0 || q.d.Now().After(q.until) {
		return "", false
	}
	if len(q.waiting) == 0 && !q.last {
		q.look(ctx)
	}
	if len(q.waiting) == 0 {
		return "", false
	}
	name := q.waiting[0]
	q.waiting = q.waiting[1:]
	q.taken[name] = true
	q.left--
	return name, true
}

// look sees which files wait: the server goes on while others are stored.
func (q *queue) look(ctx context.Context) {
	names, all, err := q.d.absent(ctx, q.d.ready(q.left, q.taken))
	if err != nil && ctx.Err() == nil {
		q.d.Log.Warn("nothing is archived ahead: what the archive has could not be listed", "error", err)
	}
	q.waiting, q.last = names, !all
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
