package fetch

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/spool"
)

// longestAhead is how much longer a call may take to fetch ahead, after what it was asked
// for is in its place: the server waits.
const longestAhead = 20 * time.Second

// ahead is the fetching of segments that the server will ask for next.
type ahead struct {
	cancel  context.CancelFunc
	done    chan struct{}
	fetched atomic.Int32
}

// begin begins to fetch ahead, where the server reads one segment after the other; its
// result is nil where it does not.
func (f *fetcher) begin(ctx context.Context, segmentSize uint64) *ahead {
	names := f.next(segmentSize)
	if len(names) == 0 {
		return nil
	}
	held, ok := spool.Lock(f.aside.root)
	if !ok {
		return nil // another call does it
	}
	keep := map[string]bool{}
	for _, name := range names {
		keep[name] = true
	}
	f.aside.keepOnly(keep)
	ctx, cancel := context.WithCancel(ctx)
	a := &ahead{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(a.done)
		defer func() { _ = held.Close() }()
		f.fetchAhead(ctx, a, names)
	}()
	return a
}

// next are the segments after the one asked for, if that comes after the one before.
func (f *fetcher) next(segmentSize uint64) []string {
	if f.aside == nil || pgwal.CheckSegmentSize(segmentSize) != nil {
		return nil
	}
	asked, err := pgwal.ParseSegment(f.Name, segmentSize)
	if err != nil {
		return nil
	}
	last, err := pgwal.ParseSegment(f.aside.last(), segmentSize)
	if err != nil || last.Next().Number != asked.Number {
		return nil
	}
	var names []string
	for s := asked.Next(); len(names) < f.Ahead; s = s.Next() {
		names = append(names, s.Name(segmentSize))
	}
	return names
}

// fetchAhead fetches segments in their order until one is not there, which does not stop
// those before it. Trouble is told, and is none of the call's: the server asks for the
// segment when it needs it.
func (f *fetcher) fetchAhead(ctx context.Context, a *ahead, names []string) {
	var ended atomic.Bool
	err := parallel.Each(ctx, f.Jobs, len(names), func(ctx context.Context, i int) error {
		if ended.Load() || f.aside.has(names[i]) {
			return nil
		}
		in, err := f.repo.OpenWAL(ctx, f.archive, names[i])
		if errors.Is(err, repo.ErrNotFound) {
			ended.Store(true)
			return nil
		}
		if err != nil {
			return err
		}
		defer func() { _ = in.Close() }()
		if err := f.aside.put(names[i], in); err != nil {
			return err
		}
		a.fetched.Add(1)
		return nil
	})
	if err != nil && ctx.Err() == nil {
		f.Log.Warn("fetching WAL ahead ended early", "error", err)
	}
}

// end waits for what was begun, and tells how many segments were fetched. When the call
// itself failed, it waits for no more than what is under way to stop.
func (a *ahead) end(failed error) int {
	if a == nil {
		return 0
	}
	if failed == nil {
		select {
		case <-a.done:
		case <-time.After(longestAhead):
		}
	}
	a.cancel()
	<-a.done
	return int(a.fetched.Load())
}
