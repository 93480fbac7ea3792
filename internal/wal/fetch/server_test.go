package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/waltest"
)

// rows is how many a server has, one batch for each segment.
const rows = 12

// archived is a server that archived its log into an S3 bucket, and a base backup of it
// in a folder. PostgreSQL's own tool took it: only the log is the subject here.
func archived(t *testing.T) (place *waltest.Place, base string, s3 *testenv.S3Server) {
	t.Helper()
	s3 = testenv.S3(t)
	pg := testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{"archive_mode": "on", "archive_command": "'false'"}})
	waltest.SmallSegments(t, pg)
	place = waltest.New(t, pg)
	place.Env = s3.Env()
	place.Repo = fmt.Sprintf("s3://%s/x?endpoint=%s&path_style=true", s3.Bucket, s3.Endpoint)
	place.Init()
	script := place.Script("archive.sh", fmt.Sprintf("exec %s wal push \"$1\" %s\n", place.Runner, place.Flags()))
	base = filepath.Join(place.Dir, "base")
	pg.Exec(t, "postgres", "CREATE TABLE t (n int)", "ALTER SYSTEM SET archive_command = '"+script+" %p'", "SELECT pg_reload_conf()")
	if out, err := pg.Command(context.Background(), "pg_basebackup", "--pgdata", base, "--wal-method=none", "--checkpoint=fast", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("pg_basebackup: %v: %s", err, out)
	}
	var last string
	for n := range rows {
		pg.Exec(t, "postgres", "INSERT INTO t VALUES ("+strconv.Itoa(n)+")")
		last = waltest.Switch(t, pg)
	}
	waltest.Archived(t, pg, last, time.Minute)
	return place, base, s3
}

// prepareRecovery gives the base backup a restore_command, and has it recover.
func prepareRecovery(t *testing.T, place *waltest.Place, base, restoreCommand string) (socket string) {
	t.Helper()
	socket = filepath.Join(place.Dir, "s")
	if err := os.Mkdir(socket, 0o700); err != nil {
		t.Fatal(err)
	}
	place.Give(socket)
	f, err := os.OpenFile(filepath.Join(base, "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(f, "\nrestore_command = '%s'\narchive_mode = off\nrecovery_target_action = promote\nlisten_addresses = ''\nunix_socket_directories = '%s'\nport = 5432\n", restoreCommand, socket)
	signal := filepath.Join(base, "recovery.signal")
	if err := errors.Join(err, f.Close(), os.WriteFile(signal, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	place.Give(signal)
	return socket
}

// start starts the recovered server; it is stopped with the test. The error has its log.
func start(t *testing.T, place *waltest.Place, base string) error {
	t.Helper()
	log := filepath.Join(place.Dir, "recovered.log")
	out, err := place.PG.Command(context.Background(), "pg_ctl", "-D", base, "-l", log, "-w", "-t", "90", "start").CombinedOutput()
	t.Cleanup(func() {
		_ = place.PG.Command(context.Background(), "pg_ctl", "-D", base, "-m", "immediate", "-w", "stop").Run() // it may not run
	})
	if err != nil {
		text, _ := os.ReadFile(log)
		return fmt.Errorf("%w: %s%s", err, out, text)
	}
	return nil
}

// promoted waits for the end of recovery, and tells how many rows there are.
func promoted(t *testing.T, place *waltest.Place, socket string) int {
	t.Helper()
	url := fmt.Sprintf("postgres://%s:%s@/postgres?host=%s&port=5432", place.PG.User, place.PG.Password, socket)
	var err error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		var conn *pgx.Conn
		if conn, err = pgx.Connect(t.Context(), url); err != nil {
			continue
		}
		var n int
		var recovering bool
		err = conn.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM t), pg_is_in_recovery()").Scan(&n, &recovering)
		_ = conn.Close(t.Context())
		if err == nil && !recovering {
			return n
		}
	}
	t.Fatalf("recovery did not end: %v", err)
	return 0
}

// Proof of B6: with the calls killed at random moments recovery stops, is started again,
// and gets to the end of the log; it never ends early.
func TestAServerRecoversToTheEndOfTheLogWhateverIsKilled(t *testing.T) {
	t.Parallel()
	place, base, _ := archived(t)
	script := place.Script("restore.sh", fmt.Sprintf(`n=$(cat %[1]s/count 2>/dev/null || echo 0); n=$((n+1)); echo $n > %[1]s/count
%[2]s wal fetch "$1" "$2" %[3]s --ahead 3 &
pid=$!
if [ $((n %% 4)) -eq 3 ] && [ $n -lt 40 ]; then # else no recovery ever gets through
  sleep 0.0$(od -An -N1 -tu1 /dev/urandom | tr -d ' ')
  kill -9 $pid 2>/dev/null
fi
wait $pid
`, place.Dir, place.Runner, place.Flags()))
	socket := prepareRecovery(t, place, base, script+" %f %p")
	var err error
	starts := 0
	for starts < 20 {
		starts++
		if err = start(t, place, base); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if n := promoted(t, place, socket); n != rows {
		t.Errorf("%d rows of %d", n, rows)
	}
	t.Logf("%d starts", starts)
}

// The store is away: the server stops instead of being promoted with half of the log, and
// goes on when it is started again.
func TestAServerStopsWhileTheStoreIsAwayAndGoesOnLater(t *testing.T) {
	t.Parallel()
	place, base, s3 := archived(t)
	proxy := testenv.Faulty(t, strings.TrimPrefix(s3.Endpoint, "http://"))
	place.Repo = strings.Replace(place.Repo, strings.TrimPrefix(s3.Endpoint, "http://"), proxy.Addr(), 1)
	script := place.Script("restore.sh", fmt.Sprintf(`exec %s wal fetch "$1" "$2" %s --ahead 2 --patience 1s
`, place.Runner, place.Flags()))
	socket := prepareRecovery(t, place, base, script+" %f %p")
	proxy.Cut()
	err := start(t, place, base)
	if err == nil {
		t.Fatal("the server started without its log")
	}
	if !strings.Contains(err.Error(), "from archive: child process exited with exit code 128") {
		t.Errorf("it stopped for another reason: %v", err)
	}
	proxy.Restore()
	if err := start(t, place, base); err != nil {
		t.Fatal(err)
	}
	if n := promoted(t, place, socket); n != rows {
		t.Errorf("%d rows of %d", n, rows)
	}
	spooled, err := filepath.Glob(filepath.Join(place.Spool, "fetch-*", "last"))
	if err != nil || len(spooled) != 1 {
		t.Errorf("nothing was fetched ahead: %v %v", spooled, err)
	}
}

// What PostgreSQL does depends on nothing but the exit code.
func TestExitCodesAreThoseThatPostgreSQLKnows(t *testing.T) {
	t.Parallel()
	r := newRecovering(t)
	r.put(r.names[0])
	place := waltest.New(t, nil)
	repository := "file://" + r.store
	code := func(env string, args ...string) int {
		cmd := place.Command(append([]string{"wal", "fetch"}, args...)...)
		cmd.Dir = r.dir
		cmd.Env = append(cmd.Env, env)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		t.Logf("%v: %d %s", args, cmd.ProcessState.ExitCode(), out)
		return cmd.ProcessState.ExitCode()
	}
	job := filepath.Join(t.TempDir(), "job.json")
	if err := os.WriteFile(job, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		want int
		env  string
		args []string
	}{
		{"there", 0, "", []string{r.names[0], "pg_wal/X", "--repository", repository, "--source", "db1"}},
		{"missing", 1, "", []string{r.names[1], "pg_wal/X", "--repository", repository, "--source", "db1"}},
		{"no archive", 128, "", []string{r.names[0], "pg_wal/X", "--repository", repository, "--source", "db2"}},
		{"no repository", 128, "", []string{r.names[0], "pg_wal/X", "--repository", "file:///nowhere/at/all"}},
		{"no arguments", 128, "", nil},
		{"a flag that is none", 128, "", []string{r.names[0], "pg_wal/X", "--repositroy", repository}},
		{"no place to put it", 128, "", []string{r.names[0], "nowhere/X", "--repository", repository, "--source", "db1"}},
		{"a job that is none", 128, "", []string{r.names[0], "pg_wal/X", "--job", job}},
		{"a name that is none", 128, "", []string{"x", "pg_wal/X", "--repository", repository}},
		{"another program than was deployed", 128, "PGBACKUP_RUNNER_SHA256=" + strings.Repeat("0", 64), []string{r.names[0], "pg_wal/X", "--repository", repository}},
	} {
		if got := code(c.env, append(c.args, "--spool", place.Spool)...); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.what, got, c.want)
		}
	}
}

// A shutdown ends the call by SIGTERM, which the server must see as that.
func TestAShutdownIsNoMissingFile(t *testing.T) {
	t.Parallel()
	r := newRecovering(t)
	s3 := testenv.S3(t)
	proxy := testenv.Faulty(t, strings.TrimPrefix(s3.Endpoint, "http://"))
	proxy.StallAnswers()
	place := waltest.New(t, nil)
	place.Env = s3.Env()
	for signal, want := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGINT: 130} {
		cmd := place.Command("wal", "fetch", r.names[0], "pg_wal/X", "--repository", fmt.Sprintf("s3://%s/x?endpoint=http://%s&path_style=true", s3.Bucket, proxy.Addr()))
		cmd.Dir = r.dir
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // its code is looked at
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("%s: exit code %d, want %d", signal, got, want)
		}
	}
}
