package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
)

// ErrMissingRoles: the server lacks roles that the backup refers to.
var ErrMissingRoles = errors.New("the server lacks roles that own things in the backup or have rights on them")

// What pg_dumpall writes about roles.
var (
	createRole = regexp.MustCompile(`^CREATE ROLE ` + identifier + `$`)
	aboutRole  = regexp.MustCompile(`^(?:ALTER ROLE|COMMENT ON ROLE) ` + identifier + ` `)
	grantRole  = regexp.MustCompile(`^GRANT ` + identifier + ` TO ` + identifier + `(?: |$)`)
	// roleSetting has no password in it, unlike the other statements about a role.
	roleSetting = regexp.MustCompile(`^ALTER ROLE ` + identifier + ` SET `)
	grantedBy   = regexp.MustCompile(` GRANTED BY ` + identifier + `$`)
)

// What pg_dump writes that names a role without owning anything.
var (
	grantee     = regexp.MustCompile(`(?s)^(?:GRANT|REVOKE|ALTER DEFAULT PRIVILEGES) .* (?:TO|FROM) ` + identifier + `(?: WITH GRANT OPTION)?(?: CASCADE)?$`)
	defaultsFor = regexp.MustCompile(`^ALTER DEFAULT PRIVILEGES FOR ROLE ` + identifier + ` `)
	actingAs    = regexp.MustCompile(`^SET SESSION AUTHORIZATION ` + identifier + `$`)
	policyFor   = regexp.MustCompile(`^CREATE POLICY ` + identifier + ` ON ` + identifier + `\.` + identifier + `(?: AS RESTRICTIVE)?(?: FOR [A-Z]+)? TO ((?:` + identifier + `(?:, )?)+)`)
	mappingFor  = regexp.MustCompile(`^CREATE USER MAPPING FOR ` + identifier + ` SERVER `)
)

func (r *run) refuseMissing(have map[string]bool) error {
	missing := slices.DeleteFunc(r.namedRoles(), func(role string) bool { return have[role] })
	if len(missing) == 0 {
		return nil
	}
	fix := "--globals creates them from the backup, --no-owner --no-privileges restores without owners and rights"
	if r.Globals {
		fix = "they are not among the roles that this backup has either; create them, or restore with --no-owner --no-privileges"
	}
	return &MissingRoles{missing, fix}
}

// MissingRoles names the roles of an ErrMissingRoles, for whoever can make them.
type MissingRoles struct {
	Names []string
	fix   string
}

func (m *MissingRoles) Error() string {
	return fmt.Sprintf("%v: %s; %s", ErrMissingRoles, strings.Join(m.Names, ", "), m.fix)
}

// Is makes it an ErrMissingRoles.
func (m *MissingRoles) Is(target error) bool { return target == ErrMissingRoles }

// namedRoles are the roles that the restore will name, each once.
func (r *run) namedRoles() []string {
	var names []string
	seen := map[string]bool{}
	add := func(found ...string) {
		for _, name := range found {
			if name != "" && !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		if aboutDatabase(e) || !r.wanted(e) {
			continue // tried at the end, and no reason to fail
		}
		if !r.NoOwner && e.Section != pgarchive.SectionData {
			add(e.Owner)
		}
		switch e.Desc {
		case "ACL", "DEFAULT ACL":
			if !r.NoPrivileges {
				add(rolesOf(e)...)
			}
		case "POLICY", "USER MAPPING":
			add(rolesOf(e)...)
		}
	}
	return names
}

func rolesOf(e *pgarchive.Entry) []string {
	var names []string
	for _, s := range statements(e.Defn) {
		for _, pattern := range []*regexp.Regexp{grantee, defaultsFor, actingAs, mappingFor} {
			if m := pattern.FindStringSubmatch(s); m != nil {
				names = append(names, unquote(m[1]))
			}
		}
		if m := policyFor.FindStringSubmatch(s); m != nil {
			names = append(names, identifiers(m[4])...)
		}
	}
	// Not roles of their own: words that mean one.
	return slices.DeleteFunc(names, func(name string) bool { return name == "public" || name == "current_user" || name == "session_user" })
}

// nameSet is the set of names that a query returns.
func nameSet(ctx context.Context, conn *pgx.Conn, what, query string) (map[string]bool, error) {
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", what, err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", what, err)
	}
	have := make(map[string]bool, len(names))
	for _, n := range names {
		have[n] = true
	}
	return have, nil
}

// createRoles runs the statements, all or none.
func (r *run) createRoles(ctx context.Context, all []statement) error {
	if len(all) == 0 {
		return nil
	}
	conn, err := r.maintenance(ctx)
	if err != nil {
		return err
	}
	defer postgres.CloseSoon(conn)
	if err := r.speakAsBackup(ctx, conn); err != nil {
		return err
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("create roles: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // after Commit it has nothing to do
	for _, s := range all {
		if err := r.createRole(ctx, tx, s); err != nil {
			return fmt.Errorf("create the roles of the backup: role %s: %w", strings.ToValidUTF8(s.role, "?"), notMade{err})
		}
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("create the roles of the backup: %w", err)
	}
	return nil
}

// notMade keeps the error of a role from telling of bad data: a server whose
// databases have other encodings cannot hold each role's name.
type notMade struct{ error }

func (n notMade) Unwrap() error { return n.error }

// speakAsBackup lets a session send and give names as they stand in the backup.
func (r *run) speakAsBackup(ctx context.Context, conn *pgx.Conn) error {
	if r.point.Server.Encoding == "" {
		return nil
	}
	return exec(ctx, conn, "SET client_encoding = "+postgres.QuoteLiteral(r.point.Server.Encoding))
}

// roleNames are the roles of the server, as the backup would write their names. A
// server that cannot say them so has none of the names that are not ASCII.
func (r *run) roleNames(ctx context.Context, conn *pgx.Conn) (map[string]bool, error) {
	const query = "SELECT rolname FROM pg_catalog.pg_roles"
	if err := r.speakAsBackup(ctx, conn); err != nil {
		return nil, err
	}
	names, unsaid := nameSet(ctx, conn, "roles", query)
	if err := exec(ctx, conn, "RESET client_encoding"); err != nil {
		return nil, err
	}
	if class := sqlState(unsaid); class == "22021" || class == "22P05" {
		return nameSet(ctx, conn, "roles", query)
	}
	return names, unsaid
}

// createRole runs one statement. A setting of a role that the server does not
// know or does not let us make is a warning: the role does without.
func (r *run) createRole(ctx context.Context, tx pgx.Tx, s statement) error {
	if !roleSetting.MatchString(s.sql) {
		_, err := tx.Exec(ctx, s.sql)
		return err
	}
	nested, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	if _, err := nested.Exec(ctx, s.sql); err != nil {
		switch sqlState(err) {
		case "42704", "22023", "42501", "42602", "55P02":
			r.warn("a setting of role %s is left out: %v", s.role, err)
			return nested.Rollback(ctx)
		}
		return err
	}
	return nested.Commit(ctx)
}

// statement is one of the globals; sql may hold a password hash and is never put
// in a message.
type statement struct{ role, sql string }

// maxGlobals bounds what is read of the globals, in bytes.
const maxGlobals = 64 << 20

// roleStatements are what makes the roles of the backup that the server lacks,
// with their attributes, passwords, settings, comments and memberships. Roles
// that exist are not touched.
func (r *run) roleStatements(ctx context.Context, have map[string]bool) ([]statement, error) {
	body, err := r.point.Open(ctx, logical.StreamGlobals)
	if err != nil {
		return nil, fmt.Errorf("--globals: %w", err)
	}
	defer body.Close()
	sql, err := io.ReadAll(io.LimitReader(body, maxGlobals+1))
	if err != nil {
		return nil, fmt.Errorf("read globals of %s: %w", r.Ref, err)
	}
	if len(sql) > maxGlobals {
		return nil, fmt.Errorf("read globals of %s: more than %d bytes", r.Ref, maxGlobals)
	}
	var out []statement
	created := map[string]bool{}
	rds := map[string]bool{}
	// makes tells whether a role is to be made here, and not one of RDS's own, nor one
	// whose place another takes.
	makes := func(name string) bool {
		if ofRDS(name) && !have[name] {
			rds[name] = true
			return false
		}
		_, mapped := r.RoleMap[name]
		return !have[name] && !mapped
	}
	for _, s := range statements(string(sql)) {
		if m := createRole.FindStringSubmatch(s); m != nil {
			if name := unquote(m[1]); makes(name) {
				created[name] = true
				out = append(out, statement{name, s})
			}
		} else if m := aboutRole.FindStringSubmatch(s); m != nil {
			if name := unquote(m[1]); created[name] {
				out = append(out, statement{name, s})
			}
		} else if m := grantRole.FindStringSubmatch(s); m != nil {
			role, member := unquote(m[1]), unquote(m[2])
			if (created[member] || have[member]) && (created[role] || have[role]) && (created[member] || created[role]) {
				// The grantor is a role of the old server.
				out = append(out, statement{member, grantedBy.ReplaceAllString(s, "")})
			}
		}
	}
	if len(rds) > 0 {
		r.warn("roles that only Amazon RDS has are not created: %s", strings.Join(sorted(rds), ", "))
	}
	return out, nil
}
