package runbook

import (
	"context"
	"errors"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Log is what the archived log of a server reaches, from its base backups on.
type Log struct {
	// From and To are the window that is reachable, by the server's clock; zero where no
	// base backup leads anywhere. Gap is what ends it, nil where it is the archive's end.
	From, To time.Time
	Gap      *archive.Gap
	// Before is the newest gap before the window; nil for none.
	Before *archive.Gap
	// Problem is why nothing of this is known, "" where it is.
	Problem string
}

// logTime is how long the archives of all servers may be looked at: of a long one all is
// listed, and a page without its window is better than none.
const logTime = 30 * time.Second

// addLogs looks at the archived log of each source of base backups.
func (f *Facts) addLogs(ctx context.Context, r *repo.Repository) error {
	bounded, stop := context.WithTimeout(ctx, logTime)
	defer stop()
	const readers = 4
	return parallel.Each(ctx, readers, len(f.Sources), func(_ context.Context, i int) error {
		s := &f.Sources[i]
		if s.Kind != string(job.KindPhysical) || s.Newest == nil {
			return nil
		}
		survey, err := archive.Look(bounded, r, repo.WALArchive{Source: s.Source, System: s.Newest.Server.SystemIdentifier}, archive.Options{Headers: true})
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, context.DeadlineExceeded):
			s.Log = &Log{Problem: "it could not be read in " + logTime.String()}
		case err != nil:
			s.Log = &Log{Problem: err.Error()}
		default:
			s.Log = reach(survey)
		}
		return nil
	})
}

// reach is the window of a survey. Where no base backup leads to the end of the archive it
// is what can be recovered up to the gap that is in the way.
func reach(s *archive.Survey) *Log {
	l := &Log{}
	gaps := s.Gaps() // of the newest base backups first
	if from, to, ok := s.Window(); ok {
		l.From, l.To = from, to
		if len(gaps) > 0 {
			l.Before = &gaps[0]
		}
		return l
	}
	for _, b := range s.Bases { // newest first
		w, has := b.Window(s.Current)
		switch {
		case !has || b.Problem != "":
		case l.Gap == nil:
			l.From, l.To, l.Gap = w.From, w.To, w.Gap
		case w.Gap != nil && w.Gap.From == l.Gap.From && w.From.Before(l.From):
			l.From = w.From
		}
	}
	return l
}
