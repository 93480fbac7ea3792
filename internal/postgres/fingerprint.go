package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
)

// PrepareSession sets what pg_dump sets and its archives begin with, so that the
// text of every value is the archive's. encoding is the archive's, "" = leave.
func PrepareSession(ctx context.Context, conn *pgx.Conn, encoding string) error {
	sql := `SET DateStyle = ISO; SET IntervalStyle = postgres; SET extra_float_digits = 3; SET TimeZone = 'UTC'; SET bytea_output = hex;
SET xmloption = content; SET standard_conforming_strings = on; SET synchronize_seqscans = off; SET row_security = off;
SELECT pg_catalog.set_config('search_path', '', false)`
	if encoding != "" {
		sql += "; SET client_encoding = " + QuoteLiteral(encoding)
	}
	if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		return fmt.Errorf("prepare the session: %w", err)
	}
	return nil
}

// fromStdin ends every COPY statement of an archive.
const fromStdin = " FROM stdin;"

// copyTarget is "COPY table (columns)" of an archive's COPY statement.
func copyTarget(copyStmt string) (string, error) {
	target, ok := strings.CutSuffix(strings.TrimSpace(copyStmt), fromStdin)
	if !ok || !strings.HasPrefix(target, "COPY ") {
		return "", fmt.Errorf("not the COPY statement of a pg_dump archive: %q", copyStmt)
	}
	return target, nil
}

// CopyIn sends COPY text to a table, by the COPY statement of its archive entry.
// It returns the rows the server counted. The session must be prepared.
func CopyIn(ctx context.Context, conn *pgx.Conn, copyStmt string, text io.Reader) (int64, error) {
	target, err := copyTarget(copyStmt)
	if err != nil {
		return 0, err
	}
	tag, err := conn.PgConn().CopyFrom(ctx, text, target+" FROM STDIN")
	if err != nil {
		return 0, fmt.Errorf("%s: %w", target, err)
	}
	return tag.RowsAffected(), nil
}

// TableHash reads a table as pg_dump does, by the COPY statement of its archive
// entry, and computes what pgarchive.Reader computes from the archive. The
// session must be prepared.
func TableHash(ctx context.Context, conn *pgx.Conn, copyStmt string) (pgarchive.Sum, error) {
	target, err := copyTarget(copyStmt)
	if err != nil {
		return pgarchive.Sum{}, err
	}
	var rows pgarchive.RowHasher
	tag, err := conn.PgConn().CopyTo(ctx, &rows, target+" TO STDOUT")
	if err != nil {
		return pgarchive.Sum{}, fmt.Errorf("%s: %w", target, err)
	}
	sum, err := rows.Sum()
	if err == nil && tag.RowsAffected() != sum.Rows {
		err = fmt.Errorf("the server counted %d rows and sent %d", tag.RowsAffected(), sum.Rows)
	}
	if err != nil {
		return pgarchive.Sum{}, fmt.Errorf("%s: %w", target, err)
	}
	return sum, nil
}

// LargeObjectHash reads every large object and computes what pgarchive.Reader
// computes from all entries of large objects together.
func LargeObjectHash(ctx context.Context, conn *pgx.Conn) (pgarchive.Sum, error) {
	var hasher pgarchive.LargeObjectHasher
	rows, err := conn.Query(ctx, "SELECT oid FROM pg_catalog.pg_largeobject_metadata ORDER BY oid")
	if err != nil {
		return pgarchive.Sum{}, fmt.Errorf("list large objects: %w", err)
	}
	oids, err := pgx.CollectRows(rows, pgx.RowTo[uint32])
	if err != nil {
		return pgarchive.Sum{}, fmt.Errorf("list large objects: %w", err)
	}
	const piece = 1 << 20
	for _, oid := range oids {
		hasher.Begin(oid)
		for offset := int64(0); ; offset += piece {
			var b []byte
			if err := conn.QueryRow(ctx, "SELECT pg_catalog.lo_get($1, $2, $3)", oid, offset, piece).Scan(&b); err != nil {
				return pgarchive.Sum{}, fmt.Errorf("read large object %d: %w", oid, err)
			}
			_, _ = hasher.Write(b) // a hash does not fail
			if len(b) < piece {
				break
			}
		}
		hasher.End()
	}
	return hasher.Sum(), nil
}

// Sequence is where a sequence stands.
type Sequence struct {
	Schema, Name string
	LastValue    int64
	IsCalled     bool
}

// SequenceValues reads all sequences of the database. They are in no snapshot:
// each is read at its own moment.
func SequenceValues(ctx context.Context, conn *pgx.Conn) ([]Sequence, error) {
	rows, err := conn.Query(ctx, `SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1, 2`)
	if err != nil {
		return nil, fmt.Errorf("list sequences: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s Sequence, err error) {
		err = row.Scan(&s.Schema, &s.Name)
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("list sequences: %w", err)
	}
	for i := range list {
		if list[i], err = SequenceValue(ctx, conn, list[i].Schema, list[i].Name); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// ErrNotEmpty: a database that should be empty has an object.
var ErrNotEmpty = errors.New("database is not empty")
