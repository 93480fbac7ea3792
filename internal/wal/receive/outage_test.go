package receive_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/receive"
)

// restart is where the server keeps WAL from, for the receiver.
func restart(t testing.TB, pg *testenv.PostgresServer) pgwal.LSN {
	t.Helper()
	var text string
	if err := pg.Connect(t, "postgres").QueryRow(context.Background(), "SELECT restart_lsn::text FROM pg_replication_slots WHERE slot_name = $1", receive.SlotName(source)).Scan(&text); err != nil {
		t.Fatal(err)
	}
	lsn, err := pgwal.ParseLSN(text)
	if err != nil {
		t.Fatal(err)
	}
	return lsn
}

func spooled(t testing.TB, path string) (bytes int64) {
	t.Helper()
	err := filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && d.Type().IsRegular() {
			info, err := d.Info()
			if err == nil {
				bytes += info.Size()
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// write makes the server write about so many megabytes of WAL.
func write(t testing.TB, pg *testenv.PostgresServer, megabytes int) {
	t.Helper()
	pg.Exec(t, "postgres", "CREATE TABLE IF NOT EXISTS filler (t text)", fmt.Sprintf("INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, %d)", megabytes*1000))
}

func TestOutageOfTheRepositoryFillsTheSpoolAndThenTheServersSlot(t *testing.T) {
	t.Parallel()
	pg := server(t)
	s := testenv.S3(t)
	link := testenv.Faulty(t, strings.TrimPrefix(s.Endpoint, "http://"))
	r := create(t, bucket(t, s, "http://"+link.Addr(), 2*time.Second))
	direct := reopen(t, bucket(t, s, s.Endpoint, time.Minute))
	o := options(t, r, target(t, pg.URL("postgres")))
	o.WAL.SpoolLimit = 40 << 20
	o.LeaseTTL = 5 * time.Second
	receiver := run(t, o)
	write(t, pg, 20)
	reaches(t, direct, pg, 1, flushed(t, pg))

	link.Cut()
	write(t, pg, 70)
	receiver.says("the spool is full")
	receiver.says("the lease was lost")
	if n := spooled(t, o.WAL.Spool); n > o.WAL.SpoolLimit || n < o.WAL.SpoolLimit/2 {
		t.Errorf("%d bytes are in the spool, the limit is %d", n, o.WAL.SpoolLimit)
	}
	there := extents(t, direct, pg)[1]
	if at := restart(t, pg); at > there.to || at < there.to-segmentSize {
		t.Errorf("the server was told that %s is safe, the archive has up to %s", at, there.to)
	}
	var streaming bool
	if err := pg.Connect(t, "postgres").QueryRow(t.Context(), "SELECT active FROM pg_replication_slots").Scan(&streaming); err != nil || !streaming {
		t.Errorf("the stream is not held open during the outage: %v", err)
	}
	eventually(t, "the report tells of it", func() error {
		if state := receiver.state.Load(); state.Lag == 0 || state.Stored >= state.Received {
			return fmt.Errorf("%+v", state)
		}
		return nil
	})

	link.Restore()
	reaches(t, direct, pg, 1, flushed(t, pg))
	eventually(t, "the spool is empty but for the unfinished segment", func() error {
		if n := spooled(t, o.WAL.Spool); n > segmentSize {
			return fmt.Errorf("%d bytes", n)
		}
		return nil
	})
	if strings.Contains(receiver.log.String(), "another receiver took over") {
		t.Error("it took itself for another receiver")
	}
}

// reopen is another view of a repository.
func reopen(t testing.TB, store objstore.Store) *repo.Repository {
	t.Helper()
	r, err := repo.Open(context.Background(), store, repo.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhatIsSpooledIsStoredWithoutTheServer(t *testing.T) {
	t.Parallel()
	pg := server(t)
	s := testenv.S3(t)
	link := testenv.Faulty(t, strings.TrimPrefix(s.Endpoint, "http://"))
	r := create(t, bucket(t, s, "http://"+link.Addr(), 2*time.Second))
	direct := reopen(t, bucket(t, s, s.Endpoint, time.Minute))
	o := options(t, r, target(t, pg.URL("postgres")))
	o.WAL.Confirm = job.ConfirmSpooled
	o.LeaseTTL = 5 * time.Second
	receiver := run(t, o)
	receiver.says("the archive begins")
	write(t, pg, 5)
	reaches(t, direct, pg, 1, flushed(t, pg))
	link.Cut()
	write(t, pg, 40)
	end := flushed(t, pg)
	eventually(t, "what is in the spool is confirmed", func() error {
		if at := restart(t, pg); at < end {
			return fmt.Errorf("the slot is at %s of %s", at, end)
		}
		return nil
	})
	if there := extents(t, direct, pg)[1]; there.to >= end {
		t.Fatalf("the archive reaches %s in spite of the outage", there.to)
	}
	if err := receiver.stop(); err != nil {
		t.Fatal(err)
	}
	if err := pg.Halt(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	link.Restore()
	again := run(t, o)
	again.says("storing what an earlier run left")
	reaches(t, direct, pg, 1, end)
	if err := pg.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, pg, 20)
	reaches(t, direct, pg, 1, flushed(t, pg))
}

func TestServerThatShutsDownIsNotHeldUp(t *testing.T) {
	t.Parallel()
	pg := server(t)
	s := testenv.S3(t)
	link := testenv.Faulty(t, strings.TrimPrefix(s.Endpoint, "http://"))
	r := create(t, bucket(t, s, "http://"+link.Addr(), 2*time.Second))
	direct := reopen(t, bucket(t, s, s.Endpoint, time.Minute))
	o := options(t, r, target(t, pg.URL("postgres")))
	receiver := run(t, o)
	receiver.says("the archive begins")
	write(t, pg, 20)
	pg.Restart(t)
	write(t, pg, 5)
	reaches(t, direct, pg, 1, flushed(t, pg))

	// Without the repository it waits, and not for ever.
	link.Cut()
	write(t, pg, 5)
	pg.Restart(t)
	receiver.says("it is let go")
	link.Restore()
	reaches(t, direct, pg, 1, flushed(t, pg))
}

func TestWALThatTheServerRemovedIsAGapAndReceivingGoesOn(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{"max_slot_wal_keep_size": "'16MB'", "max_wal_size": "'32MB'", "min_wal_size": "'32MB'"}})
	r, _ := inDir(t)
	o := options(t, r, target(t, pg.URL("postgres")))
	first := run(t, o)
	first.says("the archive begins")
	write(t, pg, 20)
	before := flushed(t, pg)
	reaches(t, r, nil, 1, before)
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	write(t, pg, 150)
	pg.Exec(t, "postgres", "CHECKPOINT", "CHECKPOINT")
	second := run(t, o)
	second.says("a GAP")
	write(t, pg, 20)
	end := flushed(t, pg)
	eventually(t, "receiving goes on behind the gap", func() error {
		_, segments, err := readArchive(r)
		if err != nil {
			return err
		}
		last := segments[len(segments)-1]
		if to := last.at.Start(segmentSize) + pgwal.LSN(len(last.data)); to < end {
			return fmt.Errorf("to %s of %s", to, end)
		}
		return nil
	})
	if _, err := readExtents(r, nil); err == nil || !strings.Contains(err.Error(), "hole") {
		t.Errorf("no gap in the archive: %v", err)
	}
}
