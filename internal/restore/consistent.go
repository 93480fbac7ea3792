package restore

import (
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// consistent holds that archive, index and table list speak of the same data:
// a table that one of them lacks would silently stay empty.
func (r *run) consistent() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("restore %s: %w: %s", r.Ref, repo.ErrDamaged, fmt.Sprintf(format, args...))
	}
	if r.index.Stream != logical.StreamArchive || r.index.Size() != r.point.PlainSize(logical.StreamArchive) {
		return bad("the index is of %d bytes of %s, the archive has %d", r.index.Size(), r.index.Stream, r.point.PlainSize(logical.StreamArchive))
	}
	indexed := make(map[int32]bool, len(r.index.Entries))
	for _, e := range r.index.Entries {
		indexed[int32(e.DumpID)] = true
	}
	n := 0
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		if !e.HadDumper {
			continue
		}
		n++
		rec, ok := r.records[e.DumpID]
		switch {
		case !ok:
			return bad("the table list lacks %s", e)
		case !indexed[e.DumpID]:
			return bad("the index lacks %s", e)
		case rec.LargeObjects != (e.Desc == "BLOBS") || !rec.LargeObjects && e.CopyStmt == "":
			return bad("the table list takes %s for something else", e)
		}
	}
	if len(r.index.Entries) != n || len(r.records) != n {
		return bad("the archive has %d entries with data, its index %d, the table list %d", n, len(r.index.Entries), len(r.records))
	}
	err := logical.Agree(r.point.Manifest, r.toc, r.records)
	if err == nil {
		err = logical.IndexFits(r.point.Manifest, r.index)
	}
	if err != nil {
		return fmt.Errorf("restore %s: %w", r.Ref, err)
	}
	return nil
}
