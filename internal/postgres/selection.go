package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Selection of what to dump by pg_dump's patterns, one field an option: -t, -T,
// -n, -N. `*` and `?` are wildcards, a dot separates schema and table, unquoted
// letters are lower-cased, double quotes take everything literally. The zero
// value is the whole database.
type Selection struct {
	IncludeTables, ExcludeTables, IncludeSchemas, ExcludeSchemas []string
}

// everything tells whether nothing is singled out: only then does pg_dump take
// large objects and extensions.
func (s Selection) everything() bool { return len(s.IncludeTables) == 0 && len(s.IncludeSchemas) == 0 }

// dumpArgs are pg_dump's options.
func (s Selection) dumpArgs() []string {
	var args []string
	for _, o := range []struct {
		option   string
		patterns []string
	}{{"--table=", s.IncludeTables}, {"--exclude-table=", s.ExcludeTables}, {"--schema=", s.IncludeSchemas}, {"--exclude-schema=", s.ExcludeSchemas}} {
		for _, p := range o.patterns {
			args = append(args, o.option+p)
		}
	}
	return args
}

// patternToRegexps splits a pattern at the dots outside quotes and turns each
// part into an anchored regular expression, as psql's patternToSQLRegex does
// (src/fe_utils/string_utils.c).
func patternToRegexps(pattern string) []string {
	var parts []string
	var b strings.Builder
	quoted := false
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		switch {
		case c == '"' && quoted && i+1 < len(pattern) && pattern[i+1] == '"':
			b.WriteByte('"')
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && c >= 'A' && c <= 'Z':
			b.WriteByte(c + 'a' - 'A')
		case !quoted && c == '*':
			b.WriteString(".*")
		case !quoted && c == '?':
			b.WriteByte('.')
		case !quoted && c == '.':
			parts = append(parts, b.String())
			b.Reset()
		case c == '$':
			b.WriteString(`\$`) // $ is allowed in names, and never an anchor
		case quoted && strings.IndexByte(`|*+?()[]{}.^\`, c) >= 0:
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '[' && i+1 < len(pattern) && pattern[i+1] == ']':
			b.WriteString(`\[`) // [] of array type names is no character class
		default:
			b.WriteByte(c)
		}
	}
	parts = append(parts, b.String())
	for i, p := range parts {
		parts[i] = "^(" + p + ")$"
	}
	return parts
}

// tableCondition is the SQL that a relation c in schema n matches a -t pattern.
func tableCondition(pattern, database string) (string, error) {
	parts := patternToRegexps(pattern)
	switch len(parts) {
	case 1:
		return matches("c.relname", parts[0]) + " AND pg_catalog.pg_table_is_visible(c.oid)", nil
	case 2:
		return matches("c.relname", parts[1]) + " AND " + matches("n.nspname", parts[0]), nil
	case 3:
		if named := literalPart(pattern); named != database {
			return "", fmt.Errorf("table pattern %s names database %q, but %q is being dumped", pattern, named, database)
		}
		return matches("c.relname", parts[2]) + " AND " + matches("n.nspname", parts[1]), nil
	}
	return "", fmt.Errorf("table pattern %s has too many dots; put a name that contains dots in double quotes", pattern)
}

// schemaCondition is the SQL that schema n matches a -n pattern.
func schemaCondition(pattern, database string) (string, error) {
	parts := patternToRegexps(pattern)
	switch len(parts) {
	case 1:
		return matches("n.nspname", parts[0]), nil
	case 2:
		if named := literalPart(pattern); named != database {
			return "", fmt.Errorf("schema pattern %s names database %q, but %q is being dumped", pattern, named, database)
		}
		return matches("n.nspname", parts[1]), nil
	}
	return "", fmt.Errorf("schema pattern %s has too many dots; put a name that contains dots in double quotes", pattern)
}

func matches(column, regexp string) string {
	return column + " OPERATOR(pg_catalog.~) " + QuoteLiteral(regexp) + " COLLATE pg_catalog.default"
}

// literalPart is the text before the first dot outside quotes: a database's name,
// in which pg_dump takes no wildcards.
func literalPart(pattern string) string {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '"' && quoted && i+1 < len(pattern) && pattern[i+1] == '"':
			b.WriteByte('"')
			i++
		case c == '"':
			quoted = !quoted
		case c == '.' && !quoted:
			return b.String()
		case !quoted && c >= 'A' && c <= 'Z':
			b.WriteByte(c + 'a' - 'A')
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// selected are a Selection's patterns looked up in the database.
type selected struct {
	sel                                                          Selection
	includeTables, excludeTables, includeSchemas, excludeSchemas []uint32
}

// resolve looks up the patterns, as pg_dump does before anything else. An include
// pattern that matches nothing is an error: a typo must not become an empty backup.
func (s Selection) resolve(ctx context.Context, conn *pgx.Conn) (*selected, error) {
	r := &selected{sel: s}
	database := conn.Config().Database
	for _, o := range []struct {
		patterns  []string
		into      *[]uint32
		condition func(pattern, database string) (string, error)
		from      string
		include   bool
		what      string
	}{
		{s.IncludeTables, &r.includeTables, tableCondition, tablesFrom, true, "table"},
		{s.ExcludeTables, &r.excludeTables, tableCondition, tablesFrom, false, "table"},
		{s.IncludeSchemas, &r.includeSchemas, schemaCondition, schemasFrom, true, "schema"},
		{s.ExcludeSchemas, &r.excludeSchemas, schemaCondition, schemasFrom, false, "schema"},
	} {
		*o.into = []uint32{} // an empty array, not NULL
		for _, pattern := range o.patterns {
			condition, err := o.condition(pattern, database)
			if err != nil {
				return nil, &reason{kind: ErrNoMatch, text: err.Error(), cause: err}
			}
			rows, err := conn.Query(ctx, o.from+condition)
			if err != nil {
				return nil, fmt.Errorf("look up %s pattern %s: %w", o.what, pattern, err)
			}
			oids, err := pgx.CollectRows(rows, pgx.RowTo[uint32])
			if err != nil {
				if state := sqlState(err); state == "2201B" {
					return nil, &reason{kind: ErrNoMatch, text: fmt.Sprintf("%s pattern %s is not valid: %v; put names with special characters in double quotes", o.what, pattern, err), cause: err}
				}
				return nil, fmt.Errorf("look up %s pattern %s: %w", o.what, pattern, err)
			}
			if len(oids) == 0 && o.include {
				return nil, noMatch(ctx, conn, o.what, pattern)
			}
			*o.into = append(*o.into, oids...)
		}
	}
	return r, nil
}

const (
	tablesFrom  = "SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'S', 'v', 'm', 'f', 'p') AND "
	schemasFrom = "SELECT n.oid FROM pg_catalog.pg_namespace n WHERE "
)

// dumpedCondition is the SQL that relation c in schema n is dumped with its data, over
// the parameters of args. It follows selectDumpableNamespace, selectDumpableTable
// and processExtensionTables of pg_dump.
const dumpedCondition = `CASE
  WHEN EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e') THEN
    EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE c.oid = ANY (e.extconfig))
    AND ($1 OR c.oid = ANY ($2) OR (cardinality($2) = 0 AND n.oid = ANY ($4) AND NOT n.oid = ANY ($5)))
    AND NOT c.oid = ANY ($3) AND NOT n.oid = ANY ($5)
  WHEN cardinality($2) > 0 THEN c.oid = ANY ($2) AND NOT c.oid = ANY ($3)
  WHEN cardinality($4) > 0 THEN n.oid = ANY ($4) AND NOT n.oid = ANY ($5) AND NOT c.oid = ANY ($3)
  ELSE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT n.oid = ANY ($5) AND NOT c.oid = ANY ($3)
END`

// args are the parameters of dumpedCondition.
func (r *selected) args() []any {
	return []any{r.sel.everything(), r.includeTables, r.excludeTables, r.includeSchemas, r.excludeSchemas}
}

// noMatch names the pattern and the nearest thing there is.
func noMatch(ctx context.Context, conn *pgx.Conn, what, pattern string) error {
	query := "SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' LIMIT 20000"
	if what == "schema" {
		query = "SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' LIMIT 20000"
	}
	text := fmt.Sprintf("%s pattern %s matches nothing in database %s", what, pattern, conn.Config().Database)
	rows, err := conn.Query(ctx, query)
	if err == nil {
		if names, err := pgx.CollectRows(rows, pgx.RowTo[string]); err == nil {
			if near := nearest(pattern, names); near != "" {
				text += "; the nearest is " + near
			}
		}
	}
	return &reason{kind: ErrNoMatch, text: text, cause: ErrNoMatch}
}

// nearest is the name with the smallest edit distance to the pattern, with and
// without its schema, or "" when none is like it.
func nearest(pattern string, names []string) string {
	best, bestDistance := "", len(pattern)/2+1
	for _, name := range names {
		candidates := []string{name}
		if _, table, ok := strings.Cut(name, "."); ok && !strings.Contains(pattern, ".") {
			candidates = append(candidates, table)
		}
		for _, c := range candidates {
			if d := editDistance(strings.ToLower(pattern), strings.ToLower(c)); d < bestDistance {
				best, bestDistance = name, d
			}
		}
	}
	return best
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
