package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// The whole life of an archive as `wal status` tells it, with the log of a real server.
func TestTheStandingOfAnArchiveIsToldWithItsExitCode(t *testing.T) {
	t.Parallel()
	p := directory(t)
	pg := testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{"archive_mode": "on", "archive_command": "'/bin/false'", "wal_keep_size": "1GB"}})
	status := func(want int, args ...string) ended {
		t.Helper()
		got := p.run(nil, append([]string{"wal", "status", "--repository", p.url}, args...)...)
		if got.code != want {
			t.Fatalf("wal status %q: exit code %d, want %d\n%s%s", args, got.code, want, got.out, got.stderr)
		}
		return got
	}
	if got := status(4); !strings.Contains(got.stderr, "wal push") {
		t.Error(got.stderr)
	}

	db := pg.Connect(t, "postgres")
	ask := func(sql string) (text string) {
		t.Helper()
		if err := db.QueryRow(t.Context(), sql).Scan(&text); err != nil {
			t.Fatal(sql, err)
		}
		return text
	}
	var files []string
	for n := range 5 {
		pg.Exec(t, "postgres", fmt.Sprintf("CREATE TABLE t%d AS SELECT 1 AS a", n))
		files = append(files, ask("SELECT pg_walfile_name(pg_current_wal_lsn())"))
		ask("SELECT pg_switch_wal()::text")
	}
	system := ask("SELECT system_identifier::text FROM pg_control_system()")
	at := repo.WALArchive{Source: "db1", System: system}
	store := func(name string) {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(pg.DataDir, "pg_wal", name))
		if err != nil {
			t.Fatal(err)
		}
		info, _, err := repo.DescribeWAL(name, data, time.Now(), "db1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.repo.PutWAL(t.Context(), at, info, data); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range files {
		store(name)
	}
	if got := status(3); !strings.Contains(got.out, "Recoverable now: nothing") || !strings.Contains(got.stderr, "there is no base backup") {
		t.Errorf("%s%s", got.out, got.stderr)
	}

	base := func(file string, ago time.Duration) string {
		t.Helper()
		segment, err := pgwal.ParseSegment(file, pgwal.DefaultSegmentSize)
		if err != nil {
			t.Fatal(err)
		}
		w, err := p.repo.NewPoint(at.Source, retention.KindPhysical, time.Now().Add(-ago), repo.WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteStream(t.Context(), "archive", []byte("tar")); err != nil {
			t.Fatal(err)
		}
		start := segment.Start(pgwal.DefaultSegmentSize) + 0x28
		if err := w.Commit(t.Context(), &repo.Manifest{End: time.Now(), Server: repo.Server{SystemIdentifier: system, Major: pg.Major},
			Physical: &repo.Physical{StartLSN: start, StopLSN: start + 1, Timeline: 1, SegmentSize: pgwal.DefaultSegmentSize, Stopped: time.Now().Add(-ago)}}); err != nil {
			t.Fatal(err)
		}
		return w.Ref().ID
	}
	oldest := base(files[0], time.Hour)
	got := status(0, "--max-lag", "1h")
	for _, want := range []string{"WAL of db1 (system " + system + "): 5 files", "Newest: ", "Recoverable now: from ", "archived", oldest, "to the end of the archive"} {
		if !strings.Contains(got.out, want) {
			t.Errorf("%q is missing in\n%s", want, got.out)
		}
	}
	var document struct {
		Good     bool
		Archives []struct {
			Source string
			Lag    float64  `json:"lag_seconds"`
			MaxLag *float64 `json:"max_lag_seconds"`
			Window *struct{ From, To time.Time }
			Bases  []struct{ ID string } `json:"base_backups"`
		}
	}
	got = status(0, "--json", "--source", "db1")
	if err := json.Unmarshal([]byte(got.out), &document); err != nil || !document.Good || len(document.Archives) != 1 || document.Archives[0].Window == nil ||
		document.Archives[0].Lag <= 0 || document.Archives[0].Lag > 600 || document.Archives[0].MaxLag != nil || len(document.Archives[0].Bases) != 1 {
		t.Errorf("%v %s", err, got.out)
	}
	time.Sleep(1100 * time.Millisecond)
	if got := status(3, "--max-lag", "1s"); !strings.Contains(got.stderr, "more than 1s") {
		t.Error(got.stderr)
	}
	if got := status(4, "--source", "other"); !strings.Contains(got.stderr, "db1") {
		t.Error(got.stderr)
	}
	if got := p.run(nil, "wal", "status", "--repository", p.url, "--max-lag", "soon"); got.code != 2 {
		t.Error(got)
	}

	// The server says that its archiver fails.
	deadline := time.Now().Add(time.Minute)
	for ask("SELECT coalesce(last_failed_wal, '') FROM pg_stat_archiver") == "" {
		if time.Now().After(deadline) {
			t.Fatal("the server did not notice that its archive_command fails")
		}
		time.Sleep(100 * time.Millisecond)
	}
	if got := status(3, "--source", "db1", "--database", pg.URL("postgres")); !strings.Contains(got.stderr, "archive_command failed with 0000000100000000") || !strings.Contains(got.out, "FAILED") {
		t.Errorf("%s%s", got.out, got.stderr)
	}

	// A segment in the middle is gone.
	gone, err := repo.NewWALFile(at, files[2], 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.repo.DeleteWAL(t.Context(), []repo.WALFile{gone}); err != nil {
		t.Fatal(err)
	}
	if got := status(0); strings.Contains(got.stderr, "missing") {
		t.Errorf("what may be on its way is told as missing: %s", got.stderr)
	}
	folder := filepath.Join(strings.TrimPrefix(p.url, "file://"), filepath.FromSlash(filepath.Dir(gone.Key())))
	hourAgo := time.Now().Add(-time.Hour)
	for _, name := range files {
		if err := os.Chtimes(filepath.Join(folder, name), hourAgo, hourAgo); err != nil && name != gone.Name {
			t.Fatal(err)
		}
	}
	got = status(6)
	if !strings.Contains(got.stderr, "is missing: 1 segment from ") || !strings.Contains(got.out, "GAP") || !strings.Contains(got.out, "ENDS AT A GAP") {
		t.Errorf("%s%s", got.out, got.stderr)
	}
	if !strings.Contains(got.stderr, "Take a new base backup") {
		t.Error(got.stderr)
	}
	newer := base(files[3], time.Minute)
	if got := status(6); strings.Contains(got.stderr, "Take a new base backup") || !strings.Contains(got.stderr, "recovery is possible again, by base backup "+newer) {
		t.Error(got.stderr)
	}
	if got := p.run(nil, "verify", "--wal", "--repository", p.url); got.code != 0 || !strings.Contains(got.out, "4 files of WAL are good") {
		t.Error(got)
	}
	object := filepath.Join(strings.TrimPrefix(p.url, "file://"), filepath.FromSlash(strings.Replace(gone.Key(), files[2], files[3], 1)))
	stored, err := os.ReadFile(object)
	if err != nil {
		t.Fatal(err)
	}
	stored[len(stored)-10] ^= 1
	if err := os.WriteFile(object, stored, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := p.run(nil, "verify", "--wal", "--repository", p.url); got.code != 6 || !strings.Contains(got.out, files[3]) {
		t.Error(got)
	}
}
