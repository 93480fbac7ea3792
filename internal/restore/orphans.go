package restore

import (
	"context"
	"fmt"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
)

// tellOrphans names what went when a selected table was dropped with CASCADE and
// does not come back with it, because it belongs to others: foreign keys of
// other tables, and views.
func (r *run) tellOrphans(ctx context.Context, l *lookup) error {
	if l.conn == nil || !r.Select.named() {
		return nil
	}
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		on := r.family.first(e, r.wanted)
		if on == nil || r.chosen[e.DumpID] || r.leftOut[e.DumpID] {
			continue
		}
		switch e.Desc {
		case "FK CONSTRAINT":
			if gone, err := r.keyGone(ctx, l, e); err != nil {
				return err
			} else if gone {
				r.result.leave(describe(e), "it belongs to another table and refers to what is restored; it is not in the database now: add it again")
			}
		case "VIEW", "MATERIALIZED VIEW":
			if there, err := l.has(ctx, e); err != nil {
				return err
			} else if !there {
				r.result.leave(describe(e), "it reads "+describe(on)+", is not selected, and is not in the database now")
			}
		}
	}
	return nil
}

// keyGone tells whether the table of a foreign key is there without it.
func (r *run) keyGone(ctx context.Context, l *lookup, e *pgarchive.Entry) (bool, error) {
	table := r.family.byID[r.family.host[e.DumpID]]
	if table == nil {
		return false, nil
	}
	var there, has bool
	err := l.conn.QueryRow(ctx, `SELECT count(*) > 0, coalesce(pg_catalog.bool_or(EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.conname = $3)), false)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`,
		table.Namespace, table.Tag, strings.TrimPrefix(e.Tag, table.Tag+" ")).Scan(&there, &has)
	if err != nil {
		return false, fmt.Errorf("look for %s: %w", describe(e), err)
	}
	return there && !has, nil
}
