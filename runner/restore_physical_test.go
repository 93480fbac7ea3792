package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/approval"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/physical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// recovery is a server that archives by this program into a repository of its own
// user, who does everything here, as people do it.
type recovery struct {
	t    *testing.T
	pg   *testenv.PostgresServer
	box  string // directory of that user
	self string
	as   *syscall.Credential
	port int // of the restored server
}

func newRecovery(t *testing.T) *recovery {
	t.Helper()
	box, err := os.MkdirTemp("", "recovery")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(box) })
	r := &recovery{t: t, box: box, self: filepath.Join(box, "pgbackup-runner")}
	program, err := exec.LookPath("pgbackup-runner")
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(program)
	if err == nil {
		err = os.WriteFile(r.self, binary, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Fatalf("%v: make the user: useradd --system postgres", err)
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if err := errors.Join(uidErr, gidErr, os.Chown(box, uid, gid)); err != nil {
			t.Fatal(err)
		}
		r.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.port = l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	r.pg = testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{
		"archive_mode": "on", "full_page_writes": "on", "port": strconv.Itoa(r.port), "unix_socket_directories": "'" + box + "'",
		"archive_command": fmt.Sprintf("'%s wal push %%p --repository file://%s/repo --source db1 --spool %s/spool --quiet'", r.self, box, box),
	}})
	return r
}

// run runs the program as the server's user.
func (r *recovery) run(code int, args ...string) string {
	r.t.Helper()
	cmd := exec.Command(r.self, append(args, "--repository", "file://"+r.box+"/repo", "--log-level", "warn", "--log-format", "text")...)
	cmd.Dir, cmd.SysProcAttr = r.box, &syscall.SysProcAttr{Credential: r.as}
	cmd.Env = append(os.Environ(), "HOME="+r.box)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		r.t.Fatalf("%s: exit code %d, not %d: %s", strings.Join(args, " "), got, code, out.String())
	}
	return out.String()
}

// says is run of what has to say something.
func (r *recovery) says(code int, want string, args ...string) string {
	r.t.Helper()
	out := r.run(code, args...)
	if !strings.Contains(out, want) {
		r.t.Errorf("%s does not say %q: %s", strings.Join(args, " "), want, out)
	}
	return out
}

func (r *recovery) ask(port int, sql string) string {
	r.t.Helper()
	config, err := pgx.ParseConfig(r.pg.URL("postgres"))
	if err != nil {
		r.t.Fatal(err)
	}
	config.Port = uint16(port)
	conn, err := pgx.ConnectConfig(r.t.Context(), config)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close(r.t.Context())
	var got string
	if err := conn.QueryRow(r.t.Context(), sql).Scan(&got); err != nil {
		r.t.Fatalf("%s: %v", sql, err)
	}
	return got
}

func (r *recovery) stop(dir string) {
	r.t.Helper()
	if out, err := r.pg.Command(context.Background(), "pg_ctl", "stop", "-m", "fast", "-D", dir).CombinedOutput(); err != nil {
		r.t.Errorf("%v: %s", err, out)
	}
}

// The whole way of X4: archive, base backup, accident, recovery to the second before.
func TestAServerIsBroughtBackToTheSecondBeforeTheAccident(t *testing.T) {
	t.Parallel()
	r := newRecovery(t)
	r.run(0, "init")
	r.pg.Exec(t, "postgres", "CREATE TABLE ledger (id int)", "INSERT INTO ledger VALUES (1)")
	r.run(0, "backup", "--kind", "physical", "--source", "db1", "--database", r.pg.URL("postgres"))
	r.pg.Exec(t, "postgres", "INSERT INTO ledger VALUES (2)")
	time.Sleep(50 * time.Millisecond)
	before := r.ask(r.pg.Port, `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`)
	time.Sleep(50 * time.Millisecond)
	r.pg.Exec(t, "postgres", "DROP TABLE ledger", "CREATE TABLE after (id int)", "SELECT pg_switch_wal()")
	for deadline := time.Now().Add(time.Minute); r.ask(r.pg.Port, "SELECT (count(*) = 0)::text FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'") != "true"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the server does not archive: " + r.pg.Log())
		}
	}
	to := filepath.Join(r.box, "data")
	aim := []string{"restore", "--target-time", before, "--to-directory", to}

	// What can not be is said at once, and the reachable window with it.
	r.says(4, "Recoverable on timeline 00000001: ", "restore", "latest", "--target-time", "2020-01-01", "--to-directory", to)
	r.says(4, "not in the archived WAL", "restore", "--target-name", "nowhere", "--kind", "physical", "--to-directory", to)
	r.says(4, "has no recovery points", "restore", "latest", "--kind", "physical", "--source", "nobody", "--to-directory", to)
	for _, usage := range [][]string{
		{"restore", "--to-directory", to},
		{"restore", "latest", "--target-time", "soon", "--to-directory", to},
		{"restore", "latest", "--target-time", before, "--target-lsn", "0/3000000", "--to-directory", to},
		{"restore", "latest", "--target-lsn", "nonsense", "--to-directory", to},
		{"restore", "latest", "--target-xid", "1", "--to-directory", to},
		{"restore", "latest", "--target", "immediately", "--to-directory", to},
		{"restore", "latest", "--target", "immediate", "--target-exclusive", "--to-directory", to},
		{"restore", "latest", "--target-timeline", "x", "--to-directory", to},
		{"restore", "latest", "--target-action", "dance", "--to-directory", to},
		{"restore", "latest", "--archive-mode", "maybe", "--to-directory", to},
		{"restore", "latest", "--target-time", before, "--port", "70000", "--to-directory", to},
		{"restore", "latest", "--kind", "files", "--port", "5433", "--to-directory", to},
		{"restore", "latest", "--tablespace-map", "/a=b", "--to-directory", to},
		{"restore", "latest", "--tablespace-map", "/nowhere=/tmp/x", "--to-directory", to},
		{"restore", "latest", "--target-time", before, "--to-database", "x"},
		{"restore", "latest", "--target-time", before, "--kind", "files", "--to-directory", to},
		{"restore", "./file.sql", "--target-time", before, "--to-directory", to},
		{"restore", before, "--kind", "physical", "--to-directory", to},
		{"restore", "latest", "--kind", "physical", "--overwrite", "--to-directory", to},
		{"restore", "latest", "--kind", "physical", "--to-directory", r.pg.DataDir},
		{"restore", "latest", "--kind", "physical", "--delta", "--to-directory", r.pg.DataDir},
	} {
		r.run(2, usage...)
	}
	if _, err := os.Stat(to); err == nil {
		t.Fatal("something was made")
	}

	// Production takes an approval, and that is written down.
	policy := filepath.Join(r.box, "production.json")
	if err := os.WriteFile(policy, []byte(`{"format": 1, "name": "prod", "environment": "production", "retention": {"keep_last": 10}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	code := approval.Code(time.Now())
	r.says(2, "production needs an approval", append(aim, "--policy", policy)...)
	out := r.says(0, " 1. take the approval, since the environment is production: --approval "+code+", which is not given yet", append(aim, "--policy", policy, "--dry-run")...)
	for _, step := range []string{" 2. write to the audit log", "take base backup ", "make directory " + to, "fetch ", "wal fetch --repository file://" + r.box + "/repo --source db1", "recovery_target_time = '", "pg_control last", "Size: "} {
		if !strings.Contains(out, step) {
			t.Errorf("the plan has no %q: %s", step, out)
		}
	}
	var plan struct {
		Files, Bytes int64
		Fetch        int64 `json:"fetch_bytes"`
		Steps        []physical.Step
		Approval     struct{ Needed string }
	}
	text := r.run(0, append(aim, "--policy", policy, "--dry-run", "--json")...)
	if err := json.Unmarshal([]byte(text[max(strings.Index(text, "{"), 0):]), &plan); err != nil || plan.Bytes == 0 || plan.Fetch != plan.Bytes || plan.Approval.Needed != code {
		t.Errorf("%v: %s", err, text)
	}

	r.says(0, "the server is promoted", append(aim, "--policy", policy, "--approval", code, "--start", "--archive-mode", "off", "--before-hook", "echo $PGBACKUP_DIRECTORY $PGBACKUP_KIND > hooked")...)
	t.Cleanup(func() { r.stop(to) })
	if got := r.ask(r.port, "SELECT string_agg(id::text, ' ' ORDER BY id) || ' ' || (to_regclass('after') IS NULL)::text FROM ledger"); got != "1 2 true" {
		t.Errorf("the ledger has %s", got)
	}
	if hooked, err := os.ReadFile(filepath.Join(r.box, "hooked")); err != nil || string(hooked) != to+" physical\n" {
		t.Errorf("%q %v", hooked, err)
	}
	r.says(0, code, "audit")
	r.says(0, ":"+to, "audit")
	r.says(2, "has a server running on it", append(aim, "--delta")...)

	// Beside it a copy needs a port of its own.
	beside := []string{"restore", "latest", "--target-time", before, "--to-directory", filepath.Join(r.box, "copy"), "--archive-mode", "off", "--start", "--dry-run"}
	r.says(2, "(--port)", beside...)
	r.says(0, "port = '1025'", append(beside, "--port", "1025")...)

	// A gap: what is behind it is there and cannot be reached.
	var segments []string
	for range 3 {
		segments = append(segments, r.ask(r.pg.Port, "SELECT pg_walfile_name(pg_current_wal_lsn())"))
		r.pg.Exec(t, "postgres", "INSERT INTO after VALUES (1)", "SELECT pg_switch_wal()")
	}
	var lost, behind []string
	for deadline := time.Now().Add(time.Minute); len(behind) == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the server does not archive: " + r.pg.Log())
		}
		lost, _ = filepath.Glob(r.box + "/repo/wal/*/*/" + segments[1] + "*")
		behind, _ = filepath.Glob(r.box + "/repo/wal/*/*/" + segments[2] + "*")
	}
	for _, name := range lost {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	r.says(3, "this is NOT the newest that was archived: WAL is missing from ", "restore", "latest", "--kind", "physical", "--to-directory", filepath.Join(r.box, "latest"), "--dry-run")
	r.says(3, "this is NOT the newest that was archived: WAL is missing from ", "restore", "latest", "--kind", "physical", "--to-directory", filepath.Join(r.box, "latest"))

	// A backup that is damaged is no usage and no failure of the network.
	objects, err := filepath.Glob(r.box + "/repo/points/db1/physical/*/archive.0000")
	if err != nil || len(objects) != 1 {
		t.Fatal(objects, err)
	}
	data, err := os.ReadFile(objects[0])
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(objects[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
	r.says(6, "repeating it goes on", "restore", "latest", "--target", "immediate", "--to-directory", filepath.Join(r.box, "other"))
}
