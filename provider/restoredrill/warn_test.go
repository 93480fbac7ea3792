package restoredrill

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/deployment"
)

func at(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		panic(err)
	}
	return t
}

func whats(all []warning) string {
	var list []string
	for _, w := range all {
		list = append(list, w.what)
	}
	return strings.Join(list, "\n")
}

func TestADrillIsOverdueWhenItsLastTwoTimesLeftNoReport(t *testing.T) {
	t.Parallel()
	weekly, err := schedule.Parse("0 4 * * 0", "") // Sundays: 2026-03-01, 08, 15
	if err != nil {
		t.Fatal(err)
	}
	report := drillreport.Report{Start: at("2026-03-01 04:02"), Point: drillreport.Point{Source: "app@db"}}
	for name, c := range map[string]struct {
		found
		of   []string
		want string
	}{
		"nothing is known":                  {found{now: at("2026-03-20 00:00")}, nil, ""},
		"one time was missed":               {found{now: at("2026-03-15 03:59"), reports: []drillreport.Report{report}}, nil, ""},
		"two times were missed":             {found{now: at("2026-03-15 04:00"), reports: []drillreport.Report{report}}, nil, "no drill has run since 2026-03-01, and its last times have passed"},
		"deployed anew since then":          {found{now: at("2026-03-16 00:00"), reports: []drillreport.Report{report}, deployed: at("2026-03-09 00:00")}, nil, ""},
		"never ran":                         {found{now: at("2026-03-16 00:00"), deployed: at("2026-03-02 00:00")}, nil, "no drill has run yet, and its first times have passed"},
		"deployed a moment ago":             {found{now: at("2026-03-16 00:00"), deployed: at("2026-03-15 00:00")}, nil, ""},
		"a source that is named is missing": {found{now: at("2026-03-08 05:00"), reports: []drillreport.Report{report}, deployed: at("2026-02-20 00:00")}, []string{"app@db", "b@db"}, "no drill has run yet, and its first times have passed (b@db)"},
	} {
		if got := whats(c.overdue(weekly, c.of)); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestWhatTheLastDrillOfEachSourceFoundIsTold(t *testing.T) {
	t.Parallel()
	no := false
	bad := drillreport.Report{ID: "r1", Start: at("2026-03-08 04:00"), Outcome: drillreport.BadBackup, Reason: "table public.orders has 3 rows and not 4.", Point: drillreport.Point{Source: "app@db", ID: "p1"}}
	failed := drillreport.Report{ID: "r2", Start: at("2026-03-08 04:10"), Outcome: drillreport.CouldNotRun, Reason: "no space left", Point: drillreport.Point{Source: "b@db"}}
	slow := drillreport.Report{ID: "r3", Start: at("2026-03-08 04:20"), Outcome: drillreport.Proven, Point: drillreport.Point{Source: "c@db", ID: "p3"}, RTO: drillreport.RTO{Seconds: 18000.2, Objective: 14400, Kept: &no}}
	gone := drillreport.Report{ID: "r4", Start: at("2026-02-01 04:00"), Outcome: drillreport.CouldNotRun, Point: drillreport.Point{Source: "old@db"}}
	late := drillreport.Report{ID: "r5", Start: at("2026-03-08 04:25"), Outcome: drillreport.Proven, Point: drillreport.Point{Source: "d@db", ID: "p5"}, RPO: &drillreport.RPO{Seconds: 700, Objective: 60, Kept: &no}}
	f := found{reports: []drillreport.Report{late, slow, failed, bad, gone}}
	want := "at the last drill of d@db, of 2026-03-08, 11m40s of changes would have been lost, and the policy's objective is 1m0s\n" +
		"the last restore of c@db, of 2026-03-08, took 5h0m0s, and the policy's objective is 4h0m0s\n" +
		"the last drill of b@db, of 2026-03-08, could not run and proved nothing\n" +
		"the last drill, of 2026-03-08, found a bad backup of app@db"
	if got := whats(f.outcomes(nil)); got != want {
		t.Errorf("got %s", got)
	}
	if got := f.outcomes([]string{"app@db"}); len(got) != 1 || !strings.HasPrefix(got[0].why, "app@db, recovery point p1: table public.orders has 3 rows and not 4. Take") {
		t.Errorf("got %+v", got)
	}
	if got := (found{}).outcomes(nil); got != nil {
		t.Errorf("without reports: %v", got)
	}
}

func TestExtensionsThatNeitherPostgreSQLNorTheImageHasAreNamed(t *testing.T) {
	t.Parallel()
	stock := deployment.Machine{Stock: true, PostgresVersion: 17}
	own := deployment.Machine{Stock: true, PostgresVersion: 17, Image: "acme/postgis:17"}
	for name, c := range map[string]struct {
		on         deployment.Machine
		extensions []string
		declared   []string
		want       string
	}{
		"those of PostgreSQL":         {stock, []string{"plpgsql", "pg_stat_statements", "uuid-ossp", "hstore"}, nil, ""},
		"PostGIS in the stock image":  {stock, []string{"plpgsql", "postgis"}, nil, "the stock image of PostgreSQL 17 has no postgis, without which a drill cannot run"},
		"saying so does not bring it": {stock, []string{"postgis"}, []string{"postgis"}, "the stock image of PostgreSQL 17 has no postgis, without which a drill cannot run"},
		"one that 17 dropped":         {stock, []string{"adminpack"}, nil, "the stock image of PostgreSQL 17 has no adminpack, without which a drill cannot run"},
		"one that 16 still has":       {deployment.Machine{Stock: true, PostgresVersion: 16}, []string{"adminpack"}, nil, ""},
		"an image, and nothing said":  {own, []string{"postgis", "vector"}, []string{"vector"}, "acme/postgis:17 is not known to have postgis, without which a drill cannot run"},
		"an image that has it":        {own, []string{"postgis"}, []string{"postgis"}, ""},
		"a host":                      {deployment.Machine{}, []string{"plpython3u"}, nil, "the machine is not known to have plpython3u, without which a drill cannot run"},
	} {
		p := deployment.Planned{Machine: c.on, Target: deploy.Fargate}
		p.Job.Drill = &job.Drill{Into: job.DrillInto{ScratchCluster: &job.ScratchCluster{Extensions: c.declared}}}
		f := found{points: []*repo.Manifest{{Source: "app@db", Server: repo.Server{Extensions: c.extensions}}}}
		if got := whats(f.lacking(p)); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestTheDiskOfATaskIsHeldAgainstTheLargestDatabase(t *testing.T) {
	t.Parallel()
	f := found{points: []*repo.Manifest{{Source: "small", Totals: repo.Totals{Bytes: gib}}, {Source: "large", ID: "p1", Totals: repo.Totals{Bytes: 40 * gib}}}}
	for _, c := range []struct {
		target  string
		storage int64
		want    string
		fix     string
	}{
		{deploy.Fargate, 0, "a restore of large takes about 60.0 GiB, and the disk of the task has 20.0 GiB", "Set run_on.fargate.storage = 61."},
		{deploy.Fargate, 60, "", ""},
		{deploy.Kubernetes, 0, "", ""},
	} {
		got := f.room(deployment.Planned{Machine: deployment.Machine{StorageGiB: c.storage}, Target: c.target})
		if whats(got) != c.want || c.want != "" && !strings.HasSuffix(got[0].why, c.fix) {
			t.Errorf("%s with %d GiB: %+v", c.target, c.storage, got)
		}
	}
	f.points[1].Totals.Bytes = 500 * gib
	if got := f.room(deployment.Planned{Target: deploy.Fargate}); len(got) != 1 || !slices.ContainsFunc(got, func(w warning) bool { return strings.Contains(w.why, "at most 200 GiB") }) {
		t.Errorf("more than a task can have: %+v", got)
	}
	if got := (found{}).room(deployment.Planned{Target: deploy.Fargate}); got != nil {
		t.Errorf("without points: %v", got)
	}
}

func TestABaseBackupNeedsItsMajorVersionAndRoomForItsFiles(t *testing.T) {
	t.Parallel()
	base := &repo.Manifest{Source: "db1", ID: "p1", Server: repo.Server{Major: 15}, Totals: repo.Totals{Bytes: 40 * gib}, Physical: &repo.Physical{Full: 70 * gib}}
	f := found{points: []*repo.Manifest{base, {Source: "app@db1", Server: repo.Server{Major: 15}}}}
	for version, want := range map[int]string{0: "", 15: "", 17: "the base backups of db1 are of PostgreSQL 15, and 17 cannot run them"} {
		p := deployment.Planned{Target: deploy.Fargate}
		p.PostgresVersion = version
		if got := whats(f.otherMajor(p)); got != want {
			t.Errorf("%d: %q", version, got)
		}
	}
	got := f.room(deployment.Planned{Target: deploy.Fargate})
	if whats(got) != "a restore of db1 takes about 71.0 GiB, and the disk of the task has 20.0 GiB" || !strings.HasSuffix(got[0].why, "Set run_on.fargate.storage = 72.") {
		t.Errorf("%+v", got)
	}
}
