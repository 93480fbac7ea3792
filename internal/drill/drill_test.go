package drill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestAGoodBackupIsProvenInAClusterOfItsOwn(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.backup()
	o := f.options()
	o.Objective, o.Policy, o.PolicyRevision = time.Hour, "prod", 2
	o.Drill.AmCheck = true
	o.Drill.Checks = []job.DrillCheck{
		{Name: "recent orders", SQL: "select max(created_at) > now() - interval '2 days' from orders"},
		{Name: "enough", SQL: "select count(*) from orders", Expect: ">= 5000"},
		{Name: "somebody", SQL: "select * from recent", Expect: "non-empty"},
	}
	r := f.drill(o, drillreport.Proven)
	if r.Point.ID != m.ID || r.Point.Chosen != "latest" || r.Point.Among != 1 || r.Point.From != "primary" || r.Point.Stored != m.StoredSize() || r.Repository != f.ID() {
		t.Errorf("%+v", r.Point)
	}
	if r.Contents.Tables != 2 || r.Contents.Rows != 10000 || r.Contents.Sequences != 1 || len(r.Contents.Differences) > 0 {
		t.Errorf("%+v", r.Contents)
	}
	if r.RTO.Kept == nil || !*r.RTO.Kept || r.RTO.Seconds <= 0 || r.RTO.Seconds > r.End.Sub(r.Start).Seconds() || r.RTO.Objective != 3600 {
		t.Errorf("%+v", r.RTO)
	}
	if r.Into.Kind != "scratch_cluster" || r.Into.Version == "" || len(r.Into.Isolation) == 0 {
		t.Errorf("%+v", r.Into)
	}
	var phases []string
	needed := 0.0
	for _, p := range r.Phases {
		phases = append(phases, p.Name)
		if !slices.Contains([]string{drillreport.PhaseChoosing, drillreport.PhaseComparing, drillreport.PhaseAmCheck, drillreport.PhaseChecks, drillreport.PhaseRemoving}, p.Name) {
			needed += p.Seconds
		}
	}
	for _, want := range []string{"starting a server", "tables", drillreport.PhaseComparing, drillreport.PhaseAmCheck, drillreport.PhaseChecks, drillreport.PhaseRemoving} {
		if !slices.Contains(phases, want) {
			t.Errorf("%q was not measured: %q", want, phases)
		}
	}
	if diff := needed - r.RTO.Seconds; diff > 0.001 || diff < -0.001 {
		t.Errorf("the phases that count take %v, the RTO is %v", needed, r.RTO.Seconds)
	}
	if len(r.Checks) != 3 || !r.Checks[0].Passed || !r.Checks[1].Passed || r.Checks[1].Got != "5000" || !r.Checks[2].Passed || !r.AmCheck.Passed {
		t.Errorf("%+v, %+v", r.Checks, r.AmCheck)
	}
	if f.listed(m.Ref()).Condemned {
		t.Error("it was condemned")
	}
}

func TestABrokenObjectiveIsAWarningAboutAProvenBackup(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.backup()
	o := f.options()
	o.Objective = time.Millisecond
	r := f.drill(o, drillreport.Proven)
	if !r.RTO.BrokeRTO() || !slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "objective (RTO)") }) {
		t.Errorf("%+v, %q", r.RTO, r.Warnings)
	}
}

func TestAServerThatDoesNotAnswerSaysNothingAboutTheBackup(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.backup()
	stopped := testenv.Postgres(t)
	to, err := postgres.ParseTarget(stopped.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	if err := stopped.Halt(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	o := f.into(f.options())
	o.Connect = func(context.Context) (postgres.Target, error) { return to, nil }
	r := f.drill(o, drillreport.CouldNotRun)
	if r.Point.ID != m.ID || !strings.Contains(r.Reason, "nothing listens") || r.RTO.Kept != nil {
		t.Errorf("%+v", r)
	}
	if f.listed(m.Ref()).Condemned {
		t.Error("it was condemned")
	}
}

func TestAFullDiskSaysNothingAboutTheBackup(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "CREATE TABLE big AS SELECT n, repeat(md5(n::text), 30) AS v FROM generate_series(1, 60000) n")
	m := f.backup()
	o := f.options()
	path := filepath.Join(f.scratch, "disk")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, "size=100m,mode=755"); err != nil {
		t.Fatalf("a small file system can not be mounted: %v; run the tests as root or in a container with CAP_SYS_ADMIN", err)
	}
	defer func() {
		if err := errors.Join(syscall.Unmount(path, 0), os.Remove(path)); err != nil {
			t.Error(err)
		}
	}()
	o.Drill.Into.ScratchCluster.Directory = path
	r := f.drill(o, drillreport.CouldNotRun)
	if !strings.Contains(r.Reason, "No space left") || !strings.Contains(r.Reason, path) {
		t.Error(r.Reason)
	}
	if f.listed(m.Ref()).Condemned {
		t.Error("it was condemned")
	}
}

func TestWithoutAServersProgramsADrillSaysWhatToInstall(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := f.content(f.backup().Ref())
	c.manifest.Server.Major = 99 // of the future
	ref := f.write(c)
	r := f.drill(f.options(), drillreport.CouldNotRun)
	if r.Point.ID != ref.ID || !strings.Contains(r.Reason, "postgresql-99") {
		t.Error(r.Reason)
	}
	if f.listed(ref).Condemned {
		t.Error("it was condemned")
	}
}

func TestNothingToDrillIsReportedAsAnyDrill(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if r := f.drill(f.options(), drillreport.CouldNotRun); r.Point.ID != "" || !strings.Contains(r.Reason, "nothing to drill") {
		t.Errorf("%+v", r)
	}
	m := f.backup()
	if err := f.Condemn(t.Context(), m.Ref(), repo.Mark{At: time.Now(), By: "a test", Why: "a test"}); err != nil {
		t.Fatal(err)
	}
	if r := f.drill(f.options(), drillreport.CouldNotRun); r.Point.ID != "" || !strings.Contains(r.Reason, "no good recovery point") {
		t.Errorf("%+v", r)
	}
	o := f.options()
	o.Point = m.ID
	r := f.drill(o, drillreport.Proven)
	if r.Point.ID != m.ID || !slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "verify --clear") }) {
		t.Errorf("%+v", r)
	}
	if !f.listed(m.Ref()).Condemned {
		t.Error("a drill cleared it")
	}
}

func TestAnInterruptedDrillIsReportedAndLeavesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.backup()
	for name, o := range map[string]Options{"a cluster": f.options(), "a database": f.into(f.options())} {
		ctx, cancel := context.WithCancelCause(t.Context())
		// It is stopped while a check waits, when all is there that could be left.
		o.Drill.Checks = []job.DrillCheck{{Name: "slow", SQL: "select pg_sleep(60)", Expect: "non-empty"}}
		time.AfterFunc(5*time.Second, func() { cancel(errors.New("interrupted (terminated)")) })
		r, err := Run(ctx, o)
		cancel(nil)
		if err != nil || r.Outcome != drillreport.CouldNotRun || !strings.Contains(r.Reason, "interrupted (terminated)") {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		if took := r.End.Sub(r.Start); took > 30*time.Second {
			t.Errorf("%s: it took %s to end", name, took)
		}
		if list := f.reports(); len(list) == 0 || list[0].ID != r.ID && list[1].ID != r.ID {
			t.Errorf("%s: the report is not stored: %+v", name, list)
		}
	}
	if f.listed(m.Ref()).Condemned {
		t.Error("it was condemned")
	}
	f.wantNoDatabases()
}

func TestADrillThatTakesTooLongIsEnded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.backup()
	o := f.options()
	o.Limit = 3 * time.Second
	o.Drill.Checks = []job.DrillCheck{{Name: "slow", SQL: "select pg_sleep(60)", Expect: "non-empty"}}
	if r := f.drill(o, drillreport.CouldNotRun); !strings.Contains(r.Reason, ErrLimit.Error()) {
		t.Error(r.Reason)
	}
}

func TestADrillWhoseReportCanNotBeStoredFails(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.backup()
	without, err := repo.Open(t.Context(), storeOf(t, f.dir), repo.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	o := f.options()
	o.Reports = without
	r, err := Run(t.Context(), o)
	if !errors.Is(err, repo.ErrNoKey) || r.Outcome != drillreport.Proven || !strings.Contains(err.Error(), "nobody will know") {
		t.Errorf("%s, %v", r.Outcome, err)
	}
}

func TestArchivedPointsArePassedOverUnlessTheyAreAllowed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	old := f.backup()
	archived := f.backup()
	o := f.options()
	brought := 0
	o.Readable = func(_ context.Context, ref repo.Ref, bring bool) error {
		if bring {
			brought++
			return nil
		}
		if ref.ID == archived.ID {
			return fmt.Errorf("%w: in GLACIER", repo.ErrArchived)
		}
		return nil
	}
	r := f.drill(o, drillreport.Proven)
	if r.Point.ID != old.ID || !slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "GLACIER") }) {
		t.Errorf("%+v, %q", r.Point, r.Warnings)
	}
	o.Drill.Archived = true
	if r := f.drill(o, drillreport.Proven); r.Point.ID != archived.ID || brought != 1 {
		t.Errorf("%+v, brought back %d times", r.Point, brought)
	}
	o.Drill.Archived = false
	o.Readable = func(context.Context, repo.Ref, bool) error { return fmt.Errorf("%w: in GLACIER", repo.ErrArchived) }
	if r := f.drill(o, drillreport.CouldNotRun); r.Point.ID != "" || !strings.Contains(r.Reason, "none of the 2 good points") {
		t.Errorf("%+v", r)
	}
}

func TestAPointWithoutGlobalsIsDrilledInAClusterThatLacksItsRoles(t *testing.T) {
	t.Parallel()
	role := "owner_" + suffix()
	server.Exec(t, "postgres", "CREATE ROLE "+role, "CREATE ROLE "+role+"_reads")
	f := newFixture(t, "ALTER TABLE orders OWNER TO "+role, "GRANT SELECT ON customers TO "+role+"_reads",
		"ALTER TABLE orders ENABLE ROW LEVEL SECURITY", "CREATE POLICY p ON orders TO "+role+"_reads USING (id < 10)")
	c := f.content(f.backup().Ref())
	c.globals = nil
	ref := f.write(c)
	for name, o := range map[string]Options{"a cluster": f.options(), "a database": f.into(f.options())} {
		// Row security hides nothing from a check.
		o.Drill.Checks = []job.DrillCheck{{Name: "all", SQL: "select count(*) from orders", Expect: "5000"}}
		if r := f.drill(o, drillreport.Proven); r.Point.ID != ref.ID {
			t.Errorf("%s: %+v", name, r)
		}
	}
}
