package logical

import (
	"errors"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

func data(id int32, desc, tag string, rows, bytes int64) *pgarchive.Data {
	return &pgarchive.Data{Entry: &pgarchive.Entry{DumpID: id, Desc: desc, Namespace: "s", Tag: tag, HadDumper: true}, Sum: pgarchive.Sum{Rows: rows, Bytes: bytes}}
}

func TestTotalsCountTablesAndLargeObjectsApart(t *testing.T) {
	t.Parallel()
	lines, totals, err := EncodeRecords([]*pgarchive.Data{data(1, "TABLE DATA", "a", 10, 100), data(2, "BLOBS", "BLOBS", 3, 7), data(3, "TABLE DATA", "b\n", 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if want := (repo.Totals{Tables: 2, Rows: 10, Bytes: 100, LargeObjects: 3}); totals != want {
		t.Errorf("%+v", totals)
	}
	if n := strings.Count(string(lines), "\n"); n != 3 {
		t.Errorf("%d lines for 3 entries: %s", n, lines)
	}
}

func TestLargeObjectsOfSeveralEntriesAddUp(t *testing.T) {
	t.Parallel()
	var hasher pgarchive.LargeObjectHasher
	one := func(oids ...uint32) TableRecord {
		var h pgarchive.LargeObjectHasher
		for _, oid := range oids {
			for _, into := range []*pgarchive.LargeObjectHasher{&h, &hasher} {
				into.Begin(oid)
				_, _ = into.Write([]byte("x"))
				into.End()
			}
		}
		s := h.Sum()
		return TableRecord{Rows: s.Rows, Bytes: s.Bytes, Hash: s.Hash.String(), LargeObjects: true}
	}
	got, err := SumRecords([]TableRecord{one(1, 2), one(3)})
	if want := hasher.Sum(); err != nil || got.Rows != want.Rows || got.Bytes != want.Bytes || got.Hash != want.Hash.String() {
		t.Errorf("%+v, want %v (%v)", got, want, err)
	}
	if _, err := SumRecords([]TableRecord{{Hash: "zz"}}); !errors.Is(err, repo.ErrDamaged) {
		t.Errorf("%v", err)
	}
}
