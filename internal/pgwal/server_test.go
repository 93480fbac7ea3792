package pgwal_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// bins are the installed server, and newer majors where `make majors` put them.
func bins() []string {
	found, _ := filepath.Glob("../../.tools/pg1[78]/programs")
	return append([]string{""}, found...)
}

// dumped is a transaction's end as pg_waldump shows it.
type dumped struct {
	xid string
	at  string
}

var (
	dumpLine = regexp.MustCompile(`^rmgr: (\S+)\s.*tx:\s+(\d+), lsn: ([0-9A-F]+/[0-9A-F]+), prev [0-9A-F/]+, desc: (.*)$`)
	dumpTime = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? UTC`)
)

func TestSegmentsOfARealServerReadAsPgWaldumpReadsThem(t *testing.T) {
	for _, bin := range bins() {
		t.Run(filepath.Base(filepath.Dir(bin)), func(t *testing.T) {
			t.Parallel()
			server := testenv.Postgres(t, testenv.PostgresOptions{Bin: mustAbs(t, bin), Config: map[string]string{
				"max_prepared_transactions": "5", "wal_keep_size": "1GB", "timezone": "UTC", "track_commit_timestamp": "on", "checkpoint_timeout": "30s"}})
			write(t, server)
			compare(t, server)
		})
	}
}

func mustAbs(t *testing.T, path string) string {
	t.Helper()
	if path == "" {
		return ""
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// write makes records of every kind that is looked into, some across segments.
func write(t *testing.T, p *testenv.PostgresServer) {
	t.Helper()
	p.CreateDatabase(t, "bank")
	if err := p.PgBench(t.Context(), "bank", 2); err != nil {
		t.Fatal(err)
	}
	bench := p.Command(t.Context(), "pgbench", "--client=4", "--transactions=500", "--no-vacuum", "bank")
	if out, err := bench.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p.Exec(t, "bank",
		"SELECT pg_create_restore_point('before the release')",
		"SELECT pg_switch_wal()",
		"SELECT pg_logical_emit_message(true, 'large', repeat('x', 40000000))", // over three segments
		"BEGIN; CREATE TABLE two_phase AS SELECT 1 AS a; PREPARE TRANSACTION 'p1'",
		"COMMIT PREPARED 'p1'",
		"BEGIN; CREATE TABLE never AS SELECT 1 AS a; PREPARE TRANSACTION 'p2'",
		"ROLLBACK PREPARED 'p2'",
		"BEGIN; INSERT INTO two_phase SELECT generate_series(1, 100000); ROLLBACK",
		"DO $$ BEGIN FOR i IN 1..50 LOOP EXECUTE format('CREATE TABLE t%s (a int)', i); EXECUTE format('DROP TABLE t%s', i); END LOOP; END $$",
		"SELECT pg_switch_wal()",
		"UPDATE two_phase SET a = a + 1",
		"CHECKPOINT",
	)
}

func compare(t *testing.T, p *testenv.PostgresServer) {
	t.Helper()
	wal := filepath.Join(p.DataDir, "pg_wal")
	var system, current string
	if err := p.Connect(t, "postgres").QueryRow(t.Context(), "SELECT system_identifier::text, pg_walfile_name(pg_current_wal_lsn()) FROM pg_control_system()").Scan(&system, &current); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(wal, "0000000100000000000000*"))
	if err != nil || len(names) < 5 {
		t.Fatal(names, err)
	}
	slices.Sort(names)
	var ours []pgwal.End
	var scans []pgwal.Scan
	var scanner *pgwal.Scanner
	for _, name := range names {
		base := filepath.Base(name)
		if base > current {
			break
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if gotSystem, size, tli, major, err := pgwal.LongHeader(data); err != nil || fmt.Sprint(gotSystem) != system || size != pgwal.DefaultSegmentSize || tli != 1 || major != p.Major {
			t.Fatalf("%s: system %d size %d timeline %d major %d, %v", base, gotSystem, size, tli, major, err)
		}
		seg, err := pgwal.ParseSegment(base, pgwal.DefaultSegmentSize)
		if err != nil {
			t.Fatal(err)
		}
		if scanner == nil {
			scanner = pgwal.NewScanner(&seg)
			scanner.Ended = func(e pgwal.End) { ours = append(ours, e) }
		} else {
			scanner = scanner.Next()
		}
		_, _ = scanner.Write(data)
		scan, err := scanner.Scan()
		if err != nil || base < current && scan.CheckWhole() != nil || base == current && scan.Whole {
			t.Fatalf("%s: %+v %v", base, scan, err)
		}
		scans = append(scans, scan)
	}
	theirs, restorePoints, records := waldump(t, p, wal, scans[0].Start, scans[len(scans)-1].End)
	var counted int64
	var names2 []string
	for _, s := range scans {
		counted += s.Records
		for _, r := range s.RestorePoints {
			names2 = append(names2, r.Name)
		}
	}
	if counted != records {
		t.Errorf("%d records were found, pg_waldump shows %d", counted, records)
	}
	if !slices.Equal(names2, restorePoints) {
		t.Errorf("restore points %q, pg_waldump shows %q", names2, restorePoints)
	}
	if len(ours) != len(theirs) || len(ours) < 2000 {
		t.Fatalf("%d transactions ended, pg_waldump shows %d", len(ours), len(theirs))
	}
	for i, e := range ours {
		at := e.At.Format("2006-01-02 15:04:05.000000 UTC")
		if want := theirs[i]; at != want.at || e.XID != 0 && fmt.Sprint(e.XID) != want.xid {
			t.Fatalf("transaction %d ended at %s with number %d, pg_waldump shows %+v", i, at, e.XID, want)
		}
	}
	t.Logf("PostgreSQL %d: %d segments, %d records, %d transactions", p.Major, len(scans), counted, len(ours))
}

// waldump asks the reference reader.
func waldump(t *testing.T, p *testenv.PostgresServer, wal string, from, to pgwal.LSN) (ended []dumped, restorePoints []string, records int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := p.Command(ctx, "pg_waldump", "--path", wal, "--start", from.String(), "--end", to.String())
	cmd.Env = append(cmd.Env, "TZ=UTC")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReaderSize(out, 64<<10)
	for {
		line, more, err := lines.ReadLine()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		m := dumpLine.FindStringSubmatch(string(line))
		for more && err == nil { // of a large message all is shown
			_, more, err = lines.ReadLine()
		}
		if m == nil {
			continue
		}
		records++
		desc := m[4]
		switch {
		case m[1] == "Transaction" && (strings.HasPrefix(desc, "COMMIT") || strings.HasPrefix(desc, "ABORT")):
			ended = append(ended, dumped{xid: m[2], at: dumpTime.FindString(desc)})
		case m[1] == "XLOG" && strings.HasPrefix(desc, "RESTORE_POINT"):
			restorePoints = append(restorePoints, strings.TrimPrefix(desc, "RESTORE_POINT "))
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("pg_waldump: %v: %s", err, stderr.String())
	}
	return ended, restorePoints, records
}
