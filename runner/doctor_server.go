package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// clockTolerance is how far server and runner may disagree about the time.
const clockTolerance = 30 * time.Second

// databases checks the server and every database a backup would dump.
func (d *doctor) databases(ctx context.Context) {
	if d.job != nil && d.job.Kind != job.KindLogical {
		return
	}
	dumps, _, err := d.dumps(ctx, false)
	if err != nil {
		d.add("connection", bad, "", "%v", err)
		return
	}
	for i, dump := range dumps {
		conn, err := dump.target.Connect(ctx)
		if err != nil {
			d.add("connection", bad, "", "%v", err)
			continue
		}
		d.add("connection", good, "", "%s as %s", dump.target, dump.source)
		if i == 0 {
			d.server(ctx, conn)
		}
		d.rights(ctx, conn, dump.target)
		if err := conn.Close(ctx); err != nil {
			d.log.Debug("close connection", "error", err)
		}
	}
}

// server checks what is the same for all databases of a server.
func (d *doctor) server(ctx context.Context, conn *pgx.Conn) {
	d.tools(ctx, conn)
	d.pooler(ctx, conn)
	d.clock(ctx, conn)
	d.timeouts(ctx, conn)
	d.lockTable(ctx, conn)
}

func (d *doctor) tools(ctx context.Context, conn *pgx.Conn) {
	major, err := postgres.ServerMajor(conn)
	if err != nil {
		d.add("tools", bad, "", "%v", err)
		return
	}
	tools, err := postgres.FindTools(ctx, major)
	switch {
	case err != nil:
		d.add("tools", bad, "", "%v", err)
	case tools.Major > major:
		d.add("tools", soso, fmt.Sprintf("install the client programs of PostgreSQL %d", major),
			"pg_dump %s in %s for a server of PostgreSQL %d: a restore on %d may complain about settings it does not know", tools.Version, tools.Dir, major, major)
	default:
		d.add("tools", good, "", "pg_dump %s in %s for PostgreSQL %d", tools.Version, tools.Dir, major)
	}
}

// pooler compares the process id told at connection with the session's own.
func (d *doctor) pooler(ctx context.Context, conn *pgx.Conn) {
	var pid uint32
	switch err := conn.QueryRow(ctx, "SELECT pg_catalog.pg_backend_pid()").Scan(&pid); {
	case err != nil:
		d.add("pooler", bad, "", "%v", err)
	case pid != conn.PgConn().PID():
		d.add("pooler", bad, "connect to the server itself, with PgBouncer usually port 5432 instead of 6432", "a connection pooler is in between: it can not hold the snapshot of a backup")
	default:
		d.add("pooler", good, "", "the connection leads to the server itself")
	}
}

func (d *doctor) clock(ctx context.Context, conn *pgx.Conn) {
	asked := time.Now()
	var theirs time.Time
	if err := conn.QueryRow(ctx, "SELECT pg_catalog.clock_timestamp()").Scan(&theirs); err != nil {
		d.add("clock", bad, "", "%v", err)
		return
	}
	middle := asked.Add(time.Since(asked) / 2)
	if skew := theirs.Sub(middle); skew.Abs() > clockTolerance {
		d.add("clock", soso, "switch on time synchronisation (chrony, systemd-timesyncd) on both machines", "the server's clock is %s off from this machine's", skew.Round(time.Second))
		return
	}
	d.add("clock", good, "", "server and this machine agree within %s", clockTolerance)
}

// timeouts shows what is set for the role: the runner switches them off for its
// own sessions, which tells an administrator why a backup is not ended by them.
func (d *doctor) timeouts(ctx context.Context, conn *pgx.Conn) {
	rows, err := conn.Query(ctx, `SELECT name || ' = ' || reset_val || coalesce(unit, '') FROM pg_catalog.pg_settings
		WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout') AND reset_val <> '0' ORDER BY 1`)
	if err != nil {
		d.add("timeouts", bad, "", "%v", err)
		return
	}
	set, err := pgx.CollectRows(rows, pgx.RowTo[string])
	switch {
	case err != nil:
		d.add("timeouts", bad, "", "%v", err)
	case len(set) > 0:
		d.add("timeouts", good, "", "%s: switched off for the sessions of a backup", strings.Join(set, ", "))
	default:
		d.add("timeouts", good, "", "none are set")
	}
}

// lockTable holds that every table can be locked at once: a dump locks all.
func (d *doctor) lockTable(ctx context.Context, conn *pgx.Conn) {
	var tables, slots, perTransaction int64
	err := conn.QueryRow(ctx, `SELECT
		(SELECT count(*) FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'f', 'S', 'v', 'm')),
		current_setting('max_locks_per_transaction')::int * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int),
		current_setting('max_locks_per_transaction')::int`).Scan(&tables, &slots, &perTransaction)
	switch {
	case err != nil:
		d.add("lock table", bad, "", "%v", err)
	case tables*2 > slots: // the snapshot's session and pg_dump lock each
		want := perTransaction * (tables*2/slots + 1)
		d.add("lock table", soso, fmt.Sprintf("ALTER SYSTEM SET max_locks_per_transaction = %d; then restart the server", want),
			"%s tables, room for %s locks: a backup of all at once may not fit", count(tables), count(slots))
	default:
		d.add("lock table", good, "", "%s tables, room for %s locks", count(tables), count(slots))
	}
}

// rights prints the statements that give the role what it lacks.
func (d *doctor) rights(ctx context.Context, conn *pgx.Conn, t postgres.Target) {
	var selection postgres.Selection
	if d.job != nil && d.job.Logical != nil {
		l := d.job.Logical
		selection = postgres.Selection{IncludeTables: l.IncludeTables, ExcludeTables: l.ExcludeTables, IncludeSchemas: l.IncludeSchemas, ExcludeSchemas: l.ExcludeSchemas}
	}
	problems, err := postgres.CheckRights(ctx, conn, selection)
	if err != nil {
		d.add("rights", bad, "", "database %s: %v", t.Database, err)
		return
	}
	if len(problems) == 0 {
		d.add("rights", good, "", "%s may read all of database %s", t.User, t.Database)
		return
	}
	var fixes []string
	for _, p := range problems {
		fixes = append(fixes, p.Fix+";")
	}
	d.add("rights", bad, strings.Join(fixes, "\n"), "%s may not read %d objects of database %s, the first: %s; as a superuser there, run:", t.User, len(problems), t.Database, problems[0].Detail)
}

func nonEmptyLines(text string) []string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
