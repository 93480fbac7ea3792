package restoredrill_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

// put stores a report of the drill that began at a moment.
func put(t *testing.T, r *repo.Repository, start time.Time, change func(*drillreport.Report)) {
	t.Helper()
	report := drillreport.Report{
		Format: drillreport.Format, ID: repo.NewID(start), Drill: "weekly", Repository: r.ID(), Policy: "prod", Start: start, End: start.Add(time.Minute),
		Outcome: drillreport.Proven, Point: drillreport.Point{Source: "app@db", Kind: "logical", ID: repo.NewID(start), Chosen: "latest", From: "primary"},
	}
	change(&report)
	if err := r.PutDrillReport(t.Context(), report); err != nil {
		t.Fatal(err)
	}
}

// addPoint commits a point of app@db whose database uses extensions.
func addPoint(t *testing.T, r *repo.Repository, extensions ...string) {
	t.Helper()
	start := time.Now().Add(-time.Hour)
	p, err := r.NewPoint("app@db", "logical", start, repo.WriterOptions{})
	if err == nil {
		err = p.WriteStream(t.Context(), "archive", []byte("what was backed up"))
	}
	if err == nil {
		err = p.Commit(t.Context(), &repo.Manifest{Start: start, End: start, Policy: "prod", PolicyRevision: 1, Server: repo.Server{Extensions: extensions}})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAccRestoreDrill_thePlanTellsWhatTheLastDrillFound(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	dir, jobs := filepath.Join(top, "repository"), filepath.Join(top, "jobs")
	w := providertest.NewWorkspace(t, onDisk(dir, jobs, scratch))
	if r := w.MustApply(); len(r.Warnings()) > 0 {
		t.Errorf("a first apply warns of %v", r.Warnings())
	}
	// told holds what a plan warns of, and that it plans nothing for it.
	told := func(when, want string) {
		t.Helper()
		r := w.Plan()
		if got := strings.Join(r.Warnings(), "\n"); r.Failed || got != want {
			t.Errorf("%s, the plan warns: %q\nwant %q\n%s", when, got, want, r)
		}
		plansNothing(t, w, when)
	}
	told("when nothing is known", "")
	repository := providertest.Open(t, "file://"+dir)
	now := time.Now().UTC().Truncate(time.Second)
	today := now.Format(time.DateOnly)

	put(t, repository, now.Add(-5*time.Second), func(r *drillreport.Report) {
		r.Outcome, r.Reason = drillreport.CouldNotRun, "no space left on device"
	})
	told("after a drill that could not run", "pgbackup_restore_drill (weekly): the last drill of app@db, of "+today+", could not run and proved nothing")
	put(t, repository, now.Add(-4*time.Second), func(r *drillreport.Report) {
		r.Outcome, r.Reason = drillreport.BadBackup, "table public.orders: 3 rows, not 4"
	})
	told("after a bad backup", "pgbackup_restore_drill (weekly): the last drill, of "+today+", found a bad backup of app@db")
	if r := w.Plan(); !strings.Contains(r.String(), "table public.orders: 3 rows, not 4") {
		t.Errorf("the reason is not told: %s", r)
	}
	put(t, repository, now.Add(-3*time.Second), func(r *drillreport.Report) {
		kept := false
		r.RTO = drillreport.RTO{Seconds: 18000, Objective: 14400, Kept: &kept}
	})
	told("after a drill that took too long", "pgbackup_restore_drill (weekly): the last restore of app@db, of "+today+", took 5h0m0s, and the policy's objective is 4h0m0s")
	put(t, repository, now.Add(-2*time.Second), func(*drillreport.Report) {})
	told("after a drill that proved all", "")
	addPoint(t, repository, "plpgsql", "postgis")
	told("with an extension", "pgbackup_restore_drill (weekly): the machine is not known to have postgis, without which a drill cannot run")
	w.Configure(onDisk(dir, jobs, "into = { scratch_cluster = { extensions = [\"postgis\"] } }"))
	w.MustApply()
	told("with an extension that is there", "")
}

func TestAccRestoreDrill_thePlanTellsOfADrillThatDoesNotRun(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	dir, jobs := filepath.Join(top, "repository"), filepath.Join(top, "jobs")
	w := providertest.NewWorkspace(t, onDisk(dir, jobs, scratch))
	w.MustApply()
	longAgo := time.Now().AddDate(0, -2, 0)
	if err := os.Chtimes(filepath.Join(jobs, "weekly.job.json"), longAgo, longAgo); err != nil {
		t.Fatal(err)
	}
	warned := func() string { return strings.Join(w.Plan().Warnings(), "\n") }
	if got := warned(); got != "pgbackup_restore_drill (weekly): no drill has run yet, and its first times have passed" {
		t.Errorf("a drill that never ran: %q", got)
	}
	run := time.Now().UTC().AddDate(0, 0, -21)
	repository := providertest.Open(t, "file://"+dir)
	put(t, repository, run, func(*drillreport.Report) {})
	if got := warned(); got != "pgbackup_restore_drill (weekly): no drill has run since "+run.Format(time.DateOnly)+", and its last times have passed" {
		t.Errorf("a drill that ended to run: %q", got)
	}
	w.Configure(onDisk(dir, jobs, scratch, "enabled = false"))
	w.MustApply()
	if got := warned(); got != "" {
		t.Errorf("a drill that is not enabled: %q", got)
	}
	// What cannot be read of the repository fails no plan.
	if err := os.RemoveAll(filepath.Join(dir, "drills")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "drills"), []byte("no folder"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := w.Plan(); r.Failed {
		t.Errorf("with a repository that cannot be listed: %s", r)
	}
}
