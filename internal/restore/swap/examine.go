package swap

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// database is the target as it was found.
type database struct {
	exists   bool
	oid      uint32
	owner    string
	bytes    int64
	sessions int
}

// login is who we are on the server.
type login struct {
	name                 string
	super, createDB, all bool // all: may end the sessions of every role but superusers
}

// examine finds the target and everything that would keep it from being replaced,
// all of it at once, before any work.
func (s *server) examine(ctx context.Context) (database, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return database{}, err
	}
	defer postgres.CloseSoon(conn)
	d, problems, err := s.problems(ctx, conn)
	if err != nil {
		return d, fmt.Errorf("look at database %s before replacing it: %w", s.Target.Database, err)
	}
	if len(problems) > 0 {
		return d, fmt.Errorf("replace database %s: %w, nothing was done: %s", s.Target.Database, ErrRefused, strings.Join(problems, "; "))
	}
	return d, nil
}

func (s *server) problems(ctx context.Context, conn *pgx.Conn) (d database, problems []string, err error) {
	name := s.Target.Database
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	var me login
	var standby bool
	err = conn.QueryRow(ctx, `SELECT rolname::text, rolsuper, rolcreatedb, pg_catalog.pg_has_role(rolname, 'pg_signal_backend', 'USAGE'), pg_catalog.pg_is_in_recovery()
		FROM pg_catalog.pg_roles WHERE rolname = current_user`).Scan(&me.name, &me.super, &me.createDB, &me.all, &standby)
	if err != nil {
		return d, nil, err
	}
	if standby {
		problem("this server is a standby: give the primary")
		return d, problems, nil
	}
	if !me.super && !me.createDB {
		problem("role %s may neither make nor rename databases: ALTER ROLE %s CREATEDB", me.name, quote(me.name))
	}
	var template, owns bool
	err = conn.QueryRow(ctx, `SELECT oid, datistemplate, pg_catalog.pg_get_userbyid(datdba)::text, pg_catalog.pg_has_role(datdba, 'USAGE')
		FROM pg_catalog.pg_database WHERE datname = $1`, name).Scan(&d.oid, &template, &d.owner, &owns)
	if errors.Is(err, pgx.ErrNoRows) {
		return d, problems, nil
	}
	if err != nil {
		return d, nil, err
	}
	d.exists = true
	if template {
		problem("it is a template: new databases are made from it")
	}
	if !me.super && !owns {
		problem("role %s does not own it, and only its owner may rename it: GRANT %s TO %s", me.name, quote(d.owner), quote(me.name))
	}
	if d.bytes, err = size(ctx, conn, name); err != nil {
		return d, nil, err
	}
	if err := s.bound(ctx, conn, problem); err != nil {
		return d, nil, err
	}
	return d, problems, s.sessions(ctx, conn, &d, me, problem)
}

// size is -1 where the login may not know.
func size(ctx context.Context, conn *pgx.Conn, name string) (int64, error) {
	var n int64
	err := conn.QueryRow(ctx, "SELECT pg_catalog.pg_database_size($1::name)", name).Scan(&n)
	if code(err) == "42501" {
		return -1, nil
	}
	return n, err
}

// bound finds what is tied to the database itself and would stay with the old one.
func (s *server) bound(ctx context.Context, conn *pgx.Conn, problem func(string, ...any)) error {
	for _, look := range []struct{ sql, problem string }{
		{
			// Temporary ones end with their session.
			"SELECT slot_name::text FROM pg_catalog.pg_replication_slots WHERE database = $1 AND NOT temporary ORDER BY 1",
			"it has the logical replication slots %s, which would stay with the old database while their subscribers wait for the new one: end the subscriptions, or SELECT pg_drop_replication_slot('…'), and begin them anew afterwards",
		},
		{
			"SELECT pg_catalog.quote_literal(gid) FROM pg_catalog.pg_prepared_xacts WHERE database = $1 ORDER BY 1",
			"it has the prepared transactions %s: COMMIT PREPARED or ROLLBACK PREPARED them, in that database",
		},
		{
			"SELECT subname::text FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid WHERE d.datname = $1 AND subenabled ORDER BY 1",
			"it receives from the subscriptions %s: ALTER SUBSCRIPTION … DISABLE them, in that database; those of the backup come back disabled",
		},
	} {
		rows, err := conn.Query(ctx, look.sql, s.Target.Database)
		if err != nil {
			return err
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		if len(found) > 0 {
			problem(look.problem, strings.Join(found, ", "))
		}
	}
	return nil
}

// sessions counts those in the database, and names whose we may not end.
func (s *server) sessions(ctx context.Context, conn *pgx.Conn, d *database, me login, problem func(string, ...any)) error {
	rows, err := conn.Query(ctx, `SELECT a.usename::text, r.rolsuper OR NOT pg_catalog.pg_has_role(a.usesysid, 'USAGE') AND NOT $2
		FROM pg_catalog.pg_stat_activity a JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid WHERE a.datid = $1`, d.oid, me.all)
	if err != nil {
		return err
	}
	type session struct {
		User   string
		Beyond bool // our rights
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[session])
	if err != nil {
		return err
	}
	d.sessions = len(all)
	var whose []string
	seen := map[string]bool{}
	for _, a := range all {
		if a.Beyond && !me.super && !seen[a.User] {
			seen[a.User] = true
			whose = append(whose, a.User)
		}
	}
	if len(whose) > 0 {
		problem("sessions of %s are in it, which role %s may not end: end them yourself, GRANT pg_signal_backend TO %s (it does not reach superusers), or restore as a superuser", strings.Join(whose, ", "), me.name, quote(me.name))
	}
	return nil
}
