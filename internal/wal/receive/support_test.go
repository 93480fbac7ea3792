package receive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/receive"
)

const (
	source      = "main"
	segmentSize = 16 << 20
)

// The test binary run again with these variables is a receiver, to be killed.
const (
	childTarget   = "RECEIVE_TEST_TARGET"
	childDir      = "RECEIVE_TEST_DIR"
	childBucket   = "RECEIVE_TEST_BUCKET"
	childEndpoint = "RECEIVE_TEST_ENDPOINT"
	childSpool    = "RECEIVE_TEST_SPOOL"
	childEvery    = "RECEIVE_TEST_EVERY"
)

func TestMain(m *testing.M) {
	if os.Getenv(childTarget) == "" {
		os.Exit(m.Run())
	}
	if err := child(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func child(ctx context.Context) error {
	var store objstore.Store
	var err error
	if path := os.Getenv(childDir); path != "" {
		store, err = dir.Open(path)
	} else {
		store, err = s3.Open(ctx, s3.Config{Bucket: os.Getenv(childBucket), Endpoint: os.Getenv(childEndpoint)})
	}
	if err != nil {
		return err
	}
	r, err := repo.Open(ctx, objstore.Retry(store, objstore.RetryOptions{}), repo.OpenOptions{})
	if err != nil {
		return err
	}
	to, err := postgres.ParseTarget(os.Getenv(childTarget))
	if err != nil {
		return err
	}
	every, err := duration.Parse(os.Getenv(childEvery))
	if err != nil {
		return err
	}
	wal := job.WAL{Mode: job.WALReceive, Spool: os.Getenv(childSpool), Every: every}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	return receive.Run(ctx, receive.Options{Repo: r, Source: source, Target: to, WAL: wal, Self: repo.Self(), Log: log})
}

// process is a receiver in a process of its own, started again when it ends by itself
// as a service would be.
type process struct {
	out   *lines
	stop  context.CancelFunc
	ended chan struct{}
	pid   atomic.Int64
}

// memory is the most that it ever had, in bytes.
func (p *process) memory() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid.Load()))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	kib, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	n, err := strconv.ParseInt(kib, 10, 64)
	return n << 10, err
}

// spawn starts one; it does not outlive the test.
func spawn(t testing.TB, env ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &process{out: &lines{t: t}, stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		for ctx.Err() == nil {
			cmd := exec.CommandContext(ctx, self) // ends it with SIGKILL
			cmd.Env = append(os.Environ(), env...)
			cmd.Stdout, cmd.Stderr = p.out, p.out
			err := cmd.Start()
			if err == nil {
				p.pid.Store(int64(cmd.Process.Pid))
				err = cmd.Wait()
			}
			_, _ = fmt.Fprintln(p.out, "ended:", err)
			if ctx.Err() == nil {
				time.Sleep(200 * time.Millisecond)
			}
		}
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the receiver said:\n%s", p.out)
		}
	})
	return p
}

// kill ends it at once, and waits until it is gone.
func (p *process) kill() {
	p.stop()
	<-p.ended
}

// lines keeps what a receiver logs, and shows it when the test fails.
type lines struct {
	t  testing.TB
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func inDir(t testing.TB) (*repo.Repository, string) {
	t.Helper()
	path := t.TempDir()
	store, err := dir.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return create(t, store), path
}

func create(t testing.TB, store objstore.Store) *repo.Repository {
	t.Helper()
	r, err := repo.Create(context.Background(), store, repo.CreateOptions{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// bucket opens the server's bucket through endpoint.
func bucket(t testing.TB, s *testenv.S3Server, endpoint string, stall time.Duration) objstore.Store {
	t.Helper()
	store, err := s3.Open(context.Background(), s3.Config{
		Bucket: s.Bucket, Endpoint: endpoint, StallTimeout: stall,
		AWSConfig: &aws.Config{Region: s.Region, Credentials: credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, "")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return objstore.Retry(store, objstore.RetryOptions{Attempts: 3, Base: 20 * time.Millisecond, Max: 200 * time.Millisecond})
}

func target(t testing.TB, url string) postgres.Target {
	t.Helper()
	to, err := postgres.ParseTarget(url)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// server keeps all WAL it writes, to compare with.
func server(t testing.TB) *testenv.PostgresServer {
	t.Helper()
	return testenv.Postgres(t, testenv.PostgresOptions{Config: keepWAL()})
}

func keepWAL() map[string]string {
	return map[string]string{"wal_keep_size": "'8GB'", "max_wal_size": "'8GB'", "hot_standby": "on"}
}

// receiver is one at work in this process.
type receiver struct {
	t     testing.TB
	end   context.CancelFunc
	done  chan error
	log   *lines
	state atomic.Pointer[receive.State]
}

func options(t testing.TB, r *repo.Repository, to postgres.Target) receive.Options {
	return receive.Options{
		Repo: r, Source: source, Target: to, Self: repo.Self(),
		WAL: job.WAL{Mode: job.WALReceive, Spool: t.TempDir(), Every: duration.Of(300 * time.Millisecond)},
	}
}

// run starts a receiver; it ends with the test at the latest.
func run(t testing.TB, o receive.Options) *receiver {
	t.Helper()
	if err := os.Chmod(o.WAL.Spool, 0o700); err != nil {
		t.Fatal(err)
	}
	r := &receiver{t: t, done: make(chan error, 1), log: &lines{t: t}}
	var ctx context.Context
	ctx, r.end = context.WithCancel(context.Background())
	o.Log = slog.New(slog.NewTextHandler(r.log, nil))
	o.Report = func(s receive.State) { r.state.Store(&s) }
	go func() { r.done <- receive.Run(ctx, o) }()
	t.Cleanup(func() {
		r.stop()
		if t.Failed() {
			t.Logf("the receiver said:\n%s", r.log)
		}
	})
	return r
}

// stop ends it as a signal would, and returns its error.
func (r *receiver) stop() error {
	r.end()
	select {
	case err, open := <-r.done:
		if open {
			close(r.done)
		}
		return err
	case <-time.After(time.Minute):
		r.t.Errorf("the receiver does not end:\n%s", r.log)
		return errors.New("it does not end")
	}
}

// says waits until the receiver logged something.
func (r *receiver) says(words string) {
	r.t.Helper()
	eventually(r.t, "the receiver says "+words, func() error {
		if !strings.Contains(r.log.String(), words) {
			return errors.New("not yet")
		}
		return nil
	})
}

// eventually asks again until there is no error.
func eventually(t testing.TB, what string, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// flushed is how far a server wrote.
func flushed(t testing.TB, pg *testenv.PostgresServer) pgwal.LSN {
	t.Helper()
	var text string
	if err := pg.Connect(t, "postgres").QueryRow(context.Background(), "SELECT pg_current_wal_flush_lsn()::text").Scan(&text); err != nil {
		t.Fatal(err)
	}
	lsn, err := pgwal.ParseLSN(text)
	if err != nil {
		t.Fatal(err)
	}
	return lsn
}

// pgbench writes until the test, or the server, ends; stop ends it earlier.
func pgbench(t testing.TB, pg *testenv.PostgresServer, clients int, options ...string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := pg.Command(ctx, "pgbench", append([]string{"--no-vacuum", "--client", strconv.Itoa(clients), "--time", "600"}, append(options, "postgres")...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		cancel()
		_ = cmd.Wait()
	})
	t.Cleanup(stop)
	return stop
}

// extent is what an archive has of a timeline without a hole.
type extent struct{ from, to pgwal.LSN }

// extents reads the whole archive, holds it against the files of the server's pg_wal
// (nil is none), and fails when it has a hole.
func extents(t testing.TB, r *repo.Repository, pg *testenv.PostgresServer) map[pgwal.Timeline]extent {
	t.Helper()
	found, err := readExtents(r, pg)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func readExtents(r *repo.Repository, pg *testenv.PostgresServer) (map[pgwal.Timeline]extent, error) {
	found := map[pgwal.Timeline]extent{}
	_, segments, err := readArchive(r)
	if err != nil {
		return nil, err
	}
	for _, s := range segments {
		start := s.at.Start(segmentSize)
		e, begun := found[s.at.Timeline]
		if begun && e.to != start {
			return nil, fmt.Errorf("timeline %s has a hole from %s to %s", s.at.Timeline, e.to, start)
		}
		if !begun {
			e.from = start
		}
		e.to = start + pgwal.LSN(len(s.data))
		found[s.at.Timeline] = e
		if pg == nil {
			continue
		}
		theirs, err := os.ReadFile(filepath.Join(pg.DataDir, "pg_wal", s.at.Name(segmentSize)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(theirs[:len(s.data)], s.data) {
			return nil, fmt.Errorf("%s is not what the server has", s.at.Name(segmentSize))
		}
	}
	return found, nil
}

// stored is a segment of an archive, or its beginning.
type stored struct {
	at   pgwal.Segment
	data []byte
}

// readArchive reads all of the one archive: history files by name, segments in order.
func readArchive(r *repo.Repository) (map[string][]byte, []stored, error) {
	ctx := context.Background()
	archives, err := r.WALArchives(ctx, source)
	if err == nil && len(archives) != 1 {
		err = fmt.Errorf("archives %v", archives)
	}
	if err != nil {
		return nil, nil, err
	}
	files, err := r.ListWAL(ctx, archives[0], 0)
	if err != nil {
		return nil, nil, err
	}
	histories := map[string][]byte{}
	var segments []stored
	for _, f := range files {
		var data bytes.Buffer
		in, err := r.OpenWALPiece(ctx, f)
		if errors.Is(err, repo.ErrNotFound) && f.IsPiece() {
			return nil, nil, fmt.Errorf("%s went while it was read", f)
		}
		if err == nil {
			_, err = in.WriteTo(&data)
			_ = in.Close()
		}
		if err != nil {
			return nil, nil, err
		}
		if f.Kind() == pgwal.HistoryFile {
			histories[f.Name] = data.Bytes()
			continue
		}
		at, err := pgwal.ParseSegment(f.Name, segmentSize)
		if err != nil {
			return nil, nil, err
		}
		if n := len(segments); n > 0 && segments[n-1].at == at {
			last := &segments[n-1]
			if end := uint32(len(last.data)); f.PieceFrom <= end && f.PieceTo > end { // a piece of one that has earlier ones
				last.data = append(last.data, data.Bytes()[end-f.PieceFrom:]...)
			}
			continue
		}
		if f.PieceFrom != 0 {
			return nil, nil, fmt.Errorf("%s has no piece before it", f)
		}
		segments = append(segments, stored{at, data.Bytes()})
	}
	return histories, segments, nil
}

// reaches waits until the archive has a timeline up to a position.
func reaches(t testing.TB, r *repo.Repository, pg *testenv.PostgresServer, timeline pgwal.Timeline, to pgwal.LSN) {
	t.Helper()
	eventually(t, fmt.Sprintf("the archive reaches %s of timeline %s", to, timeline), func() error {
		found, err := readExtents(r, pg)
		if err != nil {
			return err
		}
		if e := found[timeline]; e.to < to {
			return fmt.Errorf("it has %s to %s", e.from, e.to)
		}
		return nil
	})
}

// unpack writes the archive as a directory from which restore_command copies. Of a
// segment that is not whole the rest is zeros.
func unpack(t testing.TB, r *repo.Repository, to string) {
	t.Helper()
	histories, segments, err := readArchive(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(to, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(to, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range histories {
		write(name, data)
	}
	for _, s := range segments {
		write(s.at.Name(segmentSize), append(s.data, make([]byte, segmentSize-len(s.data))...))
	}
}

// baseBackup takes one without WAL, for a server that recovered starts.
func baseBackup(t testing.TB, pg *testenv.PostgresServer) string {
	t.Helper()
	path := filepath.Join(pg.Dir, "base-"+strconv.FormatInt(time.Now().UnixNano(), 36))
	cmd := pg.Command(context.Background(), "pg_basebackup", "--pgdata", path, "--wal-method=none", "--checkpoint=fast", "--no-sync", "--no-manifest")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("pg_basebackup: %v: %s", err, out)
	}
	return path
}

// recovered starts a server on a copy of a base backup that replays the archive to its
// end, and then is a server of its own.
func recovered(t testing.TB, r *repo.Repository, pg *testenv.PostgresServer, base string) *testenv.PostgresServer {
	t.Helper()
	s := testenv.Postgres(t)
	archive := filepath.Join(s.Dir, "archive")
	unpack(t, r, archive)
	if err := s.Halt(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	s.Password = pg.Password
	if err := os.RemoveAll(s.DataDir); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", base, s.DataDir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	conf, err := os.OpenFile(filepath.Join(s.DataDir, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conf, "\nrestore_command = 'cp "+archive+"/%f %p'\n"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(conf.Close(), os.WriteFile(filepath.Join(s.DataDir, "recovery.signal"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := s.Resume(context.Background()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "recovery ends", func() error {
		var recovering bool
		err := s.Connect(t, "postgres").QueryRow(context.Background(), "SELECT pg_is_in_recovery()").Scan(&recovering)
		if err == nil && recovering {
			err = errors.New("still in recovery")
		}
		return err
	})
	return s
}
