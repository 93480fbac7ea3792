package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// DatabaseProperties are what CREATE DATABASE must be told to make the same
// database again: what pg_dump leaves to whoever restores.
type DatabaseProperties struct {
	Encoding       string `json:"encoding"`
	LocaleProvider string `json:"locale_provider"` // libc, icu or builtin
	Collate        string `json:"collate"`
	CType          string `json:"ctype"`
	Locale         string `json:"locale,omitempty"` // of icu and builtin
	ICURules       string `json:"icu_rules,omitempty"`
}

// ReadDatabaseProperties reads those of the session's database.
func ReadDatabaseProperties(ctx context.Context, conn *pgx.Conn) (DatabaseProperties, error) {
	provider, locale, rules := "'c'", "''", "''"
	switch major := serverMajor(conn); {
	case major >= 17:
		provider, locale, rules = "datlocprovider::text", "coalesce(datlocale, '')", "coalesce(daticurules, '')"
	case major == 16:
		provider, locale, rules = "datlocprovider::text", "coalesce(daticulocale, '')", "coalesce(daticurules, '')"
	case major == 15:
		provider, locale = "datlocprovider::text", "coalesce(daticulocale, '')"
	}
	var p DatabaseProperties
	err := conn.QueryRow(ctx, "SELECT pg_catalog.pg_encoding_to_char(encoding), datcollate::text, datctype::text, "+provider+", "+locale+", "+rules+
		" FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()").
		Scan(&p.Encoding, &p.Collate, &p.CType, &p.LocaleProvider, &p.Locale, &p.ICURules)
	if err != nil {
		return p, fmt.Errorf("read the properties of database %s: %w", conn.Config().Database, err)
	}
	p.LocaleProvider = map[string]string{"c": "libc", "i": "icu", "b": "builtin"}[p.LocaleProvider]
	return p, nil
}

// CreateDatabase makes an empty database from template0. t is any database of
// the server, such as postgres. Empty properties are the server's defaults.
func CreateDatabase(ctx context.Context, t Target, name string, p DatabaseProperties) error {
	conn, err := t.Connect(ctx)
	if err != nil {
		return err
	}
	defer CloseSoon(conn)
	if _, err := conn.PgConn().Exec(ctx, createDatabaseSQL(name, p, serverMajor(conn))).ReadAll(); err != nil {
		switch sqlState(err) {
		case "42P04":
			return fmt.Errorf("create database %s: it exists already; choose another name or drop it: %w", name, err)
		case "42501":
			return fmt.Errorf("create database %s: ALTER ROLE %s CREATEDB: %w", name, quoteIdent(t.User), err)
		case "22023", "42809":
			return fmt.Errorf("create database %s with collation %s and character type %s: this server does not have them; install the locale there (locale-gen), or create the database by hand and restore into it: %w", name, p.Collate, p.CType, err)
		}
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return nil
}

func createDatabaseSQL(name string, p DatabaseProperties, major int) string {
	var b strings.Builder
	b.WriteString("CREATE DATABASE " + quoteIdent(name) + " TEMPLATE template0")
	option := func(keyword, value string) {
		if value != "" {
			b.WriteString(" " + keyword + " " + QuoteLiteral(value))
		}
	}
	option("ENCODING", p.Encoding)
	option("LC_COLLATE", p.Collate)
	option("LC_CTYPE", p.CType)
	// Before 15 every database was libc's.
	if major >= 15 && p.LocaleProvider != "" {
		b.WriteString(" LOCALE_PROVIDER " + quoteIdent(p.LocaleProvider))
		switch p.LocaleProvider {
		case "icu":
			option("ICU_LOCALE", p.Locale)
			if major >= 16 {
				option("ICU_RULES", p.ICURules)
			}
		case "builtin":
			option("BUILTIN_LOCALE", p.Locale)
		}
	}
	return b.String()
}

// DatabaseEmpty returns nil if the session's database has nothing of a user's,
// else ErrNotEmpty with the first object found.
func DatabaseEmpty(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, `SELECT what FROM (
  SELECT 'extension ' || pg_catalog.quote_ident(extname) AS what FROM pg_catalog.pg_extension WHERE oid >= 16384
  UNION ALL SELECT 'schema ' || pg_catalog.quote_ident(nspname) FROM pg_catalog.pg_namespace WHERE oid >= 16384 AND nspname !~ '^pg_' AND nspname <> 'public'
  UNION ALL SELECT 'relation ' || oid::pg_catalog.regclass FROM pg_catalog.pg_class WHERE oid >= 16384 AND relnamespace NOT IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname ~ '^pg_')
  UNION ALL SELECT 'function ' || oid::pg_catalog.regprocedure FROM pg_catalog.pg_proc WHERE oid >= 16384
  UNION ALL SELECT 'type ' || oid::pg_catalog.regtype FROM pg_catalog.pg_type WHERE oid >= 16384 AND typrelid = 0 AND typelem = 0
  UNION ALL SELECT 'large object ' || oid FROM pg_catalog.pg_largeobject_metadata
  UNION ALL SELECT 'publication ' || pg_catalog.quote_ident(pubname) FROM pg_catalog.pg_publication
  UNION ALL SELECT 'default privileges of ' || pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(defaclrole)) FROM pg_catalog.pg_default_acl
  UNION ALL SELECT 'foreign data wrapper ' || pg_catalog.quote_ident(fdwname) FROM pg_catalog.pg_foreign_data_wrapper
) found LIMIT 1`)
	if err != nil {
		return fmt.Errorf("look whether database %s is empty: %w", conn.Config().Database, err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look whether database %s is empty: %w", conn.Config().Database, err)
	}
	if len(found) > 0 {
		return fmt.Errorf("%w: %s has %s", ErrNotEmpty, conn.Config().Database, found[0])
	}
	return nil
}

// ListDatabases returns the databases of a server that accept connections,
// without the templates, by name.
func ListDatabases(ctx context.Context, t Target) ([]string, error) {
	conn, err := t.Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer CloseSoon(conn)
	rows, err := conn.Query(ctx, "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname")
	if err != nil {
		return nil, fmt.Errorf("list the databases of %s: %w", t, err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list the databases of %s: %w", t, err)
	}
	return names, nil
}
