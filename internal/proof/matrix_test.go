package proof

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drill"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/verify"
)

func headOf(t *testing.T, o *original) string {
	t.Helper()
	v := &victim{original: o, t: t, path: o.path, key: key}
	r, err := v.open()
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.OpenPoint(context.Background(), o.ref)
	if err != nil {
		t.Fatal(err)
	}
	index, err := p.Index(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return string(o.contents.archive[:index.HeadEnd])
}

func TestEveryDamageIsFoundByVerifyRestoreAndDrillAndNoneIsRestoredSilently(t *testing.T) {
	t.Parallel()
	list := damages(t)
	for _, sealed := range []bool{false, true} {
		for _, d := range list {
			if d.name == "wrong key" && !sealed {
				continue // there is none to be wrong
			}
			t.Run(fmt.Sprintf("%s/%s", map[bool]string{true: "sealed", false: "unsealed"}[sealed], d.name), func(t *testing.T) {
				t.Parallel()
				v := newVictim(t, sealed)
				d.do(v)
				if d.lost != nil {
					v.wantLost(d.lost)
					return
				}
				v.wantFound(d)
			})
		}
	}
}

// TestAnUndamagedPointIsGoodInEveryEye keeps the matrix honest: what is found
// there is the damage and nothing else.
func TestAnUndamagedPointIsGoodInEveryEye(t *testing.T) {
	t.Parallel()
	for _, sealed := range []bool{false, true} {
		t.Run(fmt.Sprintf("sealed=%v", sealed), func(t *testing.T) {
			t.Parallel()
			v := newVictim(t, sealed)
			if report := v.verify(); report.Err() != nil || report.Checked != 1 {
				t.Errorf("verify: %v, %+v", report.Err(), report)
			}
			db, err := v.restore()
			if err != nil {
				t.Fatalf("restore: %v", err)
			}
			wantEqual(t, db)
			for _, own := range []bool{false, true} {
				if report := v.drill(own); report.Outcome != drillreport.Proven {
					t.Errorf("drill, own cluster %v: %s: %s", own, report.Outcome, report.Reason)
				}
			}
		})
	}
}

// wantLost holds that a point which can not be opened is restored by nobody, and
// that nobody calls it a bad backup: nothing was learnt about it.
func (v *victim) wantLost(why error) {
	v.t.Helper()
	r, err := v.open()
	if err != nil {
		if !errors.Is(err, why) {
			v.t.Errorf("open: %v; want %v", err, why)
		}
		return
	}
	if _, err := r.OpenPoint(context.Background(), v.ref); !errors.Is(err, why) {
		v.t.Errorf("the point opens: %v; want %v", err, why)
	}
	if db, err := v.restore(); !errors.Is(err, why) || restore.IsBadBackup(err) {
		v.t.Errorf("restore into %s: %v; want %v", db, err, why)
	}
	if report := v.drill(false); report.Outcome != drillreport.CouldNotRun {
		v.t.Errorf("drill: %s: %s", report.Outcome, report.Reason)
	}
}

func (v *victim) wantFound(d damage) {
	v.t.Helper()
	report := v.verify()
	if len(report.Bad) != 1 || !errors.Is(report.Err(), verify.ErrBad) {
		v.t.Errorf("verify: %v, %+v", report.Err(), report)
	}
	unread := d.unread && !v.manifestFailed()
	db, err := v.restore()
	switch {
	case err == nil && !unread:
		v.t.Error("restore did not find it")
	case err == nil:
		wantEqual(v.t, db)
	case !restore.IsBadBackup(err):
		v.t.Errorf("restore does not blame the backup: %v", err)
	case exists(v.t, db):
		v.t.Errorf("restore left database %s: %v", db, err)
	}
	drilled := v.drill(d.roles)
	if want := drillreport.BadBackup; drilled.Outcome != want && (!unread || drilled.Outcome != drillreport.Proven) {
		v.t.Errorf("drill: %s: %s", drilled.Outcome, drilled.Reason)
	}
}

// manifestFailed tells whether the manifest alone gives the damage away.
func (v *victim) manifestFailed() bool {
	r, err := v.open()
	if err != nil {
		return true
	}
	_, err = r.OpenPoint(context.Background(), v.ref)
	return err != nil
}

func (v *victim) verify() verify.Report {
	v.t.Helper()
	ctx := context.Background()
	r, err := v.open()
	if err != nil {
		v.t.Fatal(err)
	}
	points, err := r.List(ctx, repo.Filter{Source: source, Kind: logical.Kind})
	if err != nil {
		v.t.Fatal(err)
	}
	for _, p := range points {
		if p.ID == v.ref.ID {
			report, err := verify.Run(ctx, verify.Options{Repo: r, Points: []repo.Listed{p}, Now: time.Now()})
			if err != nil {
				v.t.Fatal(err)
			}
			return report
		}
	}
	v.t.Fatalf("the point is not listed: %+v", points)
	return verify.Report{}
}

// restore restores into a new database, roles included.
func (v *victim) restore() (db string, err error) {
	v.t.Helper()
	r, err := v.open()
	if err != nil {
		return "", err
	}
	db = fmt.Sprintf("restored_%d", names.Add(1))
	v.t.Cleanup(func() {
		if err := execute(context.Background(), "postgres", "DROP DATABASE IF EXISTS "+db+" WITH (FORCE)"); err != nil {
			v.t.Error(err)
		}
	})
	_, err = restore.Run(context.Background(), restore.Options{Repo: r, Ref: v.ref, Target: targetOf(v.t, db), Jobs: 2, Globals: true, Log: v.log})
	return db, err
}

// drill drills the point in a database of the server, or in a cluster of its own.
func (v *victim) drill(ownCluster bool) drillreport.Report {
	v.t.Helper()
	r, err := v.open()
	if err != nil {
		v.t.Fatal(err)
	}
	o := drill.Options{
		Repo: r, Source: source, Point: v.ref.ID, By: "a test", Runner: "test", Host: "here", Log: v.log,
		Drill:   job.Drill{Into: job.DrillInto{Database: &job.DrillDatabase{}}},
		Connect: func(context.Context) (postgres.Target, error) { return targetOf(v.t, "postgres"), nil },
	}
	if ownCluster {
		dir, err := os.MkdirTemp("", "proof-drill")
		if err != nil {
			v.t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		if err := os.Chmod(dir, 0o711); err != nil { // its server is another user's
			v.t.Fatal(err)
		}
		o.Drill.Into = job.DrillInto{ScratchCluster: &job.ScratchCluster{Directory: dir}}
	}
	report, err := drill.Run(context.Background(), o)
	if err != nil {
		v.t.Errorf("drill: %v", err)
	}
	return report
}

func exists(t *testing.T, db string) bool {
	t.Helper()
	if db == "" {
		return false
	}
	var n int
	if err := server.Connect(t, "postgres").QueryRow(context.Background(), "SELECT count(*) FROM pg_database WHERE datname = $1", db).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n > 0
}

// wantEqual compares a restored database with the one that was backed up by means
// that share no code with the product.
func wantEqual(t *testing.T, db string) {
	t.Helper()
	diff, err := testenv.CompareDatabases(context.Background(), server, database, server, db)
	if err != nil || diff != "" {
		t.Errorf("%s is not what was backed up: %v\n%s", db, err, diff)
	}
}
