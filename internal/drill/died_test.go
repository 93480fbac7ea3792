package drill

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// Variables that make a process of this test a drill that is killed.
const (
	envDies   = "DRILL_TEST_DIES" // cluster or database
	envRepo   = "DRILL_TEST_REPO"
	envKey    = "DRILL_TEST_KEY" // file
	envServer = "DRILL_TEST_SERVER"
	envPlace  = "DRILL_TEST_PLACE" // of scratch clusters
	envMark   = "DRILL_TEST_MARK"  // file that is made when it is half-way
)

// dies is the drill of another process: it waits in a check until it is killed.
func dies(ctx context.Context) error {
	store, err := dir.Open(os.Getenv(envRepo))
	if err != nil {
		return err
	}
	text, err := os.ReadFile(os.Getenv(envKey))
	if err != nil {
		return err
	}
	key, err := seal.ParseKey(text)
	if err != nil {
		return err
	}
	r, err := repo.Open(ctx, store, repo.OpenOptions{Key: func(context.Context, []string) (seal.Wrapper, error) { return seal.Local{Key: key}, nil }})
	if err != nil {
		return err
	}
	o := Options{Repo: r, Source: source, Name: "weekly", Drill: job.Drill{Into: job.DrillInto{ScratchCluster: &job.ScratchCluster{Directory: os.Getenv(envPlace)}}}}
	if os.Getenv(envDies) == "database" {
		o.Drill.Into = job.DrillInto{Database: &job.DrillDatabase{}}
		o.Connect = func(context.Context) (postgres.Target, error) { return postgres.ParseTarget(os.Getenv(envServer)) }
	}
	o.Progress = &restore.Progress{}
	o.Drill.Checks = []job.DrillCheck{{Name: "first", SQL: "select true"}, {Name: "waits", SQL: "select pg_sleep(300)", Expect: "non-empty"}}
	go func() {
		for range time.Tick(100 * time.Millisecond) {
			if step := o.Progress.Step.Load(); step != nil && *step == drillreport.PhaseChecks {
				_ = os.WriteFile(os.Getenv(envMark), nil, 0o600)
				return
			}
		}
	}()
	_, err = Run(ctx, o)
	return fmt.Errorf("it ended: %w", err)
}

func TestWhatAKilledDrillLeftIsRemovedByTheNext(t *testing.T) {
	t.Parallel()
	for _, place := range []string{"cluster", "database"} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.backup()
			mark := filepath.Join(t.TempDir(), "mark")
			cmd := exec.Command(os.Args[0]) //nolint:gosec // this test again
			cmd.Env = append(os.Environ(), envDies+"="+place, envRepo+"="+f.dir, envKey+"="+f.keyFile(), envServer+"="+server.URL("postgres"), envPlace+"="+f.scratch, envMark+"="+mark)
			cmd.Stderr = os.Stderr
			before := databases(t)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = cmd.Wait() }()
			for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
				if _, err := os.Stat(mark); err == nil {
					break
				}
				if time.Since(begun) > 2*time.Minute {
					_ = cmd.Process.Kill()
					t.Fatal("it did not come to its checks")
				}
			}
			left := slices.DeleteFunc(databases(t), func(n string) bool { return slices.Contains(before, n) })
			if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			entries, err := os.ReadDir(f.scratch)
			if err != nil || place == "cluster" && len(entries) == 0 || place == "database" && len(left) == 0 {
				t.Fatalf("nothing is left to remove: %v, %v, %v", entries, left, err)
			}
			time.Sleep(time.Second) // the server notices that its session is gone
			o := f.options()
			if place == "database" {
				o = f.into(o)
			}
			f.drill(o, drillreport.Proven)
			if entries, err = os.ReadDir(f.scratch); err != nil || len(entries) > 0 {
				t.Errorf("left are %v, %v", entries, err)
			}
			for _, name := range databases(t) {
				if place == "database" && slices.Contains(left, name) && !f.livesIn(name) {
					t.Errorf("database %s is left", name)
				}
			}
		})
	}
}

// livesIn tells whether a drill of another test has a database.
func (f *fixture) livesIn(name string) bool {
	f.t.Helper()
	var alive bool
	err := server.Connect(f.t, "postgres").QueryRow(f.t.Context(), "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = $1)", uint32(lockObject(name))).Scan(&alive) //nolint:gosec // the same 32 bits
	if err != nil {
		f.t.Fatal(err)
	}
	return alive
}
