package foreign

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/foreign/sqlscript"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// unfinishedMark begins the comment on a database that is being restored, as the
// restore of recovery points writes it too.
const unfinishedMark = "pgbackup: not complete, being restored from "

// maintenance connects to a database of the server that is not the target.
func (l *load) maintenance(ctx context.Context) (*pgx.Conn, error) {
	conn, err := l.Target.WithDatabase("postgres").Connect(ctx)
	if errors.Is(err, postgres.ErrNoDatabase) {
		return l.Target.WithDatabase("template1").Connect(ctx)
	}
	return conn, err
}

// examineDatabase tells whether the target database exists; postgres.ErrNotEmpty
// when it does and holds something.
func (l *load) examineDatabase(ctx context.Context) (bool, error) {
	conn, err := l.Target.Connect(ctx)
	if errors.Is(err, postgres.ErrNoDatabase) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer postgres.CloseSoon(conn)
	if err := postgres.DatabaseEmpty(ctx, conn); err != nil {
		return true, fmt.Errorf("%w; name a database that does not exist yet, or drop this one", err)
	}
	return true, nil
}

// checkServer looks for everything that the file will ask for and the server
// lacks, and tells it together.
func (l *load) checkServer(ctx context.Context) error {
	conn, err := l.maintenance(ctx)
	if err != nil {
		return err
	}
	defer postgres.CloseSoon(conn)
	if l.major, err = postgres.ServerMajor(conn); err != nil {
		return err
	}
	var problems []error
	have, err := list(ctx, conn, "extensions", "SELECT name FROM pg_catalog.pg_available_extensions")
	if err != nil {
		return err
	}
	if lacking := without(l.facts.Extensions, have); len(lacking) > 0 {
		problems = append(problems, fmt.Errorf("%w: %s; install their packages on the database server", ErrMissingExtensions, strings.Join(lacking, ", ")))
	}
	if have, err = list(ctx, conn, "roles", "SELECT rolname FROM pg_catalog.pg_roles"); err != nil {
		return err
	}
	if lacking := without(l.rolesNamed(), have); len(lacking) > 0 && !l.MakeRoles && !l.Globals {
		problems = append(problems, fmt.Errorf("%w: %s; make them, or give --no-owner --no-acl%s", ErrMissingRoles, strings.Join(lacking, ", "), l.globalsHint()))
	}
	if have, err = list(ctx, conn, "tablespaces", "SELECT spcname FROM pg_catalog.pg_tablespace"); err != nil {
		return err
	}
	// A tablespace can be done without, and on the machine that one restores to in
	// need it is seldom there.
	if lacking := without(l.facts.Tablespaces, have); len(lacking) > 0 {
		l.noTablespaces = true
		l.result.Warnings = append(l.result.Warnings, fmt.Sprintf("the server lacks the tablespaces %s: everything goes to the default tablespace", strings.Join(lacking, ", ")))
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("%s: %w", l.Source.Name, err)
	}
	return nil
}

func (l *load) globalsHint() string {
	if l.facts.Format == SQLOfAll {
		return "; --globals makes those that the file has"
	}
	return ""
}

// rolesNamed are the roles that loading will name.
func (l *load) rolesNamed() []string {
	var named []string
	if !l.NoOwner {
		named = append(named, l.facts.Owners...)
	}
	if !l.NoRights {
		named = append(named, l.facts.Grantees...)
	}
	slices.Sort(named)
	return slices.DeleteFunc(slices.Compact(named), ofRDS)
}

// prepare makes what the file needs, and the database.
func (l *load) prepare(ctx context.Context) error {
	if l.MakeRoles {
		for _, role := range l.rolesNamed() {
			if err := l.makeRole(ctx, role); err != nil {
				return err
			}
		}
	}
	if l.exists {
		return nil
	}
	conn, err := l.maintenance(ctx)
	if err != nil {
		return err
	}
	at := l.Target.WithDatabase(conn.Config().Database)
	postgres.CloseSoon(conn)
	properties := l.chosen.Properties
	if properties == (postgres.DatabaseProperties{}) {
		properties = l.Properties
	}
	err = postgres.CreateDatabase(ctx, at, l.Target.Database, properties)
	if err != nil && l.AnyLocale && properties != (postgres.DatabaseProperties{}) {
		plain := postgres.DatabaseProperties{Encoding: properties.Encoding, Collate: "C", CType: "C"}
		if fallback := postgres.CreateDatabase(ctx, at, l.Target.Database, plain); fallback == nil {
			l.result.Warnings = append(l.result.Warnings, fmt.Sprintf("the locale of the file's database (%s) is not installed here: loaded with C", properties.Collate))
			err = nil
		}
	}
	if err != nil {
		return err
	}
	l.result.Created = true
	if err := l.comment(ctx, postgres.QuoteLiteral(unfinishedMark+l.Source.Name)); err != nil {
		l.Log.Warn("the new database could not be marked as unfinished", "database", l.Target.Database, "error", err)
	}
	return nil
}

// comment puts one on a database that this call made; literal is SQL.
func (l *load) comment(ctx context.Context, literal string) error {
	if !l.result.Created {
		return nil
	}
	conn, err := l.maintenance(ctx)
	if err != nil {
		return err
	}
	defer postgres.CloseSoon(conn)
	_, err = conn.Exec(ctx, "COMMENT ON DATABASE "+pgx.Identifier{l.Target.Database}.Sanitize()+" IS "+literal)
	return err
}

// makeRole makes a role that nobody can log in as, unless it is there.
func (l *load) makeRole(ctx context.Context, name string) error {
	conn, err := l.maintenance(ctx)
	if err != nil {
		return err
	}
	defer postgres.CloseSoon(conn)
	var there bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = $1)", name).Scan(&there); err != nil || there {
		return err
	}
	if _, err := conn.Exec(ctx, "CREATE ROLE "+pgx.Identifier{name}.Sanitize()+" NOLOGIN"); err != nil {
		return fmt.Errorf("make role %s: %w", name, err)
	}
	return nil
}

// undo drops a half-loaded database that this call made; it returns the error that
// caused it.
func (l *load) undo(ctx context.Context, why error) error {
	if !l.result.Created {
		return fmt.Errorf("%w (database %s was there before and now holds a part of the file: empty it before the next try)", why, l.Target.Database)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	conn, err := l.maintenance(ctx)
	if err == nil {
		defer postgres.CloseSoon(conn)
		_, err = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{l.Target.Database}.Sanitize()+" WITH (FORCE)")
	}
	if err != nil {
		return fmt.Errorf("%w (and the unfinished database %s could not be dropped; drop it before the next try: %w)", why, l.Target.Database, err)
	}
	l.result.Created = false
	return why
}

func list(ctx context.Context, conn *pgx.Conn, what, query string) ([]string, error) {
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", what, err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", what, err)
	}
	return found, nil
}

// without are those that are not had.
func without(wanted, had []string) []string {
	return slices.DeleteFunc(slices.Clone(wanted), func(name string) bool { return slices.Contains(had, name) })
}

// globals runs what a dump of pg_dumpall has about roles that the server lacks.
// Roles that exist are not touched.
type globals struct {
	load *load
	made map[string]bool
}

var grantor = regexp.MustCompile(`(?s)\s+GRANTED BY .*$`)

func (g *globals) run(ctx context.Context, item sqlscript.Item) (bool, error) {
	t := item.Tokens
	sql := item.Text
	switch {
	case t.Begin("CREATE", "ROLE") && len(t) == 3:
		if name := t.Name(2); !ofRDS(name) && !strings.HasPrefix(name, "pg_") {
			conn, err := g.load.maintenance(ctx)
			if err != nil {
				return false, err
			}
			defer postgres.CloseSoon(conn)
			have, err := list(ctx, conn, "roles", "SELECT rolname FROM pg_catalog.pg_roles")
			if err != nil || slices.Contains(have, name) {
				return err == nil, err
			}
			g.made[name] = true
		} else {
			return false, nil
		}
	case (t.Begin("ALTER", "ROLE") || t.Begin("COMMENT", "ON", "ROLE")) && t.Find("IN", "DATABASE") < 0:
		at := 2
		if t.Begin("COMMENT") {
			at = 3
		}
		if !g.made[t.Name(at)] {
			return true, nil
		}
	case t.Begin("GRANT") && t.Find("ON") < 0 && t.Find("TO") == 2:
		if !g.made[t.Name(3)] || ofRDS(t.Name(1)) {
			return true, nil
		}
		sql = grantor.ReplaceAllString(sql, "") // a role of the old server
	default:
		return false, nil
	}
	conn, err := g.load.maintenance(ctx)
	if err != nil {
		return false, err
	}
	defer postgres.CloseSoon(conn)
	if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		// The statement may hold a password hash and is not repeated.
		return false, fmt.Errorf("line %d: make the roles of the file: %w", item.Line, err)
	}
	return true, nil
}
