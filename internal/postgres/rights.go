package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ProblemKind tells what a Problem is about.
type ProblemKind string

// Kinds of problems.
const (
	ProblemSchema      ProblemKind = "schema"       // no USAGE
	ProblemTable       ProblemKind = "table"        // no SELECT
	ProblemRowSecurity ProblemKind = "row_security" // policies would hide rows
	ProblemSequence    ProblemKind = "sequence"     // no SELECT
	ProblemLargeObject ProblemKind = "large_object" // no SELECT
)

// Problem is a reason why a role can not dump all of a selection.
type Problem struct {
	Kind   ProblemKind
	Object string // quoted as SQL wants it
	Detail string // one sentence
	Fix    string // SQL for a superuser or the owner
}

// RightsError says that the role may not read all of the selection.
type RightsError struct {
	User     string
	Problems []Problem // at least one
}

// Error is one line: the first problems and their fixes.
func (e *RightsError) Error() string {
	const shown = 3
	lines := make([]string, 0, shown+1)
	for i, p := range e.Problems {
		if i == shown {
			lines = append(lines, fmt.Sprintf("and %d more problems, which doctor lists", len(e.Problems)-shown))
			break
		}
		lines = append(lines, p.Detail+": "+p.Fix)
	}
	return fmt.Sprintf("role %s may not back up everything that is selected: %s", e.User, strings.Join(lines, "; "))
}

// CheckRights finds everything that the session's role may not read of a
// selection, before a dump fails on it half-way or, worse, silently lacks rows.
func CheckRights(ctx context.Context, conn *pgx.Conn, sel Selection) ([]Problem, error) {
	chosen, err := sel.resolve(ctx, conn)
	if err != nil {
		return nil, err
	}
	var role string
	if err := conn.QueryRow(ctx, "SELECT current_user").Scan(&role); err != nil {
		return nil, fmt.Errorf("check rights: %w", err)
	}
	var problems []Problem
	for _, check := range []func(context.Context, *pgx.Conn, *selected, string) ([]Problem, error){schemaRights, relationRights, objectRights} {
		found, err := check(ctx, conn, chosen, quoteIdent(role))
		if err != nil {
			return nil, fmt.Errorf("check rights: %w", err)
		}
		problems = append(problems, found...)
	}
	return problems, nil
}

// dumpedRelations are the tables that are dumped and the sequences: those
// selected themselves and those owned by a column of a table that is.
const dumpedRelations = `WITH chosen AS (
  SELECT c.oid, n.oid AS nspoid, n.nspname, c.relname, c.relkind
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't' AND ` + dumpedCondition + `
), dumped AS (
  SELECT * FROM chosen
  UNION SELECT s.oid, n.oid, n.nspname, s.relname, s.relkind
  FROM chosen t JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = t.oid AND d.refobjsubid > 0
    AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
  JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
)
`

func schemaRights(ctx context.Context, conn *pgx.Conn, chosen *selected, role string) ([]Problem, error) {
	rows, err := conn.Query(ctx, dumpedRelations+`SELECT DISTINCT nspname FROM dumped WHERE NOT pg_catalog.has_schema_privilege(nspoid, 'USAGE') ORDER BY 1`, chosen.args()...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Problem, error) {
		var name string
		err := row.Scan(&name)
		name = quoteIdent(name)
		return Problem{
			Kind: ProblemSchema, Object: name, Detail: "no USAGE on schema " + name,
			Fix: "GRANT USAGE ON SCHEMA " + name + " TO " + role,
		}, err
	})
}

// relationRights: SELECT on the table is needed, on all columns is not enough for
// LOCK TABLE. A sequence is read like a table.
func relationRights(ctx context.Context, conn *pgx.Conn, chosen *selected, role string) ([]Problem, error) {
	rows, err := conn.Query(ctx, dumpedRelations+`SELECT nspname, relname, relkind::text, readable, filtered FROM (
  SELECT nspname, relname, relkind, pg_catalog.has_table_privilege(oid, 'SELECT') AS readable,
    relkind <> 'S' AND pg_catalog.row_security_active(oid) AS filtered FROM dumped) r
WHERE NOT readable OR filtered ORDER BY 1, 2`, chosen.args()...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Problem, error) {
		var schema, relname, relkind string
		var readable, filtered bool
		err := row.Scan(&schema, &relname, &relkind, &readable, &filtered)
		name := quoteIdent(schema, relname)
		switch {
		case relkind == "S":
			return Problem{Kind: ProblemSequence, Object: name, Detail: "no SELECT on sequence " + name, Fix: "GRANT SELECT ON SEQUENCE " + name + " TO " + role}, err
		case !readable:
			return Problem{Kind: ProblemTable, Object: name, Detail: "no SELECT on table " + name, Fix: "GRANT SELECT ON TABLE " + name + " TO " + role}, err
		}
		return Problem{
			Kind: ProblemRowSecurity, Object: name, Detail: "row-level security hides rows of table " + name,
			Fix: "ALTER ROLE " + role + " BYPASSRLS",
		}, err
	})
}

// objectRights counts the large objects that may not be read. pg_dump takes them
// only when nothing is singled out. pg_read_all_data does not cover them before 18.
func objectRights(ctx context.Context, conn *pgx.Conn, chosen *selected, role string) ([]Problem, error) {
	if !chosen.sel.everything() {
		return nil, nil
	}
	readable := `pg_catalog.pg_has_role(m.lomowner, 'USAGE') OR EXISTS (
    SELECT FROM pg_catalog.aclexplode(m.lomacl) a
    WHERE a.privilege_type = 'SELECT' AND (a.grantee = 0 OR pg_catalog.pg_has_role(a.grantee, 'USAGE')))`
	if serverMajor(conn) >= 18 {
		readable = `pg_catalog.has_largeobject_privilege(m.oid, 'SELECT')`
	}
	var count int64
	var first []uint32
	err := conn.QueryRow(ctx, `SELECT count(*), coalesce((pg_catalog.array_agg(oid ORDER BY oid))[1:5], '{}') FROM pg_catalog.pg_largeobject_metadata m
WHERE pg_catalog.current_setting('lo_compat_privileges') <> 'on'
  AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
  AND NOT (`+readable+`)`).Scan(&count, &first)
	if err != nil || count == 0 {
		return nil, err
	}
	if count == 1 {
		object := fmt.Sprint(first[0])
		return []Problem{{
			Kind: ProblemLargeObject, Object: object, Detail: "no SELECT on large object " + object,
			Fix: "GRANT SELECT ON LARGE OBJECT " + object + " TO " + role,
		}}, nil
	}
	names := strings.Trim(fmt.Sprint(first), "[]")
	return []Problem{{
		Kind: ProblemLargeObject, Object: strings.ReplaceAll(names, " ", ", "),
		Detail: fmt.Sprintf("no SELECT on %d large objects (%s …)", count, strings.ReplaceAll(names, " ", ", ")),
		Fix:    "DO $$ DECLARE o oid; BEGIN FOR o IN SELECT oid FROM pg_largeobject_metadata LOOP EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO " + strings.ReplaceAll(role, "'", "''") + "', o); END LOOP; END $$",
	}}, nil
}
