package restore

import (
	"context"
	"fmt"
	"regexp"
	"strconv"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// compareRest compares what is not a table: large objects by their hash, and
// sequences, which must not be behind what the archive sets.
func (r *run) compareRest(ctx context.Context) error {
	s, err := r.newSession(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if want := r.largeObjects(); len(want) > 0 {
		got, err := postgres.LargeObjectHash(ctx, s.conn)
		if err != nil {
			return fmt.Errorf("read back large objects: %w", err)
		}
		sum, err := logical.SumLargeObjects(want)
		if err != nil {
			return err
		}
		if err := differs("the set of large objects", sum, got); err != nil {
			return err
		}
	}
	return r.compareSequences(ctx, s)
}

func (r *run) largeObjects() []logical.TableRecord {
	var records []logical.TableRecord
	for _, rec := range r.records {
		if rec.LargeObjects {
			records = append(records, rec)
		}
	}
	return records
}

// setval is how an archive sets a sequence: the name is a quoted SQL identifier
// inside a literal.
var setval = regexp.MustCompile(`setval\('((?:[^']|'')*)', (-?\d+), (true|false)\)`)

func (r *run) compareSequences(ctx context.Context, s *session) error {
	for _, e := range r.toc.Entries {
		if e.Desc != "SEQUENCE SET" {
			continue
		}
		m := setval.FindStringSubmatch(e.Defn)
		if m == nil {
			continue
		}
		want, err := strconv.ParseInt(m[2], 10, 64)
		if err != nil {
			return fmt.Errorf("sequence %s.%s: the archive's value %q: %w", e.Namespace, e.Tag, m[2], err)
		}
		got, err := postgres.SequenceValue(ctx, s.conn, e.Namespace, e.Tag)
		if err != nil {
			return err
		}
		if called := m[3] == "true"; got.LastValue != want || got.IsCalled != called {
			return fmt.Errorf("%w: sequence %s.%s is at %d (used: %v), the backup sets it to %d (used: %v)", ErrDiffers, e.Namespace, e.Tag, got.LastValue, got.IsCalled, want, called)
		}
	}
	return nil
}
