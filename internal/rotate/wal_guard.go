package rotate

import (
	"context"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// guardWAL holds what must never happen without trusting the engine that decided:
// nothing goes that a base backup needs to be consistent, nothing from the start of the
// newest good one on, and nothing at all without a good one.
func guardWAL(w *walWork, staying []repo.Listed) error {
	doomed := w.plan.Deletions()
	if len(doomed) == 0 {
		return nil
	}
	size := w.survey.SegmentSize
	type need struct {
		first, last uint64
		id          string
	}
	needs := map[pgwal.Timeline][]need{}
	var newest *repo.Manifest
	for i := range staying {
		l := &staying[i]
		if l.Kind != retention.KindPhysical || l.Manifest == nil || l.Manifest.Physical == nil || l.System != w.survey.Archive.System {
			continue
		}
		p := l.Manifest.Physical
		needs[p.Timeline] = append(needs[p.Timeline], need{uint64(p.StartLSN) / size, uint64(max(p.StopLSN, 1)-1) / size, l.ID})
		if l.Verified() && (newest == nil || l.Start.After(newest.Start)) {
			newest = l.Manifest
		}
	}
	if newest == nil {
		return fmt.Errorf("%w would delete WAL of %s, of which there is no good base backup", ErrUnsafe, w.survey.Archive)
	}
	begins := uint64(newest.Physical.StartLSN) / size
	for _, i := range doomed {
		f := w.decided.Files[i]
		if f.Kind == pgwal.HistoryFile || f.Timeline == newest.Physical.Timeline && f.Number >= begins {
			return fmt.Errorf("%w would delete %s, which the newest base backup %s needs", ErrUnsafe, w.files[i], newest.ID)
		}
		for _, n := range needs[f.Timeline] {
			if f.Number >= n.first && f.Number <= n.last {
				return fmt.Errorf("%w would delete %s, which base backup %s needs", ErrUnsafe, w.files[i], n.id)
			}
		}
	}
	return nil
}

// spareLockedWAL keeps what the store locks, as far as the time tells that it was
// stored at. What was locked for longer since, DeleteWAL finds.
func (opts Options) spareLockedWAL(ctx context.Context, w *walWork) error {
	until, err := opts.Repo.WALLocks(ctx)
	if err != nil {
		return err
	}
	for _, i := range w.plan.Deletions() {
		if end := until(w.files[i]); end.After(opts.Now) {
			w.locked[i] = fmt.Sprintf("locked by the store until %s", end.Format(time.DateOnly))
		}
	}
	return nil
}
