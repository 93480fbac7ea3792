package receive_test

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// mortal is an S3 server over the folder of another one that can be killed.
type mortal struct {
	t    testing.TB
	like *testenv.S3Server
	addr string
	cmd  *exec.Cmd
}

func (m *mortal) start() {
	m.t.Helper()
	m.cmd = exec.Command(testenv.Tool(m.t, "versitygw"), "--port", m.addr, "--region", m.like.Region, "--keep-alive", "--quiet", "posix", m.like.Dir)
	m.cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY_ID="+m.like.AccessKey, "ROOT_SECRET_ACCESS_KEY="+m.like.SecretKey)
	m.cmd.Dir = filepath.Dir(m.like.Dir)
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
}

func (m *mortal) kill() {
	_ = m.cmd.Process.Kill()
	_ = m.cmd.Wait()
}

// rounds is how often, by default and when the variable says so.
func rounds(t testing.TB, otherwise int) int {
	t.Helper()
	text := os.Getenv("RECEIVE_TEST_ROUNDS")
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("RECEIVE_TEST_ROUNDS is %q", text)
	}
	return n
}

func TestArchiveStaysContinuousWhateverIsKilled(t *testing.T) {
	t.Parallel()
	pg := server(t)
	s := testenv.S3(t)
	front := &mortal{t: t, like: s, addr: testenv.FreeAddr(t)}
	front.start()
	t.Cleanup(func() { front.kill() })
	direct := create(t, bucket(t, s, s.Endpoint, time.Minute))
	env := append(s.Env(), childTarget+"="+pg.URL("postgres"), childBucket+"="+s.Bucket, childEndpoint+"=http://"+front.addr, childSpool+"="+private(t), childEvery+"=1s")
	receiver := spawn(t, env...)
	if err := pg.PgBench(t.Context(), "postgres", 1); err != nil {
		t.Fatal(err)
	}
	for i := range rounds(t, 4) {
		stop := pgbench(t, pg, 2)
		pause := func() { time.Sleep(time.Duration(200+rand.IntN(1500)) * time.Millisecond) }
		pause()
		switch victim := i % 4; victim {
		case 0:
			receiver.kill()
			pause()
			receiver = spawn(t, env...)
		case 1:
			kill9(t, pg)
			pause()
			revive(t, pg)
		case 2:
			front.kill()
			pause()
			front.start()
		case 3:
			kill9(t, pg)
			receiver.kill()
			front.kill()
			front.start()
			receiver = spawn(t, env...)
			revive(t, pg)
		}
		stop()
		pg.Exec(t, "postgres", "CREATE TABLE IF NOT EXISTS filler (t text)", "INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, 10000)")
	}
	reaches(t, direct, pg, 1, flushed(t, pg))
}

// kill9 kills the server's postmaster; its other processes notice and end.
func kill9(t testing.TB, pg *testenv.PostgresServer) {
	t.Helper()
	if err := pg.Halt(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// revive starts a killed server, once the last of its processes gave its memory back.
func revive(t testing.TB, pg *testenv.PostgresServer) {
	t.Helper()
	eventually(t, "the server starts again", func() error { return pg.Resume(context.Background()) })
}

func private(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "spool")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// What is lost with the server's machine and the receiver's at once: of the transactions
// that were committed, and acknowledged to a client, those since the newest one that is
// in the archive. The default interval is 3 s; 10 s is what is promised.
func TestLosingServerAndReceiverAtOnceCostsSeconds(t *testing.T) {
	t.Parallel()
	var worst time.Duration
	n := rounds(t, 2)
	for range n {
		lost := losesServerAndReceiver(t)
		t.Logf("lost %s", lost.Round(10*time.Millisecond))
		worst = max(worst, lost)
	}
	t.Logf("the worst of %d: %s", n, worst.Round(10*time.Millisecond))
	if worst > 10*time.Second {
		t.Errorf("%s of transactions were lost", worst)
	}
}

// losesServerAndReceiver kills both under load, recovers from the archive alone, and
// returns how much older than the last acknowledged transaction the newest one is.
func losesServerAndReceiver(t *testing.T) time.Duration {
	t.Helper()
	pg := server(t)
	s := testenv.S3(t)
	r := create(t, bucket(t, s, s.Endpoint, time.Minute))
	receiver := spawn(t, append(s.Env(), childTarget+"="+pg.URL("postgres"), childBucket+"="+s.Bucket, childEndpoint+"="+s.Endpoint, childSpool+"="+private(t), childEvery+"=3s")...)
	eventually(t, "the archive begins", func() error {
		_, err := readExtents(r, pg)
		return err
	})
	if err := pg.PgBench(t.Context(), "postgres", 1); err != nil {
		t.Fatal(err)
	}
	base := baseBackup(t, pg)
	defer pgbench(t, pg, 2)()
	ledger := keepLedger(t, pg)
	time.Sleep(3*time.Second + time.Duration(rand.IntN(6000))*time.Millisecond)
	memory, err := receiver.memory()
	kill9(t, pg)
	receiver.kill()
	if err != nil || memory > 192<<20 { // the runner is held to 128 MiB; this is a binary of tests
		t.Errorf("the receiver had %d MiB of memory, %v", memory>>20, err)
	}
	t.Logf("the receiver had %d MiB of memory", memory>>20)
	last, at := ledger()

	back := recovered(t, r, pg, base)
	var newest int
	var when time.Time
	if err := back.Connect(t, "postgres").QueryRow(t.Context(), "SELECT coalesce(max(id), 0), coalesce(max(at), 'epoch') FROM ledger").Scan(&newest, &when); err != nil {
		t.Fatal(err)
	}
	if last == 0 || newest == 0 {
		t.Fatalf("nothing was committed: %d, recovered %d", last, newest)
	}
	var holes int
	if err := back.Connect(t, "postgres").QueryRow(t.Context(), "SELECT max(id) - count(*) FROM ledger").Scan(&holes); err != nil || holes != 0 {
		t.Errorf("%d transactions before the newest are missing, %v", holes, err)
	}
	_ = back.Stop()
	return max(0, at.Sub(when))
}

// keepLedger commits one numbered row after the other until the server dies; the
// function it returns waits for that, and says which was the last that the server
// acknowledged, and the row's time.
func keepLedger(t *testing.T, pg *testenv.PostgresServer) func() (last int, at time.Time) {
	t.Helper()
	pg.Exec(t, "postgres", "CREATE TABLE ledger (id int PRIMARY KEY, at timestamptz NOT NULL)")
	conn, err := pgx.Connect(t.Context(), pg.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	var last int
	var at time.Time
	done := make(chan struct{})
	go func() {
		defer close(done)
		for id := 1; ; id++ {
			var when time.Time
			if err := conn.QueryRow(context.Background(), "INSERT INTO ledger VALUES ($1, clock_timestamp()) RETURNING at", id).Scan(&when); err != nil {
				return
			}
			last, at = id, when
			time.Sleep(5 * time.Millisecond)
		}
	}()
	return func() (int, time.Time) {
		<-done
		_ = conn.Close(context.Background())
		return last, at
	}
}
