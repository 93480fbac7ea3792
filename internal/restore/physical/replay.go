package physical

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// replay is how far a server has come.
type replay struct {
	recovering bool
	pause      string // of pg_get_wal_replay_pause_state, while it recovers
	lsn        pgwal.LSN
	time       time.Time      // of the last transaction that was replayed
	timeline   pgwal.Timeline // once it does not recover any more
}

const replayQuery = `SELECT r, CASE WHEN r THEN pg_get_wal_replay_pause_state() ELSE '' END,
  coalesce(pg_last_wal_replay_lsn(), '0/0')::text, pg_last_xact_replay_timestamp(),
  CASE WHEN r THEN '' ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END
FROM pg_is_in_recovery() AS r`

// wait asks the server again and again how far it is, until it is there.
func (p *private) wait(ctx context.Context, there func(replay) bool) (replay, error) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		s, err := p.ask(ctx)
		if err == nil {
			if s.pause == "paused" {
				if err := low(p.logged()); err != nil {
					return s, fmt.Errorf("%w: %w", ErrRecovery, err)
				}
			}
			if there(s) {
				return s, nil
			}
			p.restore.step(fmt.Sprintf("recovering %s, replayed to %s", p.restore.goal(), s.lsn))
		}
		select {
		case <-p.exited:
			if err := low(p.logged()); err != nil {
				return replay{}, fmt.Errorf("%w: %w: the server on %s ended: %s", ErrRecovery, err, p.restore.Directory, p.said())
			}
			return replay{}, fmt.Errorf("%w: the server on %s ended: %s", ErrRecovery, p.restore.Directory, p.said())
		case <-ctx.Done():
			return replay{}, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// ask asks once. Until the server is consistent it lets nobody in.
func (p *private) ask(ctx context.Context) (replay, error) {
	var s replay
	if p.conn == nil || p.conn.IsClosed() {
		if err := p.connect(ctx); err != nil {
			return s, err
		}
	}
	var lsn, timeline string
	var at *time.Time
	if err := p.conn.QueryRow(ctx, replayQuery).Scan(&s.recovering, &s.pause, &lsn, &at, &timeline); err != nil {
		return s, err
	}
	if at != nil {
		s.time = at.UTC()
	}
	var err error
	if s.lsn, err = pgwal.ParseLSN(lsn); err == nil && timeline != "" {
		s.timeline, err = pgwal.ParseTimeline(timeline)
	}
	return s, err
}

func (p *private) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var errs []error
	for _, database := range []string{"postgres", "template1"} {
		config, err := pgx.ParseConfig("sslmode=disable")
		if err != nil {
			return err
		}
		config.Host, config.Port, config.User, config.Password = p.dir, privatePort, cmp.Or(p.restore.top().Physical.Superuser, "postgres"), ""
		config.Database, config.Fallbacks = database, nil
		config.RuntimeParams = map[string]string{"application_name": "pgbackup"}
		conn, err := pgx.ConnectConfig(ctx, config)
		if err == nil {
			p.conn = conn
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
