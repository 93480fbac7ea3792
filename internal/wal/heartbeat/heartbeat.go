// Package heartbeat writes the time into a table of a server, again and again. The row
// goes through the server's log like all that is committed, so a server that was
// recovered tells by itself which moment it was brought to.
//
// What lives here: the table, writing and reading its row. What must not: judging what
// was read (package drill).
package heartbeat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// ErrNone: there is no row of the source, or no table.
var ErrNone = errors.New("no heartbeat")

// DefaultDatabase is the one that is written into where none is said.
const DefaultDatabase = "postgres"

// Options of Run.
type Options struct {
	Target   postgres.Target
	Database string        // "" is DefaultDatabase
	Source   string        // of the archive: the row's name
	Every    time.Duration // 0 is job.DefaultHeartbeat
	Runner   string        // who writes it, for people
	Log      *slog.Logger
}

// Beat is the row.
type Beat struct {
	At     time.Time     // when it was written, by the server's clock
	Every  time.Duration // when the next one was due after it
	Runner string
}

// Create makes the table. Who wants to give a role less than the right to do that
// makes it beforehand, and grants SELECT, INSERT and UPDATE on it and USAGE on its schema.
const Create = `CREATE SCHEMA IF NOT EXISTS pgbackup;
CREATE TABLE IF NOT EXISTS pgbackup.heartbeat (source text PRIMARY KEY, at timestamptz NOT NULL, every_seconds double precision NOT NULL, runner text)`

// beat is HOT-updated: the row stays on its page, and dead versions are cleared as it is
// read. The server's clock of the statement is that of the commit, but for its own time.
const beat = `INSERT INTO pgbackup.heartbeat AS h (source, at, every_seconds, runner) VALUES ($1, pg_catalog.clock_timestamp(), $2, $3)
ON CONFLICT (source) DO UPDATE SET at = EXCLUDED.at, every_seconds = EXCLUDED.every_seconds, runner = EXCLUDED.runner`

// longestPause between tries after a failure.
const longestPause = time.Minute

// Run writes the row until ctx ends. Whatever fails is told and tried again: a standby,
// which is read-only, may be promoted, and a server comes back. It never asks anything
// of WAL itself.
func Run(ctx context.Context, o Options) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Database == "" {
		o.Database = DefaultDatabase
	}
	if o.Every <= 0 {
		o.Every = job.DefaultHeartbeat
	}
	wait, told := time.Second, time.Time{}
	for {
		begun := time.Now()
		err := o.beatUntil(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(begun) > longestPause {
			wait = time.Second
		}
		if time.Since(told) > longestPause {
			o.Log.Warn("the heartbeat can not be written, trying again; WAL is received all the same", "source", o.Source, "database", o.Database, "error", err)
			told = time.Now()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, longestPause)
	}
}

// beatUntil writes the row over one connection until that fails.
func (o Options) beatUntil(ctx context.Context) error {
	conn, err := o.Target.WithDatabase(o.Database).Connect(ctx)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	if err := create(ctx, conn); err != nil {
		return err
	}
	tick := time.NewTicker(o.Every)
	defer tick.Stop()
	for {
		if err := o.write(ctx, conn); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// create makes the table where it is not there, which takes other rights than writing.
func create(ctx context.Context, conn *pgx.Conn) error {
	var there bool
	if err := conn.QueryRow(ctx, "SELECT pg_catalog.to_regclass('pgbackup.heartbeat') IS NOT NULL").Scan(&there); err != nil || there {
		return wrap(err)
	}
	if _, err := conn.PgConn().Exec(ctx, Create).ReadAll(); err != nil {
		return wrap(fmt.Errorf("make its table: %w; the role needs CREATE on the database, or the table pgbackup.heartbeat made for it", err))
	}
	return nil
}

// writeTimeout bounds one beat: a server that waits for a synchronous standby answers
// late or never.
const writeTimeout = 30 * time.Second

func (o Options) write(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	_, err := conn.Exec(ctx, beat, o.Source, o.Every.Seconds(), o.Runner)
	return wrap(err)
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("write the heartbeat: %w", err)
}

// Read is the row of a source, from the database that conn is connected to. Errors:
// ErrNone.
func Read(ctx context.Context, conn *pgx.Conn, source string) (Beat, error) {
	var b Beat
	var seconds float64
	err := conn.QueryRow(ctx, "SELECT at, every_seconds, coalesce(runner, '') FROM pgbackup.heartbeat WHERE source = $1", source).Scan(&b.At, &seconds, &b.Runner)
	var pgErr *pgconn.PgError
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return b, fmt.Errorf("%w of %s in database %s", ErrNone, source, conn.Config().Database)
	case errors.As(err, &pgErr) && (pgErr.Code == "42P01" || pgErr.Code == "3F000"): // undefined_table, invalid_schema_name
		return b, fmt.Errorf("%w: there is no table pgbackup.heartbeat in database %s", ErrNone, conn.Config().Database)
	case err != nil:
		return b, fmt.Errorf("read the heartbeat of %s: %w", source, err)
	}
	b.Every = time.Duration(seconds * float64(time.Second))
	return b, nil
}
