package physical_test

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

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/physical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/replication"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// whenRead calls do once so many bytes came from the server.
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

// wantRefused is Run that has to fail for a reason, say words, and leave nothing.
func wantRefused(t *testing.T, r place, o physical.Options, points int, reason error, words ...string) {
	t.Helper()
	_, err := physical.Run(t.Context(), o)
	if err == nil {
		t.Fatal("it was backed up")
	}
	if reason != nil && !errors.Is(err, reason) {
		t.Errorf("%v: not %q", err, reason)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
	wantNothing(t, r, points)
}

func TestAPageThatIsWrongOnTheServersDiskIsRefusedAndItsFileNamed(t *testing.T) {
	t.Parallel()
	pg := archived(t, testenv.PostgresOptions{})
	filled(t, pg, 4)
	r := inDir(t, t.TempDir())
	archive(t, pg, r, source)
	run(t, options(r, target(t, pg.URL("postgres"))))

	var file string
	if err := pg.Connect(t, "app").QueryRow(t.Context(), "SELECT pg_relation_filepath('big')").Scan(&file); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(pg.DataDir, file), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	const at = 5*8192 + 4000
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x40
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	o := options(r, target(t, pg.URL("postgres")))
	wantRefused(t, r, o, 1, nil, file, "checksum", "older backups are good")
	_, err = physical.Run(t.Context(), o)
	var pages *replication.PageChecksumError
	if !errors.As(err, &pages) || !slices.Equal(pages.Files, []string{file}) {
		t.Errorf("%v names %+v", err, pages)
	}
}

func TestAServerThatDiesWhileItSendsLeavesNothing(t *testing.T) {
	t.Parallel()
	pg := archived(t, testenv.PostgresOptions{})
	filled(t, pg, 12)
	r := inDir(t, t.TempDir())
	archive(t, pg, r, source)
	for _, at := range []int64{1, 5 << 20, 30 << 20} {
		o := options(r, target(t, pg.URL("postgres")))
		o.Progress, o.What.MaxRate = &point.Progress{}, 60<<20
		died := make(chan error, 1)
		stop := whenRead(o.Progress, at, func() { died <- pg.Halt(syscall.SIGKILL) })
		wantRefused(t, r, o, 0, nil)
		stop()
		if err := <-died; err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond) // its children notice
		_ = os.Remove(filepath.Join(pg.DataDir, "postmaster.pid"))
		if err := pg.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	run(t, options(r, target(t, pg.URL("postgres"))))
	wantNothing(t, r, 1)
}

func TestASessionThatIsEndedOnTheServerFailsTheBackup(t *testing.T) {
	t.Parallel()
	pg := archived(t, testenv.PostgresOptions{})
	filled(t, pg, 12)
	r := inDir(t, t.TempDir())
	archive(t, pg, r, source)
	o := options(r, target(t, pg.URL("postgres")))
	o.Progress, o.What.MaxRate = &point.Progress{}, 20<<20
	conn := pg.Connect(t, "postgres")
	stop := whenRead(o.Progress, 8<<20, func() {
		_, _ = conn.Exec(context.Background(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'walsender'")
	})
	defer stop()
	wantRefused(t, r, o, 0, nil, "connection")
}

func TestAStoreThatBreaksOrHangsMidwayLeavesNothingAndTheServerIsLetGo(t *testing.T) {
	t.Parallel()
	pg := archived(t, testenv.PostgresOptions{})
	filled(t, pg, 40)
	server := testenv.S3(t)
	direct := create(t, bucket(t, server, server.Endpoint, 0))
	archive(t, pg, direct, source)
	for name, break_ := range map[string]func(*testenv.FaultyProxy){
		"gone":  func(p *testenv.FaultyProxy) { p.Cut() },
		"hangs": func(p *testenv.FaultyProxy) { p.StallRequests() },
	} {
		proxy := testenv.Faulty(t, strings.TrimPrefix(server.Endpoint, "http://"))
		through, err := repo.Open(t.Context(), bucket(t, server, "http://"+proxy.Addr(), 3*time.Second), repo.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		o := options(place{through, direct.store}, target(t, pg.URL("postgres")))
		o.Progress, o.StallTimeout, o.LeaseTTL = &point.Progress{}, 4*time.Second, 3*time.Second
		o.Self = repo.Holder{Host: name} // whose lease has to run out
		o.What.MaxRate = 20 << 20
		stop := whenRead(o.Progress, 12<<20, func() { break_(proxy) })
		_, err = physical.Run(t.Context(), o)
		stop()
		if err == nil {
			t.Fatalf("%s: it was backed up", name)
		}
		t.Logf("%s: %v", name, err)
		wantQuiet(t, pg)
		if n := wantGood(t, direct); n != 0 {
			t.Errorf("%s: %d points are listed", name, n)
		}
	}
	o := options(direct, target(t, pg.URL("postgres")))
	o.LeaseTTL = 3 * time.Second
	run(t, o)
	wantNothing(t, direct, 1)
}

func TestAServerThatSendsNoMoreIsGivenUp(t *testing.T) {
	t.Parallel()
	pg := archived(t, testenv.PostgresOptions{})
	filled(t, pg, 12)
	proxy := testenv.Faulty(t, pg.Addr())
	r := inDir(t, t.TempDir())
	archive(t, pg, r, source)
	host, port, _ := strings.Cut(proxy.Addr(), ":")
	o := options(r, target(t, fmt.Sprintf("host=%s port=%s user=%s password=%s dbname=postgres sslmode=disable", host, port, pg.User, pg.Password)))
	o.Progress, o.StallTimeout, o.What.MaxRate = &point.Progress{}, 2*time.Second, 20<<20
	stop := whenRead(o.Progress, 8<<20, func() { proxy.StallAnswers() })
	defer stop()
	wantRefused(t, r, o, 0, point.ErrStalled)
}

func TestWithoutItsLogABaseBackupIsRefusedBeforeAnythingIsRead(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	r := inDir(t, t.TempDir())
	o := options(r, target(t, pg.URL("postgres")))
	wantRefused(t, r, o, 0, physical.ErrNoArchive, "wal settings", "pg_switch_wal")

	// Under another name it is there.
	segment := func(source, name string) {
		if _, err := r.PutWAL(t.Context(), repo.WALArchive{Source: source, System: system(t, pg)}, repo.WALInfo{Name: name, SegmentSize: 16 << 20}, make([]byte, 16<<20)); err != nil {
			t.Fatal(err)
		}
	}
	segment("other", "000000010000000000000001")
	wantRefused(t, r, o, 0, physical.ErrOtherName, "--source other")

	// Long ago it was.
	segment(source, "000000010000000000000001")
	for range 70 {
		pg.Exec(t, "postgres", "SELECT pg_logical_emit_message(false, 'test', 'x')", "SELECT pg_switch_wal()")
	}
	wantRefused(t, r, o, 0, physical.ErrArchiveStalled, "pg_stat_archiver")
}

func TestLogThatDoesNotComeInTimeMeansNoBackup(t *testing.T) {
	t.Parallel()
	pg := archived(t, testenv.PostgresOptions{})
	r := inDir(t, t.TempDir())
	archive(t, pg, r, source)
	pg.Exec(t, "postgres", "ALTER SYSTEM SET archive_command = 'false'", "SELECT pg_reload_conf()")
	time.Sleep(200 * time.Millisecond)
	o := options(r, target(t, pg.URL("postgres")))
	o.What.WALTimeout = duration.MustParse("1s")
	wantRefused(t, r, o, 0, physical.ErrWALMissing, "00000001000000000000000", "wal_timeout")
	pg.Exec(t, "postgres", "ALTER SYSTEM RESET archive_command", "SELECT pg_reload_conf()")
}

// A server that archives and never finished a segment: the backup makes it finish one.
func TestTheFirstBackupOfAServerBeginsItsArchive(t *testing.T) {
	t.Parallel()
	pg := archived(t, testenv.PostgresOptions{})
	r := inDir(t, t.TempDir())
	plan, err := physical.Plan(t.Context(), options(r, target(t, pg.URL("postgres"))))
	if err != nil || plan.Archive != "" {
		t.Errorf("%+v, %v", plan, err)
	}
	carry(t, pg, r, source)
	run(t, options(r, target(t, pg.URL("postgres"))))
	wantNothing(t, r, 1)
}

func TestWhatCanNotBeBackedUpThisWaySaysWhatToDo(t *testing.T) {
	t.Parallel()
	pg := archived(t, testenv.PostgresOptions{})
	pg.Exec(t, "postgres", "CREATE ROLE plain LOGIN PASSWORD 'secret'")
	r := inDir(t, t.TempDir())
	wantRefused(t, r, options(r, target(t, pg.URLFor("plain", "secret", "postgres"))), 0, postgres.ErrNoReplication, "REPLICATION")
}
