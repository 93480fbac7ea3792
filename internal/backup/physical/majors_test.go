//go:build majors

package physical_test

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/physical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

var majors = flag.String("majors", "", "absolute path of the folder with pg17 and pg18, as ensure-majors.sh makes it")

// programs is the directory of the programs of one of the majors that ensure-majors.sh
// prepares.
func programs(t *testing.T, major int) string {
	t.Helper()
	bin := filepath.Join(*majors, "pg"+strconv.Itoa(major), "programs")
	if _, err := os.Stat(filepath.Join(bin, "initdb")); err != nil {
		t.Fatalf("-majors names no folder with PostgreSQL %d: run it as `make test-majors` does (%v)", major, err)
	}
	return bin
}

func incremental(r place, pg *testenv.PostgresServer, t *testing.T) physical.Options {
	o := options(r, target(t, pg.URL("postgres")))
	o.What.Incremental = &job.Incremental{}
	return o
}

func TestMajorsTakeIncrementalBackupsThatCombineToWhatTheServerHas(t *testing.T) {
	t.Parallel()
	for _, major := range []int{17, 18} {
		t.Run(strconv.Itoa(major), func(t *testing.T) {
			t.Parallel()
			pg := archived(t, testenv.PostgresOptions{Bin: programs(t, major), Config: map[string]string{"summarize_wal": "on"}})
			layout(t, pg)
			r := inDir(t, t.TempDir())
			archive(t, pg, r, source)

			full := run(t, incremental(r, pg, t))
			if full.Manifest.Parent != "" || len(full.Warnings) > 0 {
				t.Fatalf("the first one builds on %q and warns %q", full.Manifest.Parent, full.Warnings)
			}
			var taken []repo.Ref
			taken = append(taken, full.Manifest.Ref())
			for i := range 2 {
				pg.Exec(t, "app", "UPDATE many_150 SET word = word || '!'", "INSERT INTO in_slow SELECT i, 'more' FROM generate_series(1, 1000) i", "CHECKPOINT")
				plan, err := physical.Plan(t.Context(), incremental(r, pg, t))
				if err != nil || plan.Parent != taken[i].ID || len(plan.Warnings) > 0 {
					t.Errorf("planned %+v, %v", plan, err)
				}
				next := run(t, incremental(r, pg, t))
				m := next.Manifest
				if m.Parent != taken[i].ID || len(next.Warnings) > 0 {
					t.Fatalf("it builds on %q instead of %q and warns %q", m.Parent, taken[i].ID, next.Warnings)
				}
				if m.Totals.Bytes*2 > full.Manifest.Totals.Bytes || m.Physical.Full < full.Manifest.Totals.Bytes*9/10 {
					t.Errorf("%d bytes of %d, of a full one of %d", m.Totals.Bytes, m.Physical.Full, full.Manifest.Totals.Bytes)
				}
				taken = append(taken, m.Ref())
			}
			wantNothing(t, r, 3)

			var folders []string
			for _, ref := range taken {
				folders = append(folders, wantVerified(t, r, pg, ref))
			}
			combined := filepath.Join(pg.Dir, "combined")
			args := []string{"--output", combined}
			for _, ts := range full.Manifest.Physical.Tablespaces {
				id := strconv.Itoa(int(ts.OID))
				for i, f := range folders { // as a restore lays them out
					here, outside := filepath.Join(f, "pg_tblspc", id), filepath.Join(pg.Dir, "ts"+id+"-"+strconv.Itoa(i))
					if err := os.Rename(here, outside); err != nil {
						t.Fatal(err)
					}
					if err := os.Symlink(outside, here); err != nil {
						t.Fatal(err)
					}
				}
				args = append(args, "--tablespace-mapping", filepath.Join(pg.Dir, "ts"+id+"-2")+"="+filepath.Join(pg.Dir, "ts"+id))
			}
			if out, err := pg.Command(t.Context(), "pg_combinebackup", append(args, folders...)...).CombinedOutput(); err != nil {
				t.Fatalf("pg_combinebackup: %v: %s", err, out)
			}
			if out, err := pg.Command(t.Context(), "pg_verifybackup", "--no-parse-wal", combined).CombinedOutput(); err != nil {
				t.Errorf("pg_verifybackup: %v: %s", err, out)
			}
			var rows int
			var word string
			if err := recover(t, pg, combined, log(t, r, pg)).QueryRow(t.Context(), "SELECT (SELECT count(*) FROM in_slow), (SELECT word FROM many_150 WHERE id = 7)").Scan(&rows, &word); err != nil || rows != 22000 || word != "word 7!!" {
				t.Errorf("recovered %d rows and %q, %v", rows, word, err)
			}
		})
	}
}

func TestMajorsWithoutSummariesFallBackToAFullBackupWithAWarning(t *testing.T) {
	t.Parallel()
	pg := archived(t, testenv.PostgresOptions{Bin: programs(t, 17)})
	r := inDir(t, t.TempDir())
	archive(t, pg, r, source)
	run(t, incremental(r, pg, t))
	fallsBack := func(because string) {
		t.Helper()
		got := run(t, incremental(r, pg, t))
		if got.Manifest.Parent != "" || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], because) || !strings.Contains(got.Warnings[0], "full backup") {
			t.Errorf("it builds on %q and warns %q, want %q", got.Manifest.Parent, got.Warnings, because)
		}
	}
	fallsBack("summarize_wal")
	// Switched on too late for the backup before, which began without.
	if err := pg.Configure(t.Context(), map[string]string{"summarize_wal": "on"}); err != nil {
		t.Fatal(err)
	}
	pg.Exec(t, "postgres", "SELECT pg_logical_emit_message(false, 'test', 'x')", "SELECT pg_switch_wal()", "CHECKPOINT")
	got := run(t, incremental(r, pg, t)) // what summarises begins at the oldest segment there is
	t.Logf("on %q, %q", got.Manifest.Parent, got.Warnings)

	// The summaries are gone, of all that was written since the backup before.
	begun := time.Now()
	pg.Exec(t, "postgres", "SELECT pg_logical_emit_message(false, 'test', 'x')", "SELECT pg_switch_wal()", "CHECKPOINT")
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		found, err := filepath.Glob(filepath.Join(pg.DataDir, "pg_wal", "summaries", "*.summary"))
		if err != nil {
			t.Fatal(err)
		}
		late := false
		for _, f := range found {
			info, err := os.Stat(f)
			if err != nil {
				t.Fatal(err)
			}
			late = late || info.ModTime().After(begun)
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
		if late {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the server summarises nothing")
		}
	}
	fallsBack("summaries")

	// What it would build on is damaged.
	points, err := r.List(t.Context(), repo.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.Manifest(t.Context(), points[0].Ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.store.Delete(t.Context(), m.Ref().DataPrefix()+m.Stream(contents.StreamManifest)[0].Name); err != nil {
		t.Fatal(err)
	}
	got = run(t, incremental(r, pg, t))
	if got.Manifest.Parent != "" || len(got.Warnings) != 1 {
		t.Errorf("it builds on %q and warns %q", got.Manifest.Parent, got.Warnings)
	}
}

func TestMajorsTakeAFullBackupWhenTheLastOneIsOld(t *testing.T) {
	t.Parallel()
	pg := archived(t, testenv.PostgresOptions{Bin: programs(t, 17), Config: map[string]string{"summarize_wal": "on"}})
	r := inDir(t, t.TempDir())
	archive(t, pg, r, source)
	o := incremental(r, pg, t)
	run(t, o)
	if m := run(t, o).Manifest; m.Parent == "" {
		t.Error("the second one is full")
	}
	o.What.Incremental.FullEvery = duration.MustParse("1s")
	if got := run(t, o); got.Manifest.Parent != "" || len(got.Warnings) > 0 {
		t.Errorf("it builds on %q and warns %q", got.Manifest.Parent, got.Warnings)
	}
}
