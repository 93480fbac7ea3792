package testenv

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"sort"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// CompareDatabases tells how database b on q differs from database a on p, by
// means that share no code with the product: the schema as `pg_dump
// --schema-only` writes it, and every row of every table as text, in order. ""
// means that they are equal.
func CompareDatabases(ctx context.Context, p *PostgresServer, a string, q *PostgresServer, b string) (string, error) {
	before, err := p.schema(ctx, a)
	if err != nil {
		return "", err
	}
	after, err := q.schema(ctx, b)
	if err != nil {
		return "", err
	}
	if diff := diffLines(before, after); diff != "" {
		return "the schemas differ:\n" + diff, nil
	}
	rowsBefore, err := p.rows(ctx, a)
	if err != nil {
		return "", err
	}
	rowsAfter, err := q.rows(ctx, b)
	if err != nil {
		return "", err
	}
	if diff := diffLines(rowsBefore, rowsAfter); diff != "" {
		return "the rows differ:\n" + diff, nil
	}
	return "", nil
}

// SchemaDiff is CompareDatabases within one server, for tests.
func (p *PostgresServer) SchemaDiff(t testing.TB, a, b string) string {
	t.Helper()
	diff, err := CompareDatabases(context.Background(), p, a, p, b)
	if err != nil {
		t.Fatal(err)
	}
	return diff
}

func (p *PostgresServer) schema(ctx context.Context, db string) ([]string, error) {
	cmd := p.Command(ctx, "pg_dump", "--schema-only", "-d", p.URL(db))
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("pg_dump --schema-only of %s: %w: %s", db, err, errs.String())
	}
	var lines []string
	for line := range strings.Lines(out.String()) {
		// A random token of every dump, not a part of the schema.
		if !strings.HasPrefix(line, `\restrict`) && !strings.HasPrefix(line, `\unrestrict`) {
			lines = append(lines, strings.TrimRight(line, "\n"))
		}
	}
	return lines, nil
}

// rows returns a line for every table, sequence, materialized view and the large
// objects: name, number of rows, digest of the sorted rows.
func (p *PostgresServer) rows(ctx context.Context, db string) ([]string, error) {
	conn, err := pgx.Connect(ctx, p.URL(db))
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `SELECT n.nspname, c.relname, c.relkind = 'S' FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE (c.relkind IN ('r', 'S') OR c.relkind = 'm' AND c.relispopulated) AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' ORDER BY 1, 2`)
	if err != nil {
		return nil, err
	}
	type relation struct {
		name     string
		sequence bool
	}
	relations, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (relation, error) {
		var schema, name string
		var sequence bool
		err := r.Scan(&schema, &name, &sequence)
		return relation{pgx.Identifier{schema, name}.Sanitize(), sequence}, err
	})
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, r := range relations {
		text := "SELECT t::text FROM " + r.name + " t"
		if r.sequence {
			text = "SELECT last_value || ' ' || is_called FROM " + r.name
		}
		line, err := digest(ctx, conn, r.name, text)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	line, err := digest(ctx, conn, "large objects", "SELECT oid || ' ' || md5(lo_get(oid)) FROM pg_largeobject_metadata")
	if err != nil {
		return nil, err
	}
	return append(lines, line), nil
}

func digest(ctx context.Context, conn *pgx.Conn, name, query string) (string, error) {
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[*string])
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	texts := make([]string, len(all))
	for i, s := range all {
		if s != nil {
			texts[i] = *s
		}
	}
	sort.Strings(texts)
	sum := sha256.Sum256([]byte(strings.Join(texts, "\n")))
	return fmt.Sprintf("%s: %d rows, %x", name, len(texts), sum[:8]), nil
}

// diffLines lists lines that only one side has, a few of them.
func diffLines(a, b []string) string {
	count := map[string]int{}
	for _, l := range a {
		count[l]++
	}
	for _, l := range b {
		count[l]--
	}
	var out []string
	for l, n := range count {
		switch {
		case n > 0:
			out = append(out, "only before: "+l)
		case n < 0:
			out = append(out, "only after:  "+l)
		}
	}
	sort.Strings(out)
	if len(out) > 20 {
		out = append(out[:20], fmt.Sprintf("… and %d more", len(out)-20))
	}
	return strings.Join(out, "\n")
}
