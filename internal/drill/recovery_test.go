package drill

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

func TestAServerIsRecoveredToAMomentByChanceAndTheHeartbeatProvesIt(t *testing.T) {
	t.Parallel()
	l := newLedger(t, true)
	l.write(20, true)
	l.archived()
	l.base()
	l.write(20, true)
	l.archived()
	o := l.recovery("")
	o.RPO = time.Hour
	o.Drill.AmCheck = true
	r := l.drill(o, drillreport.Proven)
	rec := r.Recovery
	if r.Point.Chosen != "random" || r.Point.Seed == 0 || r.Point.Among != 2 || rec.Target.Before(rec.From) || !rec.Target.Before(rec.To) {
		t.Errorf("%+v, %+v", r.Point, rec)
	}
	if rec.By != "heartbeat" || rec.Achieved.After(rec.Target) || rec.Behind > 6 || rec.Every != 1 || rec.LSN == "" || rec.Files == 0 || rec.Commit.IsZero() {
		t.Errorf("%+v", rec)
	}
	if want := l.committed(rec.Target); r.Checks[0].Got != want {
		t.Errorf("%s rows at %s, and %s were committed until then", r.Checks[0].Got, rec.Target, want)
	}
	if r.RPO == nil || r.RPO.Seconds <= 0 || r.RPO.Kept == nil || !*r.RPO.Kept || r.RTO.Seconds <= 0 || !r.AmCheck.Passed {
		t.Errorf("%+v, %+v, %+v", r.RPO, r.RTO, r.AmCheck)
	}
	if len(r.Warnings) > 0 {
		t.Errorf("warnings: %q", r.Warnings)
	}
	// The same seed recovers to the same moment.
	o.Drill.Source, o.Drill.Seed, o.Drill.AmCheck, o.Drill.Database = "random", r.Point.Seed, false, "app"
	if again := l.drill(o, drillreport.Proven); !again.Recovery.Target.Equal(rec.Target) || again.Point.ID != r.Point.ID {
		t.Errorf("%s of %s, then %s of %s", rec.Target, r.Point.ID, again.Recovery.Target, again.Point.ID)
	}
	for seed := range int64(3) {
		o.Drill.Seed = seed + 1
		r := l.drill(o, drillreport.Proven)
		if want := l.committed(r.Recovery.Target); r.Checks[0].Got != want {
			t.Errorf("seed %d: %s rows at %s, and %s were committed until then", seed+1, r.Checks[0].Got, r.Recovery.Target, want)
		}
	}
	if archived, err := os.ReadDir(l.outbox); err != nil || len(archived) > 0 {
		t.Errorf("something archived: %v, %v", archived, err)
	}
}

func TestTheEndsOfTheWindowAreDrilledToo(t *testing.T) {
	t.Parallel()
	l := newLedger(t, false)
	first := l.listedPoints()[0]
	l.write(10, false)
	l.archived()
	l.base()
	l.write(10, false)
	l.archived()
	latest := l.recovery("latest")
	latest.RPO = time.Nanosecond
	r := l.drill(latest, drillreport.Proven)
	if !r.Recovery.Target.IsZero() || r.Recovery.By != "commit" || !r.Recovery.Achieved.Equal(r.Recovery.To) || r.Checks[0].Got != fmt.Sprint(l.rows) {
		t.Errorf("%+v, %+v", r.Recovery, r.Checks[0])
	}
	// Without heartbeats nobody knows whether anything was lost at all.
	if r.RPO.Kept != nil || len(r.Warnings) > 0 {
		t.Errorf("%+v, %q", r.RPO, r.Warnings)
	}
	o := l.recovery("oldest")
	r = l.drill(o, drillreport.Proven)
	if r.Point.ID != first || !r.Recovery.Target.Equal(r.Recovery.From) || r.Checks[0].Got != "10" {
		t.Errorf("%+v, %+v, %+v", r.Point, r.Recovery, r.Checks[0])
	}
	// A base backup that is named is recovered to a moment of its own window.
	o = l.recovery("")
	o.Point = first[:len(first)-2]
	if r = l.drill(o, drillreport.Proven); r.Point.ID != first || r.Point.Chosen != "named" {
		t.Errorf("%+v", r.Point)
	}
	if want := l.committed(r.Recovery.Target); r.Checks[0].Got != want {
		t.Errorf("%s rows, and %s were committed", r.Checks[0].Got, want)
	}
	planned, err := Plan(t.Context(), l.recovery("latest"))
	if steps := strings.Join(planned.Steps, "\n"); err != nil || !strings.Contains(steps, "the end of the archived WAL") || !strings.Contains(steps, "does not archive") {
		t.Errorf("%v\n%s", err, steps)
	}
}

func TestDamagedWALIsABadBackupOfWhichNoPointIsToBlame(t *testing.T) {
	t.Parallel()
	l := newLedger(t, true)
	l.write(5, true)
	var name string
	if err := l.conn.QueryRow(t.Context(), "SELECT pg_walfile_name(pg_current_wal_lsn())").Scan(&name); err != nil {
		t.Fatal(err)
	}
	l.archived()
	l.write(5, true)
	l.archived()
	flip(t, l.segment(name))
	r := l.drill(l.recovery("latest"), drillreport.BadBackup)
	if !strings.Contains(r.Reason, name) || !slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "archived WAL after it") }) {
		t.Errorf("%s, %q", r.Reason, r.Warnings)
	}
	for _, p := range l.listedPoints() {
		if l.listed(repo.Ref{Source: source, Kind: "physical", ID: p}).Condemned {
			t.Errorf("%s was condemned", p)
		}
	}
}

func TestADamagedBaseBackupIsCondemned(t *testing.T) {
	t.Parallel()
	l := newLedger(t, true)
	l.write(5, true)
	l.archived()
	m := l.base()
	l.write(5, true)
	l.archived()
	flip(t, filepath.Join(l.dir, m.Ref().DataPrefix()+m.Objects[0].Name))
	r := l.drill(l.recovery("latest"), drillreport.BadBackup)
	if r.Point.ID != m.ID || !l.listed(m.Ref()).Condemned {
		t.Errorf("%+v: %s", r.Point, r.Reason)
	}
	// The next one goes back to the base backup before, which reaches as far.
	r = l.drill(l.recovery("latest"), drillreport.Proven)
	if r.Point.ID == m.ID || r.Checks[0].Got != fmt.Sprint(l.rows) {
		t.Errorf("%+v, %+v", r.Point, r.Checks[0])
	}
}

func TestWhatAWholeServerIsNotIsSaidOfIt(t *testing.T) {
	t.Parallel()
	l := newLedger(t, true)
	l.write(5, true)
	l.archived()
	o := l.recovery("latest")
	o.Drill.Database = "no_such_database"
	if r := l.drill(o, drillreport.CouldNotRun); !strings.Contains(r.Reason, "no_such_database") {
		t.Error(r.Reason)
	}
	if o = l.recovery("latest"); true {
		o.Source = "nobody"
	}
	r, err := Run(t.Context(), o)
	if err != nil || r.Outcome != drillreport.CouldNotRun || !strings.Contains(r.Reason, "no good base backup") || r.Recovery != nil {
		t.Errorf("%+v, %v", r, err)
	}
	o = l.recovery("latest")
	o.Drill.Checks = []job.DrillCheck{{Name: "rows", SQL: "select count(*) from ledger", Expect: "> 100000"}}
	r = l.drill(o, drillreport.BadBackup)
	if !l.listed(repo.Ref{Source: source, Kind: "physical", ID: r.Point.ID}).Condemned {
		t.Error("it is not condemned")
	}
	if r = l.drill(l.recovery("latest"), drillreport.CouldNotRun); !strings.Contains(r.Reason, "no good base backup") {
		t.Error(r.Reason)
	}
}

func TestARecoveryFollowsAFailoverToTheNewTimeline(t *testing.T) {
	t.Parallel()
	l := newLedger(t, true)
	l.write(5, true)
	l.archived()
	// A server that ends a recovery goes on with a timeline of its own.
	if err := l.pg.Halt(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"recovery.signal": "", "postgresql.auto.conf": "restore_command = 'false'\n"} {
		if err := os.WriteFile(filepath.Join(l.pg.DataDir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("chown", "--reference="+filepath.Join(l.pg.DataDir, "PG_VERSION"), filepath.Join(l.pg.DataDir, "recovery.signal")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := l.pg.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.conn = l.pg.Connect(t, "app")
	for recovering := true; recovering; time.Sleep(20 * time.Millisecond) {
		if err := l.conn.QueryRow(t.Context(), "SELECT pg_is_in_recovery()").Scan(&recovering); err != nil {
			t.Fatal(err)
		}
	}
	l.write(5, true)
	l.archived()
	r := l.drill(l.recovery("latest"), drillreport.Proven)
	if r.Recovery.Timeline != 2 || r.Checks[0].Got != fmt.Sprint(l.rows) {
		t.Errorf("%+v, %+v", r.Recovery, r.Checks[0])
	}
	o := l.recovery("random")
	for seed := range int64(2) {
		o.Drill.Seed = seed + 1
		r := l.drill(o, drillreport.Proven)
		if want := l.committed(r.Recovery.Target); r.Recovery.Timeline != 2 || r.Checks[0].Got != want {
			t.Errorf("%s rows at %s on timeline %d, and %s were committed until then", r.Checks[0].Got, r.Recovery.Target, r.Recovery.Timeline, want)
		}
	}
}
