package verify

import (
	"context"
	"fmt"
	"io"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// logicalInspector compares what is read of the archive with the table list, the
// index and the totals that travelled with it.
type logicalInspector struct{ archive *pgarchive.Reader }

func (l *logicalInspector) reader(stream string) io.WriteCloser {
	if stream != logical.StreamArchive {
		return ignored{}
	}
	l.archive = pgarchive.NewReader(pgarchive.Events{})
	return l.archive
}

func (l *logicalInspector) compare(ctx context.Context, p *repo.Point) (stream string, err error) {
	if l.archive == nil {
		return logical.StreamArchive, fmt.Errorf("%w: the manifest names no archive", repo.ErrDamaged)
	}
	if len(p.Stream(logical.StreamTables)) == 0 {
		return logical.StreamTables, fmt.Errorf("%w: the manifest names no table list", repo.ErrDamaged)
	}
	if len(p.Stream(repo.StreamIndex)) == 0 {
		return repo.StreamIndex, fmt.Errorf("%w: the manifest names no index", repo.ErrDamaged)
	}
	records, err := logical.ReadRecords(ctx, p)
	if err == nil {
		err = checkRecords(l.archive, records)
	}
	if err == nil {
		err = checkTotals(p.Totals, l.archive)
	}
	if err == nil {
		err = logical.Agree(p.Manifest, l.archive.TOC(), records)
	}
	if err != nil {
		return logical.StreamTables, err
	}
	index, err := p.Index(ctx)
	if err == nil {
		err = checkIndex(p.Manifest, l.archive, index)
	}
	return repo.StreamIndex, err
}

// checkRecords holds that the table list says of every data entry what the
// archive itself says, and of nothing else.
func checkRecords(archive *pgarchive.Reader, records map[int32]logical.TableRecord) error {
	for _, d := range archive.Data() {
		rec, ok := records[d.Entry.DumpID]
		if !ok {
			return fmt.Errorf("%w: the table list does not know %s, which is in the archive", repo.ErrDamaged, d.Entry)
		}
		if rec != logical.Record(d) {
			return fmt.Errorf("%w: %s has %s in the archive; the table list calls it %s.%s with %d rows, %d bytes, hash %s",
				repo.ErrDamaged, d.Entry, d.Sum, rec.Schema, rec.Table, rec.Rows, rec.Bytes, rec.Hash)
		}
	}
	if n := len(archive.Data()); len(records) != n {
		return fmt.Errorf("%w: the table list has %d entries, the archive %d", repo.ErrDamaged, len(records), n)
	}
	return nil
}

// checkTotals holds that the manifest counts what is in the archive.
func checkTotals(want repo.Totals, archive *pgarchive.Reader) error {
	_, got, err := logical.EncodeRecords(archive.Data())
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%w: the manifest counts %+v, the archive has %+v", repo.ErrDamaged, want, got)
	}
	return nil
}

// checkIndex holds that a reader by range finds every entry where it is.
func checkIndex(m *repo.Manifest, archive *pgarchive.Reader, x *repo.Index) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: the index does not fit the archive: %s", repo.ErrDamaged, fmt.Sprintf(format, args...))
	}
	if x.Stream != logical.StreamArchive {
		return bad("it is of %q", x.Stream)
	}
	if size := m.PlainSize(logical.StreamArchive); x.Size() != size || archive.Offset() != size {
		return bad("it covers %d bytes, the manifest says %d, %d were read", x.Size(), size, archive.Offset())
	}
	if head := int64(len(archive.TOC().Raw)); x.HeadEnd != head {
		return bad("the table of contents ends at %d, not at %d", head, x.HeadEnd)
	}
	data := archive.Data()
	if len(x.Entries) != len(data) {
		return bad("it has %d entries, the archive %d", len(x.Entries), len(data))
	}
	for i, e := range x.Entries {
		if d := data[i]; int32(e.DumpID) != d.Entry.DumpID || e.From != d.Start || e.To != d.End {
			return bad("%s lies at %d to %d, it says entry %d at %d to %d", d.Entry, d.Start, d.End, e.DumpID, e.From, e.To)
		}
	}
	return logical.IndexFits(m, x)
}
