package verify_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/verify"
)

func TestEveryFileOfAnArchiveIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{"wal_keep_size": "1GB"}})
	db := pg.Connect(t, "postgres")
	var system, current string
	pg.Exec(t, "postgres", "SELECT pg_switch_wal()", "SELECT pg_logical_emit_message(true, 'large', repeat('x', 40000000))",
		"CREATE TABLE a AS SELECT generate_series(1, 1000) n", "SELECT pg_switch_wal()", "CREATE TABLE b (n int)")
	if err := db.QueryRow(t.Context(), "SELECT system_identifier::text, pg_walfile_name(pg_current_wal_lsn()) FROM pg_control_system()").Scan(&system, &current); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	store, err := dir.Create(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	r, err := repo.Create(t.Context(), store, repo.CreateOptions{Now: time.Now(), Key: seal.Local{Key: seal.NewKey()}})
	if err != nil {
		t.Fatal(err)
	}
	at := repo.WALArchive{Source: "db1", System: system}
	names, err := filepath.Glob(filepath.Join(pg.DataDir, "pg_wal", "0000000100*"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	segments := map[string][]byte{}
	put := func(a repo.WALArchive, info repo.WALInfo, data []byte) repo.WALFile {
		t.Helper()
		if _, err := r.PutWAL(t.Context(), a, info, data); err != nil {
			t.Fatal(err)
		}
		f, err := repo.NewWALFile(a, info.Name, info.PieceFrom, info.PieceTo)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	describe := func(name string, data []byte) repo.WALInfo {
		info, _, _ := repo.DescribeWAL(name, data, time.Now(), "db1")
		info.SegmentSize = 16 << 20
		return info
	}
	var files []repo.WALFile
	for _, name := range names {
		base := filepath.Base(name)
		if base >= current {
			continue
		}
		if segments[base], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
		files = append(files, put(at, describe(base, segments[base]), segments[base]))
	}
	if len(files) < 4 {
		t.Fatalf("%d segments", len(files))
	}
	piece := describe(current, nil)
	piece.PieceTo = 4096
	put(at, piece, make([]byte, 4096))
	put(at, repo.WALInfo{Name: "00000002.history"}, []byte("1\t0/3000000\tno recovery target specified\n"))

	run := func() verify.Report {
		t.Helper()
		report, err := verify.WAL(t.Context(), verify.WALOptions{Repo: r, Archive: at, Jobs: 2})
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	if report := run(); report.Checked != len(files)+2 || len(report.Bad)+len(report.Unchecked) > 0 || report.Bytes == 0 {
		t.Fatalf("%+v", report)
	}

	replace := func(f repo.WALFile, data []byte) {
		t.Helper()
		if err := r.DeleteWAL(t.Context(), []repo.WALFile{f}); err != nil {
			t.Fatal(err)
		}
		put(f.Archive, describe(f.Name, data), data)
	}
	wantBad := func(what string, f repo.WALFile, problem string) {
		t.Helper()
		report := run()
		if len(report.Bad) != 1 || report.Bad[0].Object != f.Key() || report.Bad[0].Kind != verify.KindWAL || !strings.Contains(report.Bad[0].Problem, problem) || report.Err() == nil {
			t.Errorf("%s: %+v", what, report)
		}
		replace(f, segments[f.Name])
	}
	// In the record that goes over three segments: only together they tell.
	middle := files[len(files)-2]
	flipped := slices.Clone(segments[middle.Name])
	flipped[10_000] ^= 1
	replace(middle, flipped)
	if report := run(); len(report.Bad) != 1 {
		t.Errorf("a byte of a record that crosses segments was flipped before it was stored: %+v", report)
	}
	replace(middle, segments[middle.Name])
	last := files[len(files)-1]
	cut := slices.Clone(segments[files[0].Name])
	clear(cut[100_000:])
	replace(files[0], cut)
	wantBad("a segment that ends early", files[0], "is not whole")
	replace(files[0], segments[last.Name])
	wantBad("another segment under the name", files[0], "should be "+files[0].Name)
	stored, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(files[1].Key())))
	if err != nil {
		t.Fatal(err)
	}
	stored[len(stored)/2] ^= 1
	if _, err := r.Store().Put(t.Context(), files[1].Key(), stored, objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	wantBad("a flipped bit in the store", files[1], "damaged")
	put(at, repo.WALInfo{Name: "00000003.history"}, []byte("nonsense"))
	if report := run(); len(report.Bad) != 1 || !strings.Contains(report.Bad[0].Problem, "history of timeline 00000003") {
		t.Errorf("%+v", report)
	}
	other := repo.WALArchive{Source: "db1", System: "42"}
	put(other, describe(files[0].Name, segments[files[0].Name]), segments[files[0].Name])
	if report, err := verify.WAL(t.Context(), verify.WALOptions{Repo: r, Archive: other}); err != nil || len(report.Bad) != 1 || !strings.Contains(report.Bad[0].Problem, "system identifier "+system) {
		t.Errorf("%+v %v", report, err)
	}
}
