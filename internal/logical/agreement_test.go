package logical

import (
	"errors"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

func TestWhatAnEditedManifestContradictsIsNamed(t *testing.T) {
	t.Parallel()
	toc := &pgarchive.TOC{Entries: []pgarchive.Entry{{Desc: "ENCODING", Defn: "SET client_encoding = 'UTF8';\n"}}}
	records := map[int32]TableRecord{1: {Rows: 10, Bytes: 100}, 2: {Rows: 3, Bytes: 7, LargeObjects: true}}
	index := &repo.Index{Chunks: []repo.Chunk{{Object: 0, Number: 0, Stored: 50, Plain: 80}, {Object: 0, Number: 1, Offset: 50, Stored: 20, Plain: 20}}}
	honest := func() *repo.Manifest {
		return &repo.Manifest{
			Server:  repo.Server{Encoding: "UTF8"},
			Totals:  repo.Totals{Tables: 1, Rows: 10, Bytes: 100, LargeObjects: 3},
			Objects: []repo.Object{{Name: "archive.0000", Stream: StreamArchive, Chunks: 2, Size: 70, PlainSize: 100}, {Name: "tables", Stream: StreamTables, Ordinal: 1, Chunks: 1}},
		}
	}
	agree := func(m *repo.Manifest) error {
		if err := Agree(m, toc, records); err != nil {
			return err
		}
		return IndexFits(m, index)
	}
	if err := agree(honest()); err != nil {
		t.Fatal(err)
	}
	unknown := honest()
	unknown.Server.Encoding = ""
	if err := agree(unknown); err != nil {
		t.Errorf("without an encoding: %v", err)
	}
	for want, edit := range map[string]func(*repo.Manifest){
		"the manifest counts":    func(m *repo.Manifest) { m.Totals.Rows = 9 },
		"was in LATIN1":          func(m *repo.Manifest) { m.Server.Encoding = "LATIN1" },
		"archive.0000 has 3":     func(m *repo.Manifest) { m.Objects[0].Chunks = 3 },
		"in 71 bytes":            func(m *repo.Manifest) { m.Objects[0].Size = 71 },
		"1 objects, there are 2": func(m *repo.Manifest) { m.Objects[1].Stream, m.Objects[1].Chunks = StreamArchive, 0 },
	} {
		m := honest()
		edit(m)
		err := agree(m)
		if !errors.Is(err, repo.ErrDamaged) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}
