package backup_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// whenRead calls do once so many bytes have come from pg_dump.
func whenRead(p *point.Progress, bytes int64, do func()) (stop func()) {
	done := make(chan struct{})
	go func() {
		for p.Plain.Load() < bytes {
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
		}
		do()
	}()
	return func() { close(done) }
}

// slowS3 is a repository behind a link that can be slowed down or broken, which makes a backup take long enough to be interfered with.
func slowS3(t *testing.T, kbPerSecond int64) (place, *testenv.FaultyProxy, *testenv.S3Server) {
	t.Helper()
	server := testenv.S3(t)
	proxy := testenv.Faulty(t, strings.TrimPrefix(server.Endpoint, "http://"))
	r := create(t, bucket(t, server, "http://"+proxy.Addr(), 6*time.Second))
	if kbPerSecond > 0 {
		proxy.Bandwidth(kbPerSecond)
	}
	return r, proxy, server
}

func TestWhoeverKillsAChildOfTheBackupFailsItAndNothingIsListed(t *testing.T) {
	// Not parallel: it looks for its children by name.
	pg := testenv.Postgres(t)
	database(t, pg, "app", 70)
	r := inDir(t, t.TempDir())
	for _, child := range []string{"pg_dump", "pg_restore"} {
		for _, at := range []int64{1, 12 << 20, 34 << 20} {
			t.Run(fmt.Sprintf("%s after %d bytes", child, at), func(t *testing.T) {
				o := options(r, target(t, pg.URL("app")))
				o.Progress = &point.Progress{}
				stop := whenRead(o.Progress, at, func() {
					for _, pid := range children(child) {
						_ = syscall.Kill(pid, syscall.SIGKILL)
					}
				})
				begun := time.Now()
				_, err := backup.Run(context.Background(), o)
				stop()
				wantError(t, err, child, "killed")
				if took := time.Since(begun); took > 10*time.Second {
					t.Errorf("it took %s", took)
				}
				wantNothing(t, r, 0)
				wantQuiet(t, pg)
				wantNoGoroutines(t)
			})
		}
	}
}

func TestAServerStoppedInTheMiddleFailsTheBackupAndNothingIsListed(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	database(t, pg, "app", 40)
	r := inDir(t, t.TempDir())
	o := options(r, target(t, pg.URL("app")))
	o.Progress = &point.Progress{}
	stop := whenRead(o.Progress, 10<<20, func() { _ = pg.Halt(syscall.SIGQUIT) })
	defer stop()
	_, err := backup.Run(context.Background(), o)
	wantError(t, err, "pg_dump", "server closed the connection")
	wantNothing(t, r, 0)
	if err := pg.Resume(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Run(context.Background(), options(r, target(t, pg.URL("app")))); err != nil {
		t.Errorf("the next backup: %v", err)
	}
	wantNothing(t, r, 1)
}

func TestTheLockersSessionEndedBeforePgDumpHasItsLocksFailsTheBackup(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	database(t, pg, "app", 1)
	// Many tables keep pg_dump reading the catalog long enough to come in between.
	pg.Exec(t, "app", "DO $$ BEGIN FOR i IN 1..1500 LOOP EXECUTE format('CREATE TABLE t%s (a int, b text)', i); END LOOP; END $$")
	r := inDir(t, t.TempDir())
	admin := pg.Connect(t, "postgres")
	killed := make(chan error, 1)
	go func() {
		for {
			var n int
			err := admin.QueryRow(context.Background(), `SELECT count(pg_terminate_backend(l.pid)) FROM pg_stat_activity l
				WHERE l.application_name = 'pgbackup' AND l.state = 'idle in transaction' AND l.query LIKE '%pg_table_size%'
				AND EXISTS (SELECT FROM pg_stat_activity d WHERE d.application_name = 'pgbackup' AND d.pid <> l.pid AND d.query NOT LIKE '%pg_table_size%' AND d.state = 'active')`).Scan(&n)
			if err != nil || n > 0 {
				killed <- err
				return
			}
		}
	}()
	_, err := backup.Run(context.Background(), options(r, target(t, pg.URL("app"))))
	wantError(t, err, "the connection that holds snapshot", "was lost")
	if err := <-killed; err != nil {
		t.Fatal(err)
	}
	wantNothing(t, r, 0)
}

func TestADroppedTableWaitsForTheBackup(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	database(t, pg, "app", 30)
	r, _, _ := slowS3(t, 8000)
	o := options(r, target(t, pg.URL("app")))
	o.Progress = &point.Progress{}
	dropped := make(chan time.Time, 1)
	conn := pg.Connect(t, "app")
	stop := whenRead(o.Progress, 10<<20, func() {
		if _, err := conn.Exec(context.Background(), "DROP TABLE small"); err != nil {
			t.Error(err)
		}
		dropped <- time.Now()
	})
	defer stop()
	result, err := backup.Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if result.Manifest.Totals.Tables != 2 {
		t.Errorf("%+v", result.Manifest.Totals)
	}
	<-dropped
	wantNothing(t, r, 1)
}

func TestATruncateAtAnyMomentOfTheStartNeverLosesRowsThatTheSnapshotHad(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", "CREATE TABLE a_clock (truncated bool)", "CREATE TABLE victim (id int)")
	r := inDir(t, t.TempDir())
	conn := pg.Connect(t, "app")
	to := target(t, pg.URL("app"))
	ctx := context.Background()
	whole, empty := 0, 0
	var span time.Duration // of a backup on this machine, as loaded as it is
	for i := 0; i < 40 || (whole == 0 || empty == 0) && i < 200; i++ {
		pg.Exec(t, "app", "TRUNCATE a_clock, victim; INSERT INTO a_clock VALUES (false); INSERT INTO victim SELECT generate_series(1, 1000)")
		done := make(chan error, 1)
		go func() {
			time.Sleep(time.Duration(rand.Int64N(int64(span + time.Millisecond))))
			// Whoever sees the table empty in the same snapshot sees the clock turned.
			_, err := conn.Exec(ctx, "BEGIN; UPDATE a_clock SET truncated = true; TRUNCATE victim; COMMIT")
			done <- err
		}()
		o := options(r, to)
		o.Globals, o.LockTimeout = false, 300*time.Millisecond
		o.Source = fmt.Sprint("app", i) // no waiting for the next second
		begun := time.Now()
		result, err := backup.Run(ctx, o)
		span = max(time.Since(begun), 300*time.Millisecond)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Fatalf("backup %d: %v", i, err)
		}
		dump := string(readAll(t, r, result.Manifest.Ref(), "archive"))
		records := string(readAll(t, r, result.Manifest.Ref(), "tables"))
		before := !strings.Contains(dump, "t\n") // the row of a_clock as COPY text
		switch {
		case strings.Contains(records, `"table":"victim","rows":1000,`):
			whole++
			if !before {
				t.Errorf("backup %d has the rows and the clock of after the TRUNCATE", i)
			}
		case strings.Contains(records, `"table":"victim","rows":0,`):
			empty++
			if before {
				t.Errorf("backup %d lost the rows that its snapshot had", i)
			}
		default:
			t.Errorf("backup %d: %s", i, records)
		}
	}
	t.Logf("%d with all rows, %d of after the TRUNCATE", whole, empty)
	if whole == 0 || empty == 0 {
		t.Errorf("the moments were not spread: %d whole, %d empty", whole, empty)
	}
}

func TestAStoreThatStallsEndsTheBackupWithinTheStallTimeout(t *testing.T) {
	// Not parallel: it counts goroutines.
	pg := testenv.Postgres(t)
	database(t, pg, "app", 60)
	r, proxy, server := slowS3(t, 0)
	o := options(r, target(t, pg.URL("app")))
	o.StallTimeout, o.Progress = 2*time.Second, &point.Progress{}
	o.Self.Started = "0" // the next one shall see that this one is gone
	stop := whenRead(o.Progress, 20<<20, proxy.StallRequests)
	begun := time.Now()
	_, err := backup.Run(context.Background(), o)
	stop()
	took := time.Since(begun)
	if !errors.Is(err, point.ErrStalled) {
		t.Errorf("%v", err)
	}
	wantError(t, err, "no progress for 2s", "stall_timeout")
	t.Logf("took %s: %v", took, err)
	if took > 45*time.Second { // stall, then clean-up that hangs too: upload, data 15 s, lease 15 s
		t.Errorf("it took %s", took)
	}
	wantQuiet(t, pg)
	proxy.Restore()
	// What could not be removed through the stalled link the next backup removes.
	direct := place{r.Repository, bucket(t, server, server.Endpoint, 0)}
	if _, err := backup.Run(context.Background(), options(r, target(t, pg.URL("app")))); err != nil {
		t.Errorf("the next backup: %v", err)
	}
	wantNothing(t, direct, 1)
	wantNoGoroutines(t)
}

func TestAServerThatHangsEndsTheBackupWithinTheStallTimeout(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	database(t, pg, "app", 60)
	proxy := testenv.Faulty(t, pg.Addr())
	url := strings.Replace(pg.URL("app"), pg.Addr(), proxy.Addr(), 1)
	r := inDir(t, t.TempDir())
	o := options(r, target(t, url))
	o.StallTimeout, o.Progress = 2*time.Second, &point.Progress{}
	stop := whenRead(o.Progress, 20<<20, proxy.StallAnswers)
	defer stop()
	begun := time.Now()
	_, err := backup.Run(context.Background(), o)
	if !errors.Is(err, point.ErrStalled) {
		t.Errorf("%v", err)
	}
	if took := time.Since(begun); took > 15*time.Second {
		t.Errorf("it took %s", took)
	}
	wantNothing(t, r, 0)
}

func TestAServerThatHangsBeforePgDumpWritesEndsTheBackupToo(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	database(t, pg, "app", 1)
	proxy := testenv.Faulty(t, pg.Addr())
	r := inDir(t, t.TempDir())
	for range 3 {
		o := options(r, target(t, strings.Replace(pg.URL("app"), pg.Addr(), proxy.Addr(), 1)+"&connect_timeout=2"))
		o.StallTimeout, o.LockTimeout = time.Second, time.Second
		stall := time.AfterFunc(time.Duration(rand.Int64N(int64(250*time.Millisecond))), proxy.StallAnswers)
		begun := time.Now()
		_, err := backup.Run(context.Background(), o)
		if err == nil {
			t.Log("the backup was faster")
		}
		t.Log(time.Since(begun), err)
		if took := time.Since(begun); took > 30*time.Second {
			t.Errorf("it took %s: %v", took, err)
		}
		stall.Stop()
		proxy.Restore()
	}
	wantGood(t, r)
}

func TestABackupCancelledAtAnyMomentEndsSoonAndLeavesNothing(t *testing.T) {
	// Not parallel: it counts goroutines.
	pg := testenv.Postgres(t)
	database(t, pg, "app", 1)
	r := inDir(t, t.TempDir())
	begun := time.Now()
	if _, err := backup.Run(context.Background(), options(r, target(t, pg.URL("app")))); err != nil {
		t.Fatal(err)
	}
	life := time.Since(begun)
	points, cancelled, slowest := 1, 0, time.Duration(0)
	cause := errors.New("somebody pressed Ctrl-C")
	for i := range 200 {
		ctx, cancel := context.WithCancelCause(context.Background())
		after := max(life*time.Duration(i)/200, time.Millisecond)
		var at time.Time
		timer := time.AfterFunc(after, func() { at = time.Now(); cancel(cause) })
		o := options(r, target(t, pg.URL("app")))
		o.Globals = i%2 == 0
		_, err := backup.Run(ctx, o)
		timer.Stop()
		switch {
		case err == nil:
			points++
		case errors.Is(err, cause) || errors.Is(err, context.Canceled):
			cancelled++
			slowest = max(slowest, time.Since(at))
		default:
			t.Errorf("cancelled after %s: %v", after, err)
		}
		cancel(nil)
	}
	t.Logf("%d of 200 were cancelled, the slowest ended after %s", cancelled, slowest)
	if cancelled < 50 || slowest > 5*time.Second {
		t.Errorf("%d were cancelled, the slowest ended after %s", cancelled, slowest)
	}
	wantNothing(t, r, points)
	wantQuiet(t, pg)
	wantNoGoroutines(t)
	if left, err := os.ReadDir("/proc/self/task"); err == nil && len(left) > 100 {
		t.Errorf("%d threads", len(left))
	}
}
