package backup

import (
	"context"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
)

// watch fails the backup when the snapshot is lost while it is needed, or when
// nothing moves for the stall timeout: a stuck dump holds xmin and locks.
func (r *run) watch(ctx context.Context, fail context.CancelCauseFunc, f *fanout) (stop func()) {
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(max(r.StallTimeout/20, 10*time.Millisecond))
		defer tick.Stop()
		var seen int64
		moved := time.Now()
		lost := r.snapshot.Lost()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-lost:
				fail(fmt.Errorf("the connection that holds snapshot and locks was lost: %w", r.snapshot.Err()))
				return
			case <-tick.C:
			}
			now := r.Progress.Plain.Load() + f.stream.Stored.Load() + f.fed.Load()
			if now != seen {
				seen, moved = now, time.Now()
			}
			if idle := time.Since(moved); idle >= r.StallTimeout {
				fail(fmt.Errorf("%w for %s after %d bytes from pg_dump (%d stored): the server, the network or the store hangs; stall_timeout sets how long to wait",
					point.ErrStalled, idle.Round(time.Second), r.Progress.Plain.Load(), f.stream.Stored.Load()))
				return
			}
		}
	}()
	return func() { close(done) }
}
