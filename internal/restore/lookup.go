package restore

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
)

// lookup asks a database whether it has what entries of an archive make.
type lookup struct {
	conn  *pgx.Conn // nil for a database that does not exist yet
	known map[int32]bool
}

// has tells whether the database has the object of an entry, by its name. Kinds
// that are not known here count as there: the server will tell.
func (l *lookup) has(ctx context.Context, e *pgarchive.Entry) (bool, error) {
	if there, ok := l.known[e.DumpID]; ok {
		return there, nil
	}
	there := true
	query, args := existsQuery(e)
	switch {
	case query == "":
	case l.conn == nil:
		there = e.Desc == "SCHEMA" && e.Tag == "public" || e.Desc == "EXTENSION" && e.Tag == "plpgsql"
	default:
		if err := l.conn.QueryRow(ctx, "SELECT EXISTS ("+query+")", args...).Scan(&there); err != nil {
			return false, fmt.Errorf("look for %s in database %s: %w", describe(e), l.conn.Config().Database, err)
		}
	}
	l.known[e.DumpID] = there
	return there, nil
}

// existsQuery finds the object of an entry; "" where no way is known.
func existsQuery(e *pgarchive.Entry) (query string, args []any) {
	inSchema := func(catalog, prefix string) (string, []any) {
		return "SELECT FROM pg_catalog." + catalog + " o JOIN pg_catalog.pg_namespace n ON n.oid = o." + prefix + "namespace WHERE n.nspname = $1 AND o." + prefix + "name = $2", []any{e.Namespace, e.Tag}
	}
	global := func(catalog, column string) (string, []any) {
		return "SELECT FROM pg_catalog." + catalog + " WHERE " + column + " = $1", []any{e.Tag}
	}
	switch e.Desc {
	case "TABLE", "FOREIGN TABLE", "VIEW", "MATERIALIZED VIEW", "SEQUENCE", "INDEX":
		return inSchema("pg_class", "rel")
	case "TYPE", "DOMAIN", "SHELL TYPE":
		return inSchema("pg_type", "typ")
	case "COLLATION":
		return inSchema("pg_collation", "coll")
	case "CONVERSION":
		return inSchema("pg_conversion", "con")
	case "OPERATOR CLASS":
		return inSchema("pg_opclass", "opc")
	case "OPERATOR FAMILY":
		return inSchema("pg_opfamily", "opf")
	case "STATISTICS":
		return inSchema("pg_statistic_ext", "stx")
	case "TEXT SEARCH CONFIGURATION":
		return inSchema("pg_ts_config", "cfg")
	case "TEXT SEARCH DICTIONARY":
		return inSchema("pg_ts_dict", "dict")
	case "TEXT SEARCH PARSER":
		return inSchema("pg_ts_parser", "prs")
	case "TEXT SEARCH TEMPLATE":
		return inSchema("pg_ts_template", "tmpl")
	case "FUNCTION", "PROCEDURE", "AGGREGATE":
		// The tag has the types of the arguments as format_type writes them.
		return `SELECT FROM pg_catalog.pg_proc o JOIN pg_catalog.pg_namespace n ON n.oid = o.pronamespace WHERE n.nspname = $1 AND $2 = o.proname || '(' ||
  (SELECT coalesce(pg_catalog.string_agg(pg_catalog.format_type(a.type, NULL), ', ' ORDER BY a.at), '') FROM pg_catalog.unnest(o.proargtypes) WITH ORDINALITY a(type, at)) || ')'`, []any{e.Namespace, e.Tag}
	case "OPERATOR":
		// One of several of a name may be there: the statement of its end names the types.
		if name, ok := dropped(e); ok {
			return "SELECT WHERE pg_catalog.to_regoperator($1) IS NOT NULL", []any{name}
		}
	case "SCHEMA":
		return global("pg_namespace", "nspname")
	case "EXTENSION":
		return global("pg_extension", "extname")
	case "FOREIGN DATA WRAPPER":
		return global("pg_foreign_data_wrapper", "fdwname")
	case "SERVER":
		return global("pg_foreign_server", "srvname")
	case "PROCEDURAL LANGUAGE":
		return global("pg_language", "lanname")
	case "ACCESS METHOD":
		return global("pg_am", "amname")
	case "PUBLICATION":
		return global("pg_publication", "pubname")
	}
	return "", nil
}

// dropped is the name of an object as the statement that drops it writes it.
func dropped(e *pgarchive.Entry) (string, bool) {
	name, ok := strings.CutPrefix(e.DropStmt, "DROP "+e.Desc+" ")
	return strings.TrimSuffix(strings.TrimSpace(name), ";"), ok
}
