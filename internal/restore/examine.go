package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// ErrOlderServer: the server is older than the one the backup was taken of.
var ErrOlderServer = errors.New("the server is older than the backup's")

// ErrUnfit: the server can not hold the database as it was: its encoding, its
// locale, or the right to create it.
var ErrUnfit = errors.New("the server can not make this database")

// Unfit is everything that stands in the way of a restore, found before anything
// was changed. errors.Is finds each of them.
type Unfit struct{ Problems []error }

// Error says all problems in one line.
func (u *Unfit) Error() string {
	if len(u.Problems) == 1 {
		return u.Problems[0].Error()
	}
	texts := make([]string, len(u.Problems))
	for i, p := range u.Problems {
		texts[i] = fmt.Sprintf("(%d) %v", i+1, p)
	}
	return fmt.Sprintf("nothing was changed, because %d things stand in the way: %s", len(u.Problems), strings.Join(texts, "; "))
}

// Unwrap gives errors.Is and errors.As every problem.
func (u *Unfit) Unwrap() []error { return u.Problems }

// server is what is known of the server before a restore.
type server struct {
	version                                  string
	major                                    int
	user                                     string
	canCreate                                bool // databases
	roles, extensions, tablespaces, settings map[string]bool
}

func (r *run) readServer(ctx context.Context, conn *pgx.Conn) (server, error) {
	s := server{version: conn.PgConn().ParameterStatus("server_version")}
	var err error
	if s.major, err = postgres.ServerMajor(conn); err != nil {
		return s, err
	}
	err = conn.QueryRow(ctx, "SELECT current_user, rolcreatedb OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user").Scan(&s.user, &s.canCreate)
	if err != nil {
		return s, fmt.Errorf("read the rights of the role that restores: %w", err)
	}
	if s.roles, err = r.roleNames(ctx, conn); err != nil {
		return s, err
	}
	for _, set := range []struct {
		into        *map[string]bool
		what, query string
	}{
		{&s.extensions, "extensions", "SELECT name FROM pg_catalog.pg_available_extensions"},
		{&s.tablespaces, "tablespaces", "SELECT spcname FROM pg_catalog.pg_tablespace"},
		{&s.settings, "settings", "SELECT name FROM pg_catalog.pg_settings"},
	} {
		if *set.into, err = nameSet(ctx, conn, set.what, set.query); err != nil {
			return s, err
		}
	}
	return s, nil
}

// examination is what examine found.
type examination struct {
	exists bool        // the target database
	roles  []statement // that make the roles of the backup that the server lacks
}

// examine holds the backup against the server and the database, changing
// nothing. All that stands in the way is one *Unfit.
func (r *run) examine(ctx context.Context) (examination, error) {
	var x examination
	conn, err := r.maintenance(ctx)
	if err != nil {
		return x, err
	}
	defer postgres.CloseSoon(conn)
	s, err := r.readServer(ctx, conn)
	if err != nil {
		return x, err
	}
	r.result.Server = s.version
	if err := r.rewrite(s.roles); err != nil {
		return x, err
	}
	var problems []error
	add := func(more ...error) {
		problems = append(problems, slices.DeleteFunc(more, func(err error) bool { return err == nil })...)
	}
	add(r.checkVersion(s))
	target, err := r.Target.Connect(ctx)
	switch {
	case errors.Is(err, postgres.ErrNoDatabase):
		add(r.checkNewDatabase(ctx, conn, s)...)
	case err != nil:
		return x, err
	default:
		defer postgres.CloseSoon(target)
		x.exists = true
	}
	found, err := r.checkDatabase(ctx, target)
	if err != nil {
		return x, err
	}
	add(found...)
	add(r.checkExtensions(s))
	r.checkTablespaces(s)
	if err := r.checkSettings(ctx, s); err != nil {
		return x, err
	}
	if r.Globals {
		if x.roles, err = r.roleStatements(ctx, s.roles); err != nil {
			return x, err
		}
		for _, role := range x.roles {
			s.roles[role.role] = true
		}
	}
	add(r.refuseMissing(s.roles))
	if len(problems) > 0 {
		return x, &Unfit{problems}
	}
	return x, nil
}

// checkVersion refuses a server older than the backup's. A newer one is what
// dumps are made for.
func (r *run) checkVersion(s server) error {
	of, err := strconv.Atoi(leadingDigits(r.toc.Header.ServerVersion))
	if err != nil || s.major >= of {
		return nil //nolint:nilerr // an archive that does not say is of no known version
	}
	return fmt.Errorf("%w: it is PostgreSQL %s, the backup is of %s, and what newer servers write older ones need not understand; restore into PostgreSQL %d or newer (`cat` writes the archive for trying with pg_restore)",
		ErrOlderServer, s.version, r.toc.Header.ServerVersion, of)
}

// checkNewDatabase looks for what CREATE DATABASE would refuse.
func (r *run) checkNewDatabase(ctx context.Context, conn *pgx.Conn, s server) []error {
	var problems []error
	if r.Select.DataOnly {
		problems = append(problems, fmt.Errorf("%w: database %s does not exist; only data needs the tables", ErrNoTable, r.Target.Database))
	}
	if !s.canCreate {
		problems = append(problems, fmt.Errorf("%w: role %s may not create databases: ALTER ROLE %s CREATEDB, or let somebody create %s", ErrUnfit, s.user, pgx.Identifier{s.user}.Sanitize(), r.Target.Database))
	}
	p := r.point.Server
	switch {
	case p.LocaleProvider == "builtin" && s.major < 17, p.LocaleProvider == "icu" && s.major < 15:
		problems = append(problems, fmt.Errorf("%w: the backup's database has its locale from %s, which PostgreSQL %d does not offer for databases; create %s by hand with another locale", ErrUnfit, p.LocaleProvider, s.major, r.Target.Database))
	default:
		if missing := r.missingLocale(ctx, conn); missing != "" {
			problems = append(problems, fmt.Errorf("%w: it does not have the locale %s of the backup's database; install it there (locale-gen), or create %s by hand with another locale", ErrUnfit, missing, r.Target.Database))
		}
	}
	return problems
}

// missingLocale is the locale of the backup that the server surely lacks. It
// tries to make a collation of it, and takes that back.
func (r *run) missingLocale(ctx context.Context, conn *pgx.Conn) string {
	p := r.point.Server
	var encoding string
	if err := conn.QueryRow(ctx, "SELECT pg_catalog.pg_encoding_to_char(encoding) FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()").Scan(&encoding); err != nil || encoding != p.Encoding {
		return "" // a locale is tried in the encoding of the database at hand
	}
	locales := []string{p.Collate, p.Ctype}
	options := "provider = libc, locale = "
	if p.LocaleProvider == "icu" {
		locales, options = []string{p.Locale}, "provider = icu, locale = "
	}
	for _, locale := range locales {
		if locale == "" || p.LocaleProvider == "builtin" {
			continue
		}
		tx, err := conn.Begin(ctx)
		if err != nil {
			return ""
		}
		_, err = tx.Exec(ctx, "CREATE COLLATION pg_temp.pgbackup_probe ("+options+postgres.QuoteLiteral(locale)+")")
		_ = tx.Rollback(ctx) // nothing is to be kept
		if code := sqlState(err); code == "22023" || code == "0A000" {
			return locale
		}
	}
	return ""
}

// checkDatabase looks at the target database; conn is nil when it does not exist.
func (r *run) checkDatabase(ctx context.Context, conn *pgx.Conn) ([]error, error) {
	var problems []error
	if conn != nil {
		problem, err := r.checkEncoding(ctx, conn)
		if err != nil {
			return nil, err
		}
		if problem != nil {
			problems = append(problems, problem)
		}
	}
	if r.Select.Everything() {
		if conn == nil {
			return problems, nil
		}
		if err := r.checkEmpty(ctx, conn); errors.Is(err, ErrNotEmpty) {
			problems = append(problems, err)
		} else if err != nil {
			return nil, err
		}
		return problems, nil
	}
	// The names to look for are in the archive's encoding.
	if of := r.point.Server.Encoding; conn != nil && of != "" {
		if err := exec(ctx, conn, "SET client_encoding = "+postgres.QuoteLiteral(of)); err != nil {
			return nil, err
		}
	}
	if r.Select.DataOnly {
		if conn == nil {
			return problems, nil // said already
		}
		missing, err := r.checkTables(ctx, conn)
		return append(problems, missing...), err
	}
	more, err := r.settle(ctx, &lookup{conn: conn, known: map[int32]bool{}})
	return append(problems, more...), err
}

func (r *run) checkEmpty(ctx context.Context, conn *pgx.Conn) error {
	err := postgres.DatabaseEmpty(ctx, conn)
	if !errors.Is(err, ErrNotEmpty) {
		return err
	}
	if what := unfinished(ctx, conn); what != "" {
		return fmt.Errorf("%w: it is what is left of a restore that did not end (%s); drop it and try again", err, what)
	}
	return fmt.Errorf("%w; name a database that does not exist yet, or drop this one", err)
}

// checkEncoding refuses a database whose encoding the server can not turn the
// backup's text into, and warns where some characters may have no place.
func (r *run) checkEncoding(ctx context.Context, conn *pgx.Conn) (problem, err error) {
	of := r.point.Server.Encoding
	var is string
	var converts bool
	err = conn.QueryRow(ctx, `SELECT pg_catalog.pg_encoding_to_char(d.encoding),
  EXISTS (SELECT FROM pg_catalog.pg_conversion c WHERE c.condefault AND c.contoencoding = d.encoding AND c.conforencoding = pg_catalog.pg_char_to_encoding($1))
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()`, of).Scan(&is, &converts)
	if err != nil {
		return nil, fmt.Errorf("read the encoding of database %s: %w", r.Target.Database, err)
	}
	switch {
	case is == of || is == "SQL_ASCII" || of == "":
	case of == "SQL_ASCII":
		r.warn("the backup's database has no encoding (SQL_ASCII) and %s has %s: bytes that are not valid there would end the restore", r.Target.Database, is)
	case !converts:
		return fmt.Errorf("%w: database %s has encoding %s, into which text in %s can not be turned; name a database that does not exist yet", ErrUnfit, r.Target.Database, is, of), nil
	case is != "UTF8":
		r.warn("database %s has encoding %s and the backup %s: a character without a place in %s would end the restore", r.Target.Database, is, of, is)
	}
	return nil, nil
}

// checkTables holds that the tables for data alone are there and empty.
func (r *run) checkTables(ctx context.Context, conn *pgx.Conn) ([]error, error) {
	var missing, filled []string
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		if !r.wanted(e) {
			continue
		}
		var there, rows bool
		name := pgx.Identifier{e.Namespace, e.Tag}.Sanitize()
		if err := conn.QueryRow(ctx, "SELECT pg_catalog.to_regclass($1) IS NOT NULL", name).Scan(&there); err != nil {
			return nil, fmt.Errorf("look for %s: %w", name, err)
		}
		if !there {
			missing = append(missing, e.Namespace+"."+e.Tag)
			continue
		}
		if e.Desc != "TABLE DATA" {
			continue
		}
		if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM ONLY "+name+")").Scan(&rows); err != nil {
			return nil, fmt.Errorf("look whether %s is empty: %w", name, err)
		}
		if rows {
			filled = append(filled, e.Namespace+"."+e.Tag)
		}
	}
	var problems []error
	if len(missing) > 0 {
		problems = append(problems, fmt.Errorf("%w: database %s does not have %s; restore them with their definition (without --data-only)", ErrNoTable, r.Target.Database, list(missing)))
	}
	if len(filled) > 0 {
		problems = append(problems, fmt.Errorf("%w: in database %s these have rows: %s; empty them, or restore into another database", ErrNoTable, r.Target.Database, list(filled)))
	}
	return problems, nil
}

// checkExtensions looks for the extensions that the archive makes: they can not
// be done without. An archive does not say their versions.
func (r *run) checkExtensions(s server) error {
	var lacking []string
	for i := range r.toc.Entries {
		if e := &r.toc.Entries[i]; e.Desc == "EXTENSION" && r.wanted(e) && !s.extensions[e.Tag] {
			lacking = append(lacking, e.Tag)
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s; install their packages on the database server", ErrMissingExtensions, strings.Join(lacking, ", "))
}

// checkTablespaces looks for the tablespaces that the archive names. They can be
// done without, and on the machine that one restores to in need they are seldom
// there.
func (r *run) checkTablespaces(s server) {
	missing := map[string]bool{}
	for i := range r.toc.Entries {
		if e := &r.toc.Entries[i]; e.Tablespace != "" && r.wanted(e) && !s.tablespaces[e.Tablespace] {
			missing[e.Tablespace] = true
		}
	}
	if len(missing) > 0 {
		r.noTablespaces = true
		r.warn("the server lacks the tablespaces %s: everything goes to the default tablespace", strings.Join(sorted(missing), ", "))
	}
}

// checkSettings finds what pg_restore would set and the server does not know,
// because pg_restore is the newer.
func (r *run) checkSettings(ctx context.Context, s server) error {
	if s.major >= r.tools.Major {
		return nil
	}
	set, err := postgres.ScriptSettings(ctx, r.tools, r.toc.Raw)
	if err != nil {
		return err
	}
	r.unknownSettings = slices.DeleteFunc(set, func(name string) bool { return s.settings[name] })
	for _, name := range r.unknownSettings {
		r.warn("the server does not know the setting %s, which pg_restore %s makes: it is left out", name, r.tools.Version)
	}
	return nil
}
