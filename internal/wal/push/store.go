package push

import (
	"context"
	"errors"
	"os"
	"sync"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// destination is the archive that is stored in.
type destination struct {
	*pusher
	repo    *repo.Repository
	archive repo.WALArchive

	mu    sync.Mutex
	ahead int
}

// storeAll stores the asked file, and others meanwhile and after it. Its error is that
// of the asked file: what happens to the others shows when they are asked for.
func (d *destination) storeAll(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	q := newQueue(d.pusher)
	asked := make(chan error, 1)
	var all sync.WaitGroup
	for range d.Jobs {
		all.Go(func() { d.work(ctx, q, asked) })
	}
	err := <-asked
	if err != nil {
		cancel(err)
	}
	all.Wait()
	d.result.Ahead = d.ahead
	if err == nil {
		d.forget()
	}
	return err
}

// work stores files until there are none.
func (d *destination) work(ctx context.Context, q *queue, asked chan<- error) {
	for {
		name, ok := q.next()
		if !ok {
			return
		}
		sum, already, err := d.store(ctx, name)
		if name == d.asked {
			d.result.Already = already // nobody reads it before it is told of
			if err != nil {
				q.end()
			}
			asked <- err
			continue
		}
		if err == nil {
			err = d.notes.add(name, sum)
		}
		if err != nil {
			q.end()
			if ctx.Err() == nil && !errors.Is(err, os.ErrNotExist) {
				d.Log.Warn("archiving ahead ended early; the file is archived when the server asks for it", "file", name, "error", err)
			}
			return
		}
		d.mu.Lock()
		d.ahead++
		d.mu.Unlock()
	}
}

// store stores one file durably, and returns the SHA-256 of its content.
func (d *destination) store(ctx context.Context, name string) (sum string, already bool, err error) {
	f, size, err := d.open(name)
	if err != nil {
		return "", false, err
	}
	defer func() { _ = f.Close() }()
	info, err := d.describe(name, f)
	if err != nil {
		return "", false, err
	}
	already, err = d.repo.PutWALFrom(ctx, d.archive, info, f, size)
	return info.SHA256, already, err
}

// forget removes the notes that nobody asks for any more.
func (d *destination) forget() {
	if d.notes == nil {
		return
	}
	waiting := map[string]bool{}
	if err := d.eachReady(func(name string) { waiting[name] = true }); err == nil {
		d.notes.keep(waiting)
	}
}
