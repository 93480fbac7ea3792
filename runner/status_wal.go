package main

import (
	"context"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// statusOfWAL adds to the base backups among the lanes what the log after them reaches.
// byObjective holds it against what is promised: of what is written after a base backup
// nothing is lost that is in the log.
func (a *app) statusOfWAL(ctx context.Context, r *repo.Repository, lanes []lane, list []sourceStatus, byObjective bool) error {
	return parallel.Each(ctx, surveyed, len(lanes), func(ctx context.Context, i int) error {
		l, s := lanes[i], &list[i]
		if l.kind != string(job.KindPhysical) || l.newest == nil {
			return nil
		}
		wal, err := lookAtWAL(ctx, r, l.source, l.newest.Manifest.Server.SystemIdentifier, a.now())
		if err != nil || wal == nil {
			return err
		}
		s.WAL = wal
		if byObjective && s.MaxAge != nil {
			s.Fresh = wal.Age <= *s.MaxAge
		}
		return nil
	})
}

// lookAtWAL is what the log of a server reaches from its base backups on; nil where
// none of them can be recovered to its end.
func lookAtWAL(ctx context.Context, r *repo.Repository, source, system string, now time.Time) (*walStatus, error) {
	survey, err := archive.Look(ctx, r, repo.WALArchive{Source: source, System: system}, archive.Options{Headers: true})
	if err != nil {
		return nil, err
	}
	_, to, ok := survey.Window()
	if !ok {
		return nil, nil
	}
	newest := to
	if survey.NewestStored.After(newest) {
		newest = survey.NewestStored // a server that nobody writes to has no newer commit
	}
	return &walStatus{RecoverableTo: to.UTC(), Stored: survey.NewestStored.UTC(), Age: max(0, int64(now.Sub(newest)/time.Second))}, nil
}
