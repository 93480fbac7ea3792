package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// SequenceValue reads where one sequence stands.
func SequenceValue(ctx context.Context, conn *pgx.Conn, schema, name string) (Sequence, error) {
	s := Sequence{Schema: schema, Name: name}
	table := pgx.Identifier{schema, name}.Sanitize()
	err := conn.QueryRow(ctx, "SELECT last_value, is_called FROM "+table).Scan(&s.LastValue, &s.IsCalled)
	if err != nil {
		return s, fmt.Errorf("read sequence %s: %w", table, err)
	}
	return s, nil
}
