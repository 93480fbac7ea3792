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

// storeAll stores the asked file, and then others. Its error is that of the asked file:
// what happens to the others shows when they are asked for.
//
// Nothing goes along before the asked file is stored: where it is refused, because another
// server's is there under its name, what is behind it is of another log as well, and would
// stand in the archive between what is of the first server.
func (d *destination) storeAll(ctx context.Context) error {
	_, already, err := d.store(ctx, d.asked)
	if err != nil {
		return err
	}
	d.result.Already = already
	q := newQueue(d)
	var all sync.WaitGroup
	for range d.Jobs {
		all.Go(func() { d.work(ctx, q) })
	}
	all.Wait()
	d.result.Ahead = d.ahead
	d.forget()
	return nil
}

// work stores files until there are none.
func (d *destination) work(ctx context.Context, q *queue) {
	for {
		name, ok := q.next(ctx)
		if !ok {
			return
		}
		sum, _, err := d.store(ctx, name)
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

// neighbours is how many digits of a segment's name it shares with those listed with it.
const neighbours = 22

// absent are the first of some files, up to one that the archive has already, which is
// held against what is there when the server asks for it: where they differ nothing behind
// it may be stored. all tells that none of them is there.
func (d *destination) absent(ctx context.Context, names []string) (first []string, all bool, err error) {
	there, listed := map[string]bool{}, map[string]bool{}
	for i, name := range names {
		begin := name
		if !isHistory(name) {
			begin = name[:neighbours]
		}
		if !listed[begin] {
			files, err := d.repo.WALNamed(ctx, d.archive, begin)
			if err != nil {
				return nil, false, err
			}
			for _, f := range files {
				if !f.IsPiece() {
					there[f.Name] = true
				}
			}
			listed[begin] = true
		}
		if there[name] {
			return names[:i], false, nil
		}
	}
	return names, true, nil
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
