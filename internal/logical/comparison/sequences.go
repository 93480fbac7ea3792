package comparison

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
)

// setval is how an archive sets a sequence: the name is a quoted SQL identifier
// inside a literal.
var setval = regexp.MustCompile(`setval\('((?:[^']|'')*)', (-?\d+), (true|false)\)`)

// sequences compares where every sequence stands with where the archive sets it.
func (c *run) sequences(ctx context.Context, conn *pgx.Conn) error {
	for i := range c.TOC.Entries {
		e := &c.TOC.Entries[i]
		if e.Desc != "SEQUENCE SET" || c.skipped(e) {
			continue
		}
		object := nameOf("sequence", e.Namespace, e.Tag)
		want, err := archivedSequence(e.Namespace, e.Tag, e.Defn)
		if err != nil {
			c.found.differs(object, err.Error())
			continue
		}
		if err := c.sequence(ctx, conn, object, want); err != nil {
			return err
		}
		c.found.count(func(r *Result) { r.Sequences++ })
	}
	return nil
}

func archivedSequence(schema, name, defn string) (postgres.Sequence, error) {
	m := setval.FindStringSubmatch(defn)
	if m == nil {
		return postgres.Sequence{}, errors.New("the archive does not say where it stands")
	}
	value, err := strconv.ParseInt(m[2], 10, 64)
	if err != nil {
		return postgres.Sequence{}, fmt.Errorf("the archive sets it to %s, which is no value of a sequence", m[2])
	}
	return postgres.Sequence{Schema: schema, Name: name, LastValue: value, IsCalled: m[3] == "true"}, nil
}

func (c *run) sequence(ctx context.Context, conn *pgx.Conn, object string, want postgres.Sequence) error {
	got, err := postgres.SequenceValue(ctx, conn, want.Schema, want.Name)
	if missing := notThere(err); missing != "" {
		c.found.differs(object, missing)
		return nil
	}
	if err != nil {
		return err
	}
	if got == want {
		return nil
	}
	if !c.AtLeast {
		c.found.differs(object, fmt.Sprintf("it is at %s, the backup sets it to %s", standing(got), standing(want)))
		return nil
	}
	behind, err := isBehind(ctx, conn, got, want)
	if err != nil {
		return err
	}
	if behind {
		c.found.differs(object, fmt.Sprintf("it is at %s, behind the backup's %s: values would be given out twice", standing(got), standing(want)))
	}
	return nil
}

// Ahead tells whether a sequence has given out values that the one of an archive
// had not: setting it to where the archive does would give them out twice.
func Ahead(ctx context.Context, conn *pgx.Conn, e *pgarchive.Entry) (bool, error) {
	archived, err := archivedSequence(e.Namespace, e.Tag, e.Defn)
	if err != nil {
		return false, fmt.Errorf("%s: %w", nameOf("sequence", e.Namespace, e.Tag), err)
	}
	now, err := postgres.SequenceValue(ctx, conn, e.Namespace, e.Tag)
	if err != nil {
		return false, err
	}
	return isBehind(ctx, conn, archived, now)
}

// standing is a value as an administrator reads it: 5 that was given out is not
// 5 that is next.
func standing(s postgres.Sequence) string {
	if s.IsCalled {
		return strconv.FormatInt(s.LastValue, 10)
	}
	return strconv.FormatInt(s.LastValue, 10) + " (not yet used)"
}

// isBehind tells whether got would give out a value again that want had given
// out. Sequences may count down, and of one that starts over nothing can be told.
func isBehind(ctx context.Context, conn *pgx.Conn, got, want postgres.Sequence) (bool, error) {
	var increment int64
	var cycles bool
	err := conn.QueryRow(ctx, `SELECT s.seqincrement, s.seqcycle FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`, got.Schema, got.Name).Scan(&increment, &cycles)
	if err != nil {
		return false, fmt.Errorf("read how sequence %s.%s counts: %w", got.Schema, got.Name, err)
	}
	switch {
	case cycles:
		return false, nil
	case got.LastValue == want.LastValue:
		return want.IsCalled && !got.IsCalled, nil
	case increment < 0:
		return got.LastValue > want.LastValue, nil
	}
	return got.LastValue < want.LastValue, nil
}
