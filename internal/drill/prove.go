package drill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/heartbeat"
)

// clockStep is how far the server's clock may have been set back between a heartbeat
// and its commit: what looks later than the moment by no more than that is no fault.
const clockStep = time.Second

// beatSlack is how much longer than its interval a heartbeat may be away: the receiver
// waits for its last one to be committed.
const beatSlack = 5 * time.Second

// prove finds out which moment the recovered server knows of, and holds it against what
// was asked for.
func (r *run) prove(ctx context.Context, at *recoveredServer) error {
	if err := at.replayed(ctx, r.report.Recovery); err != nil {
		return fmt.Errorf("ask the recovered server how far it came: %w", err)
	}
	if err := at.heartbeat(ctx, r.report.Recovery); err != nil {
		return fmt.Errorf("read the heartbeat in the recovered server: %w", err)
	}
	judgeMoment(r.report.Recovery, r)
	return nil
}

// replayed notes the last transaction and the position that recovery ended at.
func (s *recoveredServer) replayed(ctx context.Context, rec *drillreport.Recovery) error {
	conn, err := s.cluster.Target("postgres").Connect(ctx)
	if err != nil {
		return err
	}
	defer postgres.CloseSoon(conn)
	var commit *time.Time
	var lsn *string
	if err := conn.QueryRow(ctx, "SELECT pg_catalog.pg_last_xact_replay_timestamp(), pg_catalog.pg_last_wal_replay_lsn()::text").Scan(&commit, &lsn); err != nil {
		return err
	}
	if commit != nil {
		rec.Commit = commit.UTC()
	}
	if lsn != nil {
		rec.LSN = *lsn
	}
	return nil
}

// heartbeat notes the newest one of the source. In which database the receiver writes
// it is not known here.
func (s *recoveredServer) heartbeat(ctx context.Context, rec *drillreport.Recovery) error {
	databases, err := postgres.ListDatabases(ctx, s.cluster.Target("postgres"))
	if err != nil {
		return err
	}
	for _, name := range databases {
		found, err := s.beatIn(ctx, name, rec)
		if found || err != nil {
			return err
		}
	}
	return nil
}

func (s *recoveredServer) beatIn(ctx context.Context, database string, rec *drillreport.Recovery) (bool, error) {
	conn, err := s.cluster.Target(database).Connect(ctx)
	if err != nil {
		return false, err
	}
	defer postgres.CloseSoon(conn)
	var there bool
	// A view of that name could be anything.
	if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = 'pgbackup' AND c.relname = 'heartbeat' AND c.relkind = 'r')`).Scan(&there); err != nil || !there {
		return false, err
	}
	beat, err := heartbeat.Read(ctx, conn, s.run.Source)
	if errors.Is(err, heartbeat.ErrNone) {
		return false, nil
	}
	if err == nil {
		rec.Heartbeat, rec.Every = beat.At.UTC(), beat.Every.Seconds()
	}
	return true, err
}

// judging is who is told what a recovery lacks.
type judging interface {
	// tooFew: the WAL of the archive, and no base backup, is at fault.
	tooFew(format string, args ...any)
	// wrong: what was restored is not what it should be.
	wrong(format string, args ...any)
	warn(format string, args ...any)
}

// judgeMoment says what proves the moment that was reached, and whether it is the one
// that was asked for. A server that is told a moment fails where its WAL ends before it;
// told to replay all there is, it takes the first damage for the end. So of the first
// is looked whether there is too much, of the second whether there is too little.
func judgeMoment(rec *drillreport.Recovery, told judging) {
	asked := rec.Target
	if asked.IsZero() {
		asked = rec.To
	}
	rec.Achieved, rec.By = rec.Heartbeat, drillreport.ByHeartbeat
	if rec.Commit.After(rec.Achieved) && (rec.Heartbeat.IsZero() || away(rec, asked) > 0) {
		rec.Achieved, rec.By = rec.Commit, drillreport.ByCommit
	}
	if rec.Achieved.IsZero() {
		rec.By = ""
	} else {
		rec.Behind = max(0, asked.Sub(rec.Achieved).Seconds())
	}
	newest := rec.Commit
	if rec.Heartbeat.After(newest) {
		newest = rec.Heartbeat
	}
	switch {
	case !rec.Target.IsZero() && newest.After(rec.Target.Add(clockStep)):
		told.wrong("the server was recovered to %s, and holds what was committed at %s, after that", exact(rec.Target), exact(newest))
	case rec.Target.IsZero() && newest.Before(rec.To) && rec.To.After(rec.From):
		told.tooFew("a commit of %s is archived, and what was recovered from all WAL there is ends %s before", exact(rec.To), rec.To.Sub(newest).Round(time.Millisecond))
	case rec.Every > 0 && away(rec, asked) > 0:
		told.warn("the newest heartbeat at the moment %s is of %s, and one is written every %s: the receiver was away then, and what proves the moment is the last commit, of %s",
			exact(asked), exact(rec.Heartbeat), interval(rec.Every), exact(rec.Commit))
	}
}

// away is by how much the newest heartbeat is older than one should be.
func away(rec *drillreport.Recovery, asked time.Time) time.Duration {
	return asked.Sub(rec.Heartbeat) - interval(rec.Every) - beatSlack
}

func interval(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

func exact(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000Z") }

func (r *run) wrong(format string, args ...any) { r.bad = append(r.bad, fmt.Sprintf(format, args...)) }

func (r *run) tooFew(format string, args ...any) {
	r.wrong(format, args...)
	r.ofWAL = true
}
