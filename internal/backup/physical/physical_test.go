package physical_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/physical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/basemanifest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// layout makes a cluster with all that a data directory can have: many relations, empty
// and unlogged ones, two tablespaces, a link to elsewhere, a socket, a name that is not
// UTF-8.
func layout(t *testing.T, pg *testenv.PostgresServer) {
	t.Helper()
	filled(t, pg, 8)
	for _, name := range []string{"fast", "slow"} {
		d := filepath.Join(pg.Dir, "tablespace "+name)
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := pg.Give(d); err != nil {
			t.Fatal(err)
		}
		pg.Exec(t, "postgres", fmt.Sprintf("CREATE TABLESPACE %s LOCATION '%s'", name, d))
		pg.Exec(t, "app", fmt.Sprintf("CREATE TABLE in_%[1]s TABLESPACE %[1]s AS SELECT i, md5(i::text) FROM generate_series(1, 20000) i", name))
	}
	pg.Exec(t, "app", `DO $$ BEGIN FOR i IN 1..150 LOOP
  EXECUTE format('CREATE TABLE many_%s (id int PRIMARY KEY, word text)', i);
  IF i % 2 = 0 THEN EXECUTE format('INSERT INTO many_%s SELECT j, ''word '' || j FROM generate_series(1, %s) j', i, i); END IF;
END LOOP; END $$`, "CREATE UNLOGGED TABLE unlogged AS SELECT generate_series(1, 10000) id", "CHECKPOINT")
	if err := os.Symlink("/etc/hosts", filepath.Join(pg.DataDir, "elsewhere.conf")); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(pg.DataDir, "caf\xe9.txt")
	if err := os.WriteFile(name, []byte("latin"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := pg.Give(name); err != nil {
		t.Fatal(err)
	}
}

func TestABaseBackupIsWhatPostgreSQLsOwnToolsAgreeWithAndStarts(t *testing.T) {
	t.Parallel()
	pg := archived(t, testenv.PostgresOptions{})
	layout(t, pg)
	r := inDir(t, t.TempDir())
	archive(t, pg, r, source)

	o := options(r, target(t, pg.URL("postgres")))
	plan, err := physical.Plan(t.Context(), o)
	if err != nil || plan.Server == "" || plan.Parent != "" || !strings.Contains(plan.Archive, source) {
		t.Errorf("planned %+v, %v", plan, err)
	}
	result := run(t, o)
	wantNothing(t, r, 1)
	wantQuiet(t, pg)
	m := result.Manifest
	if len(result.Warnings) > 0 || result.Doubt != "" {
		t.Errorf("warnings %q, doubt %q", result.Warnings, result.Doubt)
	}
	if len(m.Skipped) != 1 || m.Skipped[0].What != "elsewhere.conf" {
		t.Errorf("what was left out: %+v", m.Skipped)
	}
	x := m.Physical
	if x.StopLSN <= x.StartLSN || x.Timeline != 1 || x.SegmentSize != 16<<20 || x.BlockSize != 8192 || !x.PageChecksums || x.Superuser != "postgres" ||
		x.DataDirectory != pg.DataDir || x.Settings["max_connections"] != "100" || x.Settings["wal_level"] != "replica" || x.Full != m.Totals.Bytes {
		t.Errorf("%+v", x)
	}
	if age := time.Since(x.Stopped); age < 0 || age > time.Minute || x.Stopped.Before(m.Server.Clock) {
		t.Errorf("stopped %s, %s ago", x.Stopped, age)
	}
	if len(x.Tablespaces) != 2 || x.Tablespaces[0].Location != filepath.Join(pg.Dir, "tablespace fast") || x.Tablespaces[0].Bytes < 800_000 {
		t.Errorf("%+v", x.Tablespaces)
	}
	wantList(t, r)
	directory := wantVerified(t, r, pg, m.Ref())

	// It recovers to where it ended, with the tablespaces where they now lie.
	pg.Exec(t, "app", "INSERT INTO in_fast SELECT i, 'later' FROM generate_series(1, 5) i", "SELECT pg_switch_wal()")
	for _, ts := range x.Tablespaces {
		here := filepath.Join(directory, "pg_tblspc", fmt.Sprint(ts.OID))
		if err := os.Rename(here, here+".moved"); err != nil {
			t.Fatal(err)
		}
		moved := filepath.Join(filepath.Dir(directory), fmt.Sprint(ts.OID))
		if err := os.Rename(here+".moved", moved); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(moved, here); err != nil {
			t.Fatal(err)
		}
	}
	recovered := recover(t, pg, directory, log(t, r, pg))
	var rows [4]int
	if err := recovered.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM in_fast), (SELECT count(*) FROM in_slow), (SELECT count(*) FROM many_150), (SELECT count(*) FROM unlogged)").
		Scan(&rows[0], &rows[1], &rows[2], &rows[3]); err != nil || rows != [4]int{20000, 20000, 150, 0} {
		t.Errorf("recovered %v, %v", rows, err)
	}
}

// wantList reads the list of the point and some of its files by where it says they are.
func wantList(t *testing.T, r place) {
	t.Helper()
	points, err := r.List(t.Context(), listAll)
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.OpenPoint(t.Context(), points[0].Ref)
	if err != nil {
		t.Fatal(err)
	}
	index, err := p.Index(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var last string
	seen := map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(readAll(t, r, points[0].Ref, contents.StreamEntries)))
	for n := 0; lines.Scan(); n++ {
		var e contents.Entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		if seen[e.Path] {
			t.Errorf("%s is there twice", e.Path)
		}
		last, seen[e.Path] = e.Path, true
		if e.Type != contents.TypeFile || n%40 != 0 && e.Path != "global/pg_control" {
			continue
		}
		body, err := p.Range(t.Context(), index, e.Offset, e.Offset+e.Size)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(body)
		body.Close()
		if err != nil || basemanifest.CRC32C(basemanifest.Sum(0, data)) != e.CRC32C {
			t.Errorf("%s is not at %d: %v", e.Path, e.Offset, err)
		}
	}
	if last != basemanifest.Name {
		t.Errorf("the last entry is %s", last)
	}
	for _, name := range []string{"backup_label", "global/pg_control", "PG_VERSION", "pg_wal", "pg_tblspc"} {
		if !seen[name] {
			t.Errorf("%s is not there", name)
		}
	}
	for _, name := range []string{"tablespace_map", "elsewhere.conf", "postmaster.pid"} {
		if seen[name] {
			t.Errorf("%s is there", name)
		}
	}
}

func TestTheServerMayCompressWhatItSendsInEveryWayItCan(t *testing.T) {
	t.Parallel()
	pg := archived(t, testenv.PostgresOptions{})
	filled(t, pg, 6)
	r := inDir(t, t.TempDir())
	archive(t, pg, r, source)
	for _, by := range []string{"zstd", "lz4", "gzip"} {
		o := options(r, target(t, pg.URL("postgres")))
		o.What.Compression = by
		wantVerified(t, r, pg, run(t, o).Manifest.Ref())
	}
	wantNothing(t, r, 3)
}

func TestTheServerSendsNoFasterThanItMay(t *testing.T) {
	t.Parallel()
	pg := archived(t, testenv.PostgresOptions{})
	r := inDir(t, t.TempDir())
	archive(t, pg, r, source)
	o := options(r, target(t, pg.URL("postgres")))
	o.What.MaxRate = 8 << 20
	begun := time.Now()
	m := run(t, o).Manifest
	took, least := time.Since(begun), time.Duration(float64(m.Totals.Bytes)/float64(o.What.MaxRate)*0.8*float64(time.Second))
	if took < least {
		t.Errorf("%d bytes took %s, with %d a second", m.Totals.Bytes, took, o.What.MaxRate)
	}
}

func TestAStandbyIsBackedUpAndItsPrimaryFinishesTheSegment(t *testing.T) {
	t.Parallel()
	pg := archived(t, testenv.PostgresOptions{Config: map[string]string{"full_page_writes": "on"}})
	filled(t, pg, 4)
	standby := pg.Standby(t)
	r := inDir(t, t.TempDir())
	archive(t, pg, r, source)
	pg.CatchUp(t, standby)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	conn := pg.Connect(t, "postgres")
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_, _ = conn.Exec(ctx, "SELECT pg_logical_emit_message(true, 'test', 'goes on'), pg_switch_wal()")
			time.Sleep(200 * time.Millisecond)
		}
	}()
	m := run(t, options(r, target(t, standby.URL("postgres")))).Manifest
	stop()
	<-done
	if !m.Server.InRecovery {
		t.Error("the manifest does not say that a standby was read")
	}
	wantVerified(t, r, pg, m.Ref())
}

// A role that may replicate and nothing else, as backup users should be.
func TestARoleThatMayOnlyReplicateIsEnough(t *testing.T) {
	t.Parallel()
	pg := archived(t, testenv.PostgresOptions{})
	pg.Exec(t, "postgres", "CREATE ROLE backup LOGIN REPLICATION PASSWORD 'secret'")
	r := inDir(t, t.TempDir())
	archive(t, pg, r, source)
	to := target(t, pg.URLFor("backup", "secret", "postgres"))
	m := run(t, options(r, to)).Manifest
	if m.Physical.Superuser != "postgres" || m.Physical.DataDirectory != "" || len(m.Skipped) > 0 {
		t.Errorf("%+v, without %v", m.Physical, m.Skipped)
	}
	pg.Exec(t, "postgres", "REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
	m = run(t, options(r, to)).Manifest
	if m.Physical.Superuser != "" || len(m.Skipped) != 1 || m.Server.SystemIdentifier == "" || m.Server.Major != pg.Major {
		t.Errorf("%+v of %+v, without %v", m.Physical, m.Server, m.Skipped)
	}
	wantNothing(t, r, 2)
}
