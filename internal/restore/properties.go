package restore

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
)

// aboutDatabase tells the entries that speak of the database itself. pg_restore
// runs them only with --create, and then under the old name.
func aboutDatabase(e *pgarchive.Entry) bool {
	switch e.Desc {
	case "DATABASE", "DATABASE PROPERTIES":
		return true
	case "ACL", "COMMENT", "SECURITY LABEL":
		return strings.HasPrefix(e.Tag, "DATABASE ")
	}
	return false
}

// ofDatabase finds the name of the database in a statement about it.
var ofDatabase = regexp.MustCompile(`(?s)^((?:ALTER DATABASE|ALTER ROLE ` + identifier + ` IN DATABASE|COMMENT ON DATABASE|SECURITY LABEL FOR ` + identifier +
	` ON DATABASE|(?:GRANT|REVOKE) [A-Z, ]+ ON DATABASE) )` + identifier + `( .*)$`)

// renamed is a statement about database old as one about database name; false
// when it is about neither.
func renamed(sql, old, name string) (string, bool) {
	m := ofDatabase.FindStringSubmatch(sql)
	if m == nil || unquote(m[4]) != old {
		return "", false
	}
	return m[1] + pgx.Identifier{name}.Sanitize() + m[5], true
}

// preloads finds settings that load libraries into every session.
var preloads = regexp.MustCompile(` SET "?(?:session|local)_preload_libraries"? `)

// propertyStatements are owner, settings, rights and comment of the database.
func (r *run) propertyStatements() []string {
	var all []string
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		if !aboutDatabase(e) || !r.wanted(e) || r.Select.named() {
			continue
		}
		if e.Desc == "DATABASE" {
			if e.Owner != "" && !r.NoOwner {
				all = append(all, "ALTER DATABASE "+pgx.Identifier{r.Target.Database}.Sanitize()+" OWNER TO "+pgx.Identifier{e.Owner}.Sanitize())
			}
			continue
		}
		if e.Desc == "ACL" && r.NoPrivileges {
			continue
		}
		for _, s := range statements(e.Defn) {
			if s, ok := renamed(s, r.toc.Header.Database, r.Target.Database); ok && (!r.Isolated || !preloads.MatchString(s)) {
				all = append(all, s)
			}
		}
	}
	return all
}

// setProperties gives a database that this run made what the old one had beside
// its contents. It comes last, since a setting such as
// default_transaction_read_only would be in the way before. The data is back by
// then, so what can not be set is a warning.
func (r *run) setProperties(ctx context.Context) error {
	all := r.propertyStatements()
	if r.result.Created {
		if err := r.comment(ctx, "NULL"); err != nil { // complete from here on
			return err
		}
	}
	if len(all) == 0 {
		return nil
	}
	if !r.result.Created {
		r.Log.Info("owner, settings, rights and comment of the database itself are left as they are, because it was there before", "database", r.Target.Database)
		return nil
	}
	conn, err := r.maintenance(ctx)
	if err != nil {
		return err
	}
	defer postgres.CloseSoon(conn)
	for _, s := range all {
		if _, err := conn.Exec(ctx, s); err != nil {
			if conn.IsClosed() || ctx.Err() != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
			r.result.Warnings = append(r.result.Warnings, fmt.Sprintf("the data is restored, but this property of the database could not be set: %s: %v", s, err))
		}
	}
	return nil
}

// analyze collects the statistics without which the first queries would be slow:
// they are not in an archive, and autovacuum takes its time.
func (r *run) analyze(ctx context.Context) error {
	if !r.Analyze {
		return nil
	}
	s, err := r.newSession(ctx) // the names are in the archive's encoding
	if err != nil {
		return err
	}
	defer s.close()
	var tables []string
	if r.inserting {
		for _, e := range r.dataEntries() {
			tables = append(tables, pgx.Identifier{e.Namespace, e.Tag}.Sanitize())
		}
	} else if tables, err = postgres.OwnTables(ctx, s.conn); err != nil {
		return err
	}
	if len(tables) == 0 {
		return nil
	}
	if _, err := s.conn.PgConn().Exec(ctx, "ANALYZE "+strings.Join(tables, ", ")).ReadAll(); err != nil {
		if s.conn.IsClosed() || ctx.Err() != nil {
			return err
		}
		r.warn("the data is restored, but ANALYZE failed: %v", err)
	}
	return nil
}
