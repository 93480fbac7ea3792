package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// TestMain lets the scripts run this program by its name.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"pgbackup-runner": main})
}

// TestScripts runs testdata/script/*.txtar against one real PostgreSQL server.
// Each script has a directory of its own; $REPO is a repository in it that is not
// made yet, and the PG… variables lead to the server.
func TestScripts(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{"max_connections": "200"}})
	(&scripts{t: t, pg: pg}).run("script")
}

// TestScriptsThatNeedAServerAlone are those that look at every database.
func TestScriptsThatNeedAServerAlone(t *testing.T) {
	t.Parallel()
	(&scripts{t: t, pg: testenv.Postgres(t)}).run("alone")
}

func (s *scripts) run(dir string) {
	testscript.Run(s.t, testscript.Params{
		Dir:   filepath.Join("testdata", dir),
		Setup: s.setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "sampledb": s.sampledb, "sql": s.sql, "samedb": s.samedb, "s3": s.s3, "json": jsonValue,
			"flip": flip, "lease": lease, "unlease": unlease, "interrupt": s.interrupt, "twice": s.twice, "putpolicy": putPolicy, "pg_restore_into": s.pgRestoreInto,
			"unprivileged": unprivileged, "putrevision": putRevision, "commit": commitPoint, "s3put": s3Put, "s3rm": s3Remove, "s3cat": s3Cat, "s3tags": s3Tags,
		},
		RequireUniqueNames: true,
	})
}

type scripts struct {
	t       *testing.T
	pg      *testenv.PostgresServer
	loading sync.Mutex // the sample makes roles, which belong to the whole server
}

func (s *scripts) setup(env *testscript.Env) error {
	for _, kv := range s.pg.Env() {
		name, value, _ := strings.Cut(kv, "=")
		if name != "PGDATABASE" {
			env.Setenv(name, value)
		}
	}
	env.Setenv("REPO", "file://"+filepath.Join(env.WorkDir, "repo"))
	env.Setenv("SERVER", fmt.Sprintf("postgres://%s@%s:%d", s.pg.User, s.pg.Host, s.pg.Port))
	env.Setenv("HOSTPORT", s.pg.Addr())
	env.Setenv("HOSTPART", fmt.Sprintf("%s-%d", s.pg.Host, s.pg.Port))
	env.Setenv("USER", "tester")
	env.Values[leases{}] = &[]*repo.Lease{}
	env.Values[s3Server{}] = &testenv.S3Server{}
	// Names of databases are the server's; scripts run at the same time.
	env.Setenv("DB", "db"+strconv.FormatInt(time.Now().UnixNano(), 36))
	return nil
}

// exits CODE PROGRAM ARGS… runs a program and compares its exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
	if stderr := ts.ReadFile("stderr"); got != 0 && strings.Count(stderr, "pgbackup-runner: ") > 1 {
		ts.Fatalf("the error is told twice:\n%s", stderr)
	}
}

// sampledb NAME makes a database with the sample application in it.
func (s *scripts) sampledb(ts *testscript.TestScript, _ bool, args []string) {
	s.loading.Lock()
	defer s.loading.Unlock()
	ctx := context.Background()
	s.exec(ts, "postgres", `CREATE DATABASE "`+args[0]+`" TEMPLATE template0`)
	ts.Check(s.pg.LoadSample(ctx, args[0]))
}

// sql DATABASE STATEMENT…
func (s *scripts) sql(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		if out, err := s.psql(args[0], args[1]); err == nil {
			ts.Fatalf("%s succeeded: %s", args[1], out)
		}
		return
	}
	s.exec(ts, args[0], args[1:]...)
}

func (s *scripts) psql(db, statement string) ([]byte, error) {
	return s.pg.Command(context.Background(), "psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", db, "--command", statement).CombinedOutput()
}

func (s *scripts) exec(ts *testscript.TestScript, db string, statements ...string) {
	for _, statement := range statements {
		if out, err := s.psql(db, statement); err != nil {
			ts.Fatalf("%s: %v: %s", statement, err, out)
		}
	}
}

// samedb A B compares schema and data of two databases as pg_dump shows them.
func (s *scripts) samedb(ts *testscript.TestScript, neg bool, args []string) {
	a, b := s.dump(ts, args[0]), s.dump(ts, args[1])
	if (a == b) == neg {
		ts.Check(os.WriteFile(ts.MkAbs("a.sql"), []byte(a), 0o600))
		ts.Check(os.WriteFile(ts.MkAbs("b.sql"), []byte(b), 0o600))
		out, _ := exec.Command("diff", ts.MkAbs("a.sql"), ts.MkAbs("b.sql")).Output()
		ts.Fatalf("equal: %v\n%.3000s", a == b, out)
	}
}

// dump is a database as SQL, without what no two dumps have alike: the order of
// rows, and the random token of \restrict.
func (s *scripts) dump(ts *testscript.TestScript, db string) string {
	var parts []string
	for _, part := range []string{"--schema-only", "--data-only"} {
		out, err := s.pg.Command(context.Background(), "pg_dump", "--rows-per-insert=1", part, "--dbname", db).Output()
		ts.Check(err)
		lines := slices.DeleteFunc(strings.Split(string(out), "\n"), func(line string) bool {
			return strings.HasPrefix(line, `\restrict`) || strings.HasPrefix(line, `\unrestrict`)
		})
		if part == "--data-only" {
			slices.Sort(lines)
		}
		parts = append(parts, lines...)
	}
	return strings.Join(parts, "\n")
}

// pg_restore_into DATABASE FILE restores an archive with PostgreSQL's own tool.
func (s *scripts) pgRestoreInto(ts *testscript.TestScript, _ bool, args []string) {
	s.exec(ts, "postgres", `CREATE DATABASE "`+args[0]+`" TEMPLATE template0`)
	cmd := s.pg.Command(context.Background(), "pg_restore", "--exit-on-error", "--dbname", args[0])
	f, err := os.Open(ts.MkAbs(args[1]))
	ts.Check(err)
	defer f.Close()
	cmd.Stdin = f
	if out, err := cmd.CombinedOutput(); err != nil {
		ts.Fatalf("pg_restore: %v: %s", err, out)
	}
}

// s3 [flaky|versioned|untagged] starts an S3 server and sets REPO, STATE (a state file that
// is not there yet) and the credentials for it. A flaky one answers every fifth
// request with 500 or 503; an untagged one takes no tags.
func (s *scripts) s3(ts *testscript.TestScript, _ bool, args []string) {
	var opts []testenv.S3Option
	if len(args) == 1 && args[0] == "versioned" {
		opts = append(opts, testenv.S3Versioned())
	}
	start := testenv.S3
	if len(args) == 1 && args[0] == "untagged" {
		start = testenv.S3WithoutTags
	}
	srv := start(s.t, opts...)
	*ts.Value(s3Server{}).(*testenv.S3Server) = *srv
	for _, kv := range srv.Env() {
		name, value, _ := strings.Cut(kv, "=")
		ts.Setenv(name, value)
	}
	endpoint := srv.Endpoint
	if len(args) == 1 && args[0] == "flaky" {
		endpoint = testenv.FaultyHTTP(s.t, srv.Endpoint, func(n int, _ *http.Request) (int, bool) {
			return []int{http.StatusInternalServerError, http.StatusServiceUnavailable}[n%2], n%5 == 4
		}).URL
	}
	ts.Setenv("S3", endpoint)
	ts.Setenv("BUCKET", srv.Bucket)
	ts.Setenv("STATE", "s3://"+srv.Bucket+"/"+stateKey+"?"+url.Values{"endpoint": {endpoint}}.Encode())
	ts.Setenv("REPO", "s3://"+srv.Bucket+"/"+ts.Getenv("DB")+"?"+url.Values{"endpoint": {endpoint}}.Encode())
}

// json VARIABLE PATH sets a variable to a value of the JSON printed last:
// points.0.id.
func jsonValue(ts *testscript.TestScript, _ bool, args []string) {
	var value any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &value))
	for step := range strings.SplitSeq(args[1], ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			ts.Check(err)
			if i >= len(v) {
				ts.Fatalf("%s: there are %d", args[1], len(v))
			}
			value = v[i]
		default:
			ts.Fatalf("%s: nothing there", args[1])
		}
	}
	ts.Setenv(args[0], fmt.Sprint(value))
}

// flip PATTERN changes one bit in the middle of the only file that matches.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	found, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(found) != 1 {
		ts.Fatalf("%s matches %d files", args[0], len(found))
	}
	data, err := os.ReadFile(found[0])
	ts.Check(err)
	data[len(data)/2] ^= 1
	ts.Check(os.WriteFile(found[0], data, 0o600))
}

func openRepo(ts *testscript.TestScript) *repo.Repository {
	at, err := location.Parse(ts.Getenv("REPO"))
	ts.Check(err)
	opts := location.OpenOptions{}
	if srv := ts.Value(s3Server{}).(*testenv.S3Server); !at.IsDirectory() {
		opts.AWS = &aws.Config{Region: srv.Region, Credentials: credentials.NewStaticCredentialsProvider(srv.AccessKey, srv.SecretKey, "")}
	}
	store, err := location.Open(context.Background(), at, opts)
	ts.Check(err)
	r, err := repo.Open(context.Background(), store, repo.OpenOptions{})
	ts.Check(err)
	return r
}

// lease SOURCE takes the lease of a source until the script ends; ! lease expects
// that somebody else has it.
func lease(ts *testscript.TestScript, neg bool, args []string) {
	l, _, err := openRepo(ts).TakeLease(context.Background(), args[0], repo.LeaseOptions{What: "backup", Self: repo.Self()})
	if neg {
		if !errors.Is(err, repo.ErrLocked) {
			ts.Fatalf("the lease is free: %v", err)
		}
		return
	}
	ts.Check(err)
	held := ts.Value(leases{}).(*[]*repo.Lease)
	*held = append(*held, l)
	ts.Defer(func() { _ = l.Release() })
}

// leases is the key of the leases a script holds.
type leases struct{}

// unlease gives all leases back that the script took.
func unlease(ts *testscript.TestScript, _ bool, _ []string) {
	held := ts.Value(leases{}).(*[]*repo.Lease)
	for _, l := range *held {
		ts.Check(l.Release())
	}
	*held = nil
}

// putpolicy NAME DOCUMENT|retired writes a revision of a policy.
func putPolicy(ts *testscript.TestScript, _ bool, args []string) {
	r := openRepo(ts)
	ctx, envelope := context.Background(), policy.Envelope{At: time.Now(), By: "a test"}
	if args[1] == "retired" {
		ts.Check(r.RetirePolicy(ctx, args[0], envelope))
		return
	}
	document, err := policy.Parse([]byte(ts.ReadFile(args[1])))
	ts.Check(err)
	after := 0
	if current, err := r.CurrentPolicy(ctx, args[0]); err == nil {
		after = current.Number
	}
	_, err = r.PutPolicyRevision(ctx, after, document, envelope)
	ts.Check(err)
}

// interrupt SIGNAL DATABASE TABLE ARGS… sends the signal to a run that waits for
// a lock, and expects it to end with exit code 1 soon.
func (s *scripts) interrupt(ts *testscript.TestScript, _ bool, args []string) {
	sig := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}[args[0]]
	err := s.whileWaiting(ts, args[1], args[2], args[3:], func(pid int, _ func() error) error { return syscall.Kill(pid, sig) })
	var exit *exec.ExitError
	if !errors.As(err, &exit) || sig != syscall.SIGKILL && exit.ExitCode() != 1 {
		ts.Fatalf("ended with %v", err)
	}
}

// twice DATABASE TABLE ARGS… runs the same thing a second time while the first
// waits for a lock: the second ends with exit code 5, the first does its work.
func (s *scripts) twice(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(s.whileWaiting(ts, args[0], args[1], args[2:], func(pid int, unlock func() error) error {
		exits(ts, false, append([]string{"5", "pgbackup-runner"}, args[2:]...))
		if stderr := ts.ReadFile("stderr"); !strings.Contains(stderr, fmt.Sprintf("is locked: a backup by pid %d on ", pid)) {
			return fmt.Errorf("the second run said %q", stderr)
		}
		return unlock()
	}))
}

// whileWaiting starts the runner while a table is locked, acts once it waits for
// the lock, and returns how it ended. What it said is in stderr.txt.
func (s *scripts) whileWaiting(ts *testscript.TestScript, db, table string, args []string, act func(pid int, unlock func() error) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, watch := s.pg.Connect(s.t, db), s.pg.Connect(s.t, db)
	if _, err := conn.Exec(ctx, "BEGIN; LOCK TABLE "+table+" IN ACCESS EXCLUSIVE MODE"); err != nil {
		return err
	}
	unlock := func() error { _, err := conn.Exec(ctx, "ROLLBACK"); return err }
	cmd := exec.CommandContext(ctx, "pgbackup-runner", args...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "USER", "TMPDIR", "PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "DATABASE_URL"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { ts.Check(os.WriteFile(ts.MkAbs("stderr.txt"), stderr.Bytes(), 0o600)) }()
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for waiting := false; !waiting; time.Sleep(20 * time.Millisecond) {
		if err := watch.QueryRow(ctx, "SELECT count(*) > 0 FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE NOT granted AND datname = $1", db).Scan(&waiting); err != nil {
			return err
		}
		select {
		case err := <-done:
			return fmt.Errorf("it ended before it waited for the lock: %w", err)
		default:
		}
	}
	if err := act(cmd.Process.Pid, unlock); err != nil {
		return errors.Join(err, cmd.Process.Kill(), <-done)
	}
	select {
	case err := <-done:
		return errors.Join(err, unlock())
	case <-ctx.Done():
		return errors.Join(errors.New("it did not end"), <-done)
	}
}

// unprivileged CODE ARGS… runs the runner as a user that file permissions bind,
// who is not root, and compares the exit code.
func unprivileged(ts *testscript.TestScript, _ bool, args []string) {
	work := ts.Getenv("WORK")
	exe, err := os.Executable()
	ts.Check(err)
	program, err := os.ReadFile(exe)
	ts.Check(err)
	path := filepath.Join(work, "bin", "pgbackup-runner")
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
	ts.Check(os.WriteFile(path, program, 0o755))
	for dir := work; filepath.Dir(dir) != dir && strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		ts.Check(os.Chmod(dir, 0o755))
	}
	run := []string{path}
	if os.Getuid() == 0 {
		run = []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", path}
	}
	exits(ts, false, append([]string{args[0]}, append(run, args[1:]...)...))
}
