package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/fetch"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/waltest"
)

// recovering is a server that asks for WAL, and an archive.
type recovering struct {
	t       *testing.T
	dir     string // the data directory
	store   string // folder of the repository
	spool   string
	repo    *repo.Repository
	archive repo.WALArchive
	names   []string
	opens   int
}

func newRecovering(t *testing.T) *recovering {
	t.Helper()
	files, system := waltest.Made(t)
	r := &recovering{t: t, dir: t.TempDir(), store: t.TempDir(), spool: filepath.Join(t.TempDir(), "spool"), archive: repo.WALArchive{Source: "db1", System: system}}
	for name := range files {
		if strings.HasPrefix(name, "pg_wal/") {
			r.names = append(r.names, filepath.Base(name))
		}
	}
	slices.Sort(r.names)
	for _, d := range []string{"global", "pg_wal"} {
		if err := os.Mkdir(filepath.Join(r.dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(r.dir, "global", "pg_control"), files["global/pg_control"], 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := dir.Create(r.store)
	if err != nil {
		t.Fatal(err)
	}
	if r.repo, err = repo.Create(context.Background(), store, repo.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *recovering) segment(name string) []byte {
	files, _ := waltest.Made(r.t)
	return files["pg_wal/"+name]
}

// put archives whole segments.
func (r *recovering) put(names ...string) {
	r.t.Helper()
	for _, name := range names {
		data := r.segment(name)
		info, _, err := repo.DescribeWAL(name, data, time.Now(), "testhost")
		if err != nil {
			r.t.Fatal(err)
		}
		if _, err := r.repo.PutWAL(context.Background(), r.archive, info, data); err != nil {
			r.t.Fatal(err)
		}
	}
}

// piece archives a part of a segment.
func (r *recovering) piece(name string, from, to uint32) {
	r.t.Helper()
	info := repo.WALInfo{Name: name, PieceFrom: from, PieceTo: to, SegmentSize: 1 << 20, Archived: time.Now()}
	if _, err := r.repo.PutWAL(context.Background(), r.archive, info, r.segment(name)[from:to]); err != nil {
		r.t.Fatal(err)
	}
}

func (r *recovering) options(name string) fetch.Options {
	return fetch.Options{
		Name: name, Path: "pg_wal/RECOVERYXLOG", DataDirectory: r.dir, Source: "db1", Place: "here db1", Spool: r.spool, Ahead: 4,
		Open: func(context.Context) (*repo.Repository, error) { r.opens++; return r.repo, nil },
	}
}

func (r *recovering) placed() string { return filepath.Join(r.dir, "pg_wal", "RECOVERYXLOG") }

// fetch fetches a segment that must come as it was.
func (r *recovering) fetch(name string) fetch.Result {
	r.t.Helper()
	result, err := fetch.Run(r.t.Context(), r.options(name))
	if err != nil {
		r.t.Fatal(err)
	}
	got, err := os.ReadFile(r.placed())
	if err != nil || !bytes.Equal(got, r.segment(name)) {
		r.t.Fatalf("%s is placed with another content: %v", name, err)
	}
	return result
}

// untouched holds that the place is as it was, and nothing lies beside it.
func (r *recovering) untouched(before string) {
	r.t.Helper()
	got, err := os.ReadFile(r.placed())
	if err != nil || string(got) != before {
		r.t.Errorf("the place has %.20q: %v", got, err)
	}
	if found, _ := filepath.Glob(filepath.Join(r.dir, "pg_wal", "*")); len(found) != 1 {
		r.t.Errorf("left behind: %v", found)
	}
}

func TestAFileThatIsNotInTheArchiveIsNothingElse(t *testing.T) {
	t.Parallel()
	r := newRecovering(t)
	r.put(r.names[0])
	if err := os.WriteFile(r.placed(), []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{r.names[1], "00000002.history", r.names[0] + ".partial"} {
		if _, err := fetch.Run(t.Context(), r.options(name)); !errors.Is(err, fetch.ErrNotThere) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.untouched("before")
}

// A slip in a name must not look like the end of the log.
func TestAnArchiveThatIsNotThereIsNotTheEndOfTheLog(t *testing.T) {
	t.Parallel()
	r := newRecovering(t)
	o := r.options(r.names[0])
	_, err := fetch.Run(t.Context(), o)
	if !errors.Is(err, fetch.ErrNoArchive) || errors.Is(err, fetch.ErrNotThere) {
		t.Error(err)
	}
	r.put(r.names[0])
	o.Source = "db2"
	if _, err = fetch.Run(t.Context(), o); !errors.Is(err, fetch.ErrNoArchive) || !strings.Contains(err.Error(), "--source 'db1'") {
		t.Error(err)
	}
	o.Source = "" // it is the only one of the system
	if _, err = fetch.Run(t.Context(), o); err != nil {
		t.Error(err)
	}
	o.Name = "postgresql.conf"
	if _, err = fetch.Run(t.Context(), o); err == nil || errors.Is(err, fetch.ErrNotThere) {
		t.Error(err)
	}
}

func TestADamagedSegmentIsNeitherPlacedNorMissing(t *testing.T) {
	t.Parallel()
	r := newRecovering(t)
	r.put(r.names[0])
	f, err := repo.NewWALFile(r.archive, r.names[0], 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(r.store, filepath.FromSlash(f.Key()))
	stored, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.placed(), []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, change := range []func([]byte) []byte{
		func(b []byte) []byte { b[len(b)-100] ^= 1; return b },
		func(b []byte) []byte { return b[:len(b)-1000] },
		func(b []byte) []byte { return b[:10] },
		func([]byte) []byte { return nil },
	} {
		if err := os.WriteFile(path, change(bytes.Clone(stored)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := fetch.Run(t.Context(), r.options(r.names[0])); err == nil || errors.Is(err, fetch.ErrNotThere) {
			t.Error(err)
		}
		r.untouched("before")
	}
}

func TestSegmentsThatComeNextAreFetchedAhead(t *testing.T) {
	t.Parallel()
	r := newRecovering(t)
	r.put(r.names[:8]...)
	if first := r.fetch(r.names[0]); first.Ahead != 0 {
		t.Errorf("after one call nobody knows that more follow: %+v", first)
	}
	if second := r.fetch(r.names[1]); second.Ahead != 4 {
		t.Errorf("%+v", second)
	}
	opens := r.opens
	for _, name := range r.names[2:6] {
		if result := r.fetch(name); !result.Spooled {
			t.Errorf("%s: %+v", name, result)
		}
	}
	if r.opens != opens {
		t.Error("the repository was opened for what is on this machine")
	}
	if last := r.fetch(r.names[6]); last.Ahead != 1 {
		t.Errorf("one more is there: %+v", last)
	}
	// Elsewhere: what was fetched ahead is of no use any more, and does not pile up.
	r.fetch(r.names[2])
	r.fetch(r.names[3])
	found, err := filepath.Glob(filepath.Join(r.spool, "fetch-*", "0*"))
	if err != nil || len(found) != 4 {
		t.Errorf("%v %v", found, err)
	}
}

func TestWhatChangedOnTheDiskIsFetchedAgain(t *testing.T) {
	t.Parallel()
	r := newRecovering(t)
	r.put(r.names[:4]...)
	r.fetch(r.names[0])
	r.fetch(r.names[1])
	found, err := filepath.Glob(filepath.Join(r.spool, "fetch-*", r.names[2]+".*"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	if err := os.Truncate(found[0], 1<<19); err != nil {
		t.Fatal(err)
	}
	if result := r.fetch(r.names[2]); result.Spooled {
		t.Errorf("%+v", result)
	}
}

func TestASpoolThatOthersCanWriteIntoIsNotUsed(t *testing.T) {
	t.Parallel()
	r := newRecovering(t)
	r.put(r.names[:4]...)
	if err := errors.Join(os.Mkdir(r.spool, 0o700), os.Chmod(r.spool, 0o777)); err != nil {
		t.Fatal(err)
	}
	r.fetch(r.names[0])
	if result := r.fetch(r.names[1]); result.Ahead != 0 || result.Spooled {
		t.Errorf("%+v", result)
	}
	if found, _ := filepath.Glob(filepath.Join(r.spool, "*")); len(found) != 0 {
		t.Errorf("%v", found)
	}
}

func TestTheUnfinishedSegmentComesInItsPiecesWithZerosAfterThem(t *testing.T) {
	t.Parallel()
	r := newRecovering(t)
	r.put(r.names[0])
	name := r.names[1]
	r.piece(name, 8192, 16384)
	if _, err := fetch.Run(t.Context(), r.options(name)); !errors.Is(err, fetch.ErrNotThere) {
		t.Errorf("its beginning is missing: %v", err)
	}
	r.piece(name, 0, 8192)
	r.piece(name, 4096, 20480)  // overlaps
	r.piece(name, 30000, 40960) // after a hole
	result, err := fetch.Run(t.Context(), r.options(name))
	if err != nil || result.Pieces != 2 {
		t.Fatalf("%+v %v", result, err)
	}
	got, err := os.ReadFile(r.placed())
	want := append(bytes.Clone(r.segment(name)[:20480]), make([]byte, 1<<20-20480)...)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v, %d bytes", err, len(got))
	}
	// The log goes on after it: then it is a gap.
	r.piece(r.names[2], 0, 8192)
	if _, err := fetch.Run(t.Context(), r.options(name)); !errors.Is(err, fetch.ErrNotThere) {
		t.Error(err)
	}
	// But not when the pieces are all of it: whoever received them was killed before the
	// whole file was stored.
	r.piece(name, 20480, 1<<20)
	if result := r.fetch(name); result.Pieces != 3 {
		t.Errorf("%+v", result)
	}
	r.put(name)
	r.fetch(name)
}

func TestAStoreThatDoesNotAnswerIsTriedAgainAndThenTrouble(t *testing.T) {
	t.Parallel()
	r := newRecovering(t)
	r.put(r.names[0])
	tries := 0
	o := r.options(r.names[0])
	o.Patience = 3 * time.Second
	o.Open = func(context.Context) (*repo.Repository, error) {
		if tries++; tries < 3 {
			return nil, objstore.ErrTransient
		}
		return r.repo, nil
	}
	if _, err := fetch.Run(t.Context(), o); err != nil || tries != 3 {
		t.Errorf("%d tries: %v", tries, err)
	}
	o.Patience = time.Millisecond
	o.Open = func(context.Context) (*repo.Repository, error) { return nil, objstore.ErrTransient }
	if _, err := fetch.Run(t.Context(), o); !errors.Is(err, objstore.ErrTransient) || errors.Is(err, fetch.ErrNotThere) {
		t.Error(err)
	}
}

// What a killed call left beside the place goes once it is old.
func TestWhatAKilledCallLeftIsRemoved(t *testing.T) {
	t.Parallel()
	r := newRecovering(t)
	r.put(r.names[0])
	old, young := r.placed()+".pgbackup-1", r.placed()+".pgbackup-2"
	for _, path := range []string{old, young} {
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hour := time.Now().Add(-time.Hour)
	if err := os.Chtimes(old, hour, hour); err != nil {
		t.Fatal(err)
	}
	r.fetch(r.names[0])
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Errorf("of a call that may still run: %v", err)
	}
}
