package archive

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// The log of a real server: what it says of restore points and transactions is held
// against what the server answers.
func TestTransactionsAndRestorePointsOfARealServerAreLocated(t *testing.T) {
	t.Parallel()
	p := testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{"wal_keep_size": "1GB", "autovacuum": "off"}})
	db := p.Connect(t, "postgres")
	ask := func(sql string) (text string) {
		t.Helper()
		if err := db.QueryRow(t.Context(), sql).Scan(&text); err != nil {
			t.Fatal(sql, err)
		}
		return text
	}
	at := func(sql string) pgwal.LSN {
		t.Helper()
		lsn, err := pgwal.ParseLSN(ask(sql))
		if err != nil {
			t.Fatal(err)
		}
		return lsn
	}
	p.Exec(t, "postgres", "CREATE TABLE ledger (n int)")
	ask("SELECT pg_switch_wal()::text")
	start := at("SELECT pg_current_wal_lsn()::text")
	var xids []string
	var ends []pgwal.LSN
	var points []pgwal.LSN
	for n := range 4 {
		points = append(points, at(fmt.Sprintf("SELECT pg_create_restore_point('step %d')::text", n)))
		xids = append(xids, ask(fmt.Sprintf("INSERT INTO ledger VALUES (%d) RETURNING pg_current_xact_id()::text", n)))
		ends = append(ends, at("SELECT pg_current_wal_lsn()::text"))
		ask("SELECT pg_switch_wal()::text")
	}
	p.Exec(t, "postgres", "INSERT INTO ledger VALUES (9)") // in the segment that is not finished
	system := ask("SELECT system_identifier::text FROM pg_control_system()")
	current := ask("SELECT pg_walfile_name(pg_current_wal_lsn())")

	y := newYard(t)
	a := repo.WALArchive{Source: shop.Source, System: system}
	names, err := filepath.Glob(filepath.Join(p.DataDir, "pg_wal", "0000000100*"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	for _, name := range names {
		base := filepath.Base(name)
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		info, of, err := repo.DescribeWAL(base, data, time.Now(), "here")
		if base >= current {
			if err == nil {
				t.Errorf("%s passes for a whole segment", base)
			}
			continue
		}
		if err != nil || of != system {
			t.Fatalf("%s: system %s, %v", base, of, err)
		}
		if _, err := y.repo.PutWAL(t.Context(), a, info, data); err != nil {
			t.Fatal(err)
		}
		if _, _, err := repo.DescribeWAL("0000000100000000000000FF", data, time.Now(), "here"); !errors.Is(err, pgwal.ErrNotWAL) {
			t.Errorf("%s under another name: %v", base, err)
		}
	}
	// Base backups before the first, and between the second and the third step.
	bases := map[pgwal.LSN]string{}
	for i, stop := range []pgwal.LSN{start + 8, ends[1]} {
		w, err := y.repo.NewPoint(a.Source, "physical", epoch.Add(time.Duration(i)*time.Hour), repo.WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteStream(t.Context(), "archive", []byte("tar")); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(t.Context(), &repo.Manifest{Server: repo.Server{SystemIdentifier: system},
			Physical: &repo.Physical{StartLSN: start, StopLSN: stop, Timeline: 1, SegmentSize: pgwal.DefaultSegmentSize, Stopped: time.Now().Add(-time.Hour)}}); err != nil {
			t.Fatal(err)
		}
		bases[stop] = w.Ref().ID
	}
	s, err := Look(t.Context(), y.repo, a, Options{Headers: true})
	if err != nil || len(s.Problems) > 0 || len(s.Bases) != 2 || s.Bases[0].Problem != "" {
		t.Fatalf("%+v %v", s, err)
	}
	if time.Since(s.NewestCommit) > time.Minute || s.NewestCommit.After(time.Now()) {
		t.Errorf("the newest commit is of %s", s.NewestCommit)
	}
	for n := range 4 {
		want := bases[start+8]
		if n >= 2 {
			want = bases[ends[1]]
		}
		for _, target := range []Target{{Name: fmt.Sprintf("step %d", n)}, {XID: parseXID(t, xids[n])}} {
			found, err := Locate(t.Context(), y.repo, s, target, nil)
			if err != nil {
				t.Fatalf("%s: %v", target, err)
			}
			if exact := map[bool]pgwal.LSN{true: points[n], false: ends[n]}[target.Name != ""]; found.found != exact {
				t.Errorf("%s was found at %s, the server says %s", target, found.found, exact)
			}
			if b, w, err := s.Choose(found); err != nil || b.Ref.ID != want || w.ToLSN < found.found {
				t.Errorf("%s: %s %v, want %s", target, b.Ref.ID, err, want)
			}
		}
	}
	for _, target := range []Target{{Name: "never"}, {XID: 4_000_000_000}} {
		var u *Unreachable
		if _, err := Locate(t.Context(), y.repo, s, target, nil); !errors.As(err, &u) || !strings.Contains(err.Error(), "not in the archived WAL") {
			t.Errorf("%s: %v", target, err)
		}
	}
}

func parseXID(t *testing.T, text string) (xid uint64) {
	t.Helper()
	if _, err := fmt.Sscan(text, &xid); err != nil {
		t.Fatal(err)
	}
	return xid
}

func TestARestorePointOfAnotherTimelineIsToldWithThatTimeline(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.puts(1, 1, 6)
	y.history(2, "1\t0/300500\tno recovery target specified\n")
	y.puts(2, 3, 5)
	y.base(shop.System, 1, 1, "")
	at := pgwal.LSN(6*size + 400)
	info := repo.WALInfo{Name: pgwal.Segment{Timeline: 1, Number: 6}.Name(size), SegmentSize: size, First: 6*size + 40, Last: 6*size + 500, RestorePoints: []pgwal.RestorePoint{{Name: "old", At: at}}}
	if _, err := y.repo.PutWAL(t.Context(), shop, info, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	s := y.look(true)
	var u *Unreachable
	if _, err := Locate(t.Context(), y.repo, s, Target{Name: "old"}, nil); !errors.As(err, &u) || !u.Target.Located() || !strings.Contains(err.Error(), "on timeline 00000001 it can be recovered") {
		t.Error(err)
	}
	read := 0
	found, err := Locate(t.Context(), y.repo, s, Target{Name: "old", Timeline: 1}, func(n, all int) { read = max(read, n) })
	if err != nil || found.found != at || read != 0 {
		t.Errorf("%s %d %v", found.found, read, err)
	}
}
