package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// continuous is a server whose WAL is put into the repository by the program.
type continuous struct {
	*place
	pg     *testenv.PostgresServer
	outbox string
}

func newContinuous(t *testing.T) *continuous {
	t.Helper()
	outbox, err := os.MkdirTemp("", "outbox")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(outbox) })
	if err := os.Chmod(outbox, 0o777); err != nil {
		t.Fatal(err)
	}
	c := &continuous{place: directory(t), outbox: outbox}
	c.pg = testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{
		"archive_mode": "on", "archive_command": "'cp %p " + outbox + "/%f.new && mv " + outbox + "/%f.new " + outbox + "/%f'", "archive_timeout": "60",
	}})
	c.pg.Exec(t, "postgres", "CREATE ROLE backup LOGIN PASSWORD 'secret'", "CREATE TABLE ledger AS SELECT n FROM generate_series(1, 1000) n")
	c.env = append(c.env, "BACKUP_PASSWORD=secret")
	return c
}

func (c *continuous) server() job.Server {
	return job.Server{Host: c.pg.Host, Port: c.pg.Port, User: "backup", PasswordRef: ref(c.t, "env:BACKUP_PASSWORD"), SSLMode: "disable"}
}

// file writes a job file.
func (c *continuous) file(j job.Job) string {
	c.t.Helper()
	j.Format, j.Repository = job.Format, c.url
	data, err := j.Encode()
	if err != nil {
		c.t.Fatal(err)
	}
	name := filepath.Join(c.t.TempDir(), j.Name+".job.json")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		c.t.Fatal(err)
	}
	return name
}

// push stores what the server archived.
func (c *continuous) push(jobFile string) {
	entries, err := os.ReadDir(c.outbox)
	if err != nil {
		c.t.Error(err)
	}
	for _, e := range entries {
		if kind, _ := pgwal.KindOfFile(e.Name()); kind == pgwal.NoFile {
			continue
		}
		path := filepath.Join(c.outbox, e.Name())
		if e := c.run(nil, "wal", "push", "--job", jobFile, "--data-directory", c.pg.DataDir, path); e.code != 0 {
			c.t.Errorf("wal push %s: %s", path, e)
		}
		if err := os.Remove(path); err != nil {
			c.t.Error(err)
		}
	}
}

// pushing stores what the server archives until it is stopped.
func (c *continuous) pushing(jobFile string) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c.push(jobFile)
			select {
			case <-end:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return func() { close(end); <-ended }
}

// archived ends the segment and waits until it is in the repository.
func (c *continuous) archived() {
	c.t.Helper()
	var system, name string
	if err := c.pg.Connect(c.t, "postgres").QueryRow(c.t.Context(), "SELECT system_identifier::text, pg_walfile_name(pg_switch_wal()) FROM pg_control_system()").Scan(&system, &name); err != nil {
		c.t.Fatal(err)
	}
	for begun := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		in, err := c.repo.OpenWAL(c.t.Context(), repo.WALArchive{Source: "db1", System: system}, name)
		if err == nil {
			_ = in.Close()
			return
		}
		if time.Since(begun) > 30*time.Second {
			c.t.Fatal(err)
		}
	}
}

// objective is a policy file that promises to lose no more than that.
func (c *continuous) objective(rpo string) string {
	c.t.Helper()
	name := filepath.Join(c.t.TempDir(), "policy.json")
	if err := os.WriteFile(name, []byte(`{"format":1,"name":"prod","objectives":{"rpo":"`+rpo+`"},"retention":{"keep_last":1,"wal":"7d"}}`), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return name
}

// finding is what doctor says of a check, with its worst result.
func (c *continuous) finding(e ended, check string) (result, text string) {
	c.t.Helper()
	for _, f := range e.document(c.t)["checks"].([]any) {
		f := f.(map[string]any)
		if f["check"] != check {
			continue
		}
		if r := f["result"].(string); result == "" || r == "fail" || r == "warn" && result == "ok" {
			result = r
		}
		text += fmt.Sprint(f["detail"], " ", f["fix"], "\n")
	}
	return result, text
}

func (c *continuous) finds(jobFile string, code int, want map[string]string) {
	c.t.Helper()
	e := c.run(nil, "doctor", "--job", jobFile, "--json")
	if e.code != code {
		c.t.Errorf("exit code %d instead of %d: %s", e.code, code, e)
	}
	for check, says := range want {
		wanted, says, _ := strings.Cut(says, ": ")
		result, text := c.finding(e, check)
		if result != wanted || !strings.Contains(text, says) {
			c.t.Errorf("%s: want %s with %q, got %s with %s", check, wanted, says, result, text)
		}
	}
}

func TestDoctorAndDrillOfAServerThatIsBackedUpWhole(t *testing.T) {
	t.Parallel()
	c := newContinuous(t)
	base := c.file(job.Job{Name: "base", Kind: job.KindPhysical, Source: "db1", Physical: &job.Physical{Server: c.server()}})
	push := c.file(job.Job{Name: "push", Kind: job.KindWAL, Source: "db1", WAL: &job.WAL{Mode: job.WALPush, Server: c.server(), Spool: filepath.Join(t.TempDir(), "spool")}})

	c.finds(base, 1, map[string]string{"replication": "fail: ALTER ROLE \"backup\" REPLICATION;", "settings": "ok: wal_level = replica", "clock": "ok: ", "archive": "fail: set up `wal push`"})
	c.pg.Exec(t, "postgres", "ALTER ROLE backup REPLICATION")
	c.finds(base, 1, map[string]string{"replication": "ok: may replicate", "senders": "ok: of 10 WAL senders", "archive": "fail: SELECT pg_switch_wal()"})
	first := c.run(nil, "doctor", "--job", push, "--json")
	if result, text := c.finding(first, "archive"); result != "warn" || !strings.Contains(text, "nothing is archived yet of db1 (system ") || !strings.Contains(text, "when the server first calls archive_command") || strings.Contains(text, "set up") {
		t.Errorf("before the first run of a push: %s %s", result, text)
	}
	c.pg.Exec(t, "postgres", "SELECT pg_switch_wal()")
	stop := c.pushing(push)
	defer func() { stop() }()
	for begun := time.Now(); c.run(nil, "doctor", "--job", base).code != 0; time.Sleep(200 * time.Millisecond) {
		if time.Since(begun) > 20*time.Second {
			c.finds(base, 0, nil)
			t.FailNow()
		}
	}
	c.finds(base, 0, map[string]string{"archive": "ok: the newest came", "physical": "ok: its log archived as db1 (system "})

	whole := c.run(nil, "doctor", "--job", base, "--json")
	if _, text := c.finding(whole, "physical"); strings.Contains(text, ", <nil>") {
		t.Errorf("half a sentence: %q", text)
	}
	if e := c.run(nil, "backup", "--job", base, "--dry-run"); e.code != 0 || !strings.Contains(e.out, "), to file://") {
		t.Error(e)
	}

	if e := c.run(nil, "backup", "--job", base); e.code != 0 {
		t.Fatal(e)
	}
	c.pg.Exec(t, "postgres", "INSERT INTO ledger VALUES (1001)", "SELECT pg_switch_wal()", "INSERT INTO ledger VALUES (1002)")
	c.archived()
	e := c.run(nil, "drill", "latest", "--kind", "physical", "--repository", c.url, "--source", "db1", "--check", "rows=select count(*) from ledger", "--expect", "rows=1002", "--json")
	if e.code != 0 {
		t.Fatal(e)
	}
	report := e.document(t)["reports"].([]any)[0].(map[string]any)
	if rec := report["recovery"].(map[string]any); rec["achieved_by"] != "commit" || report["rpo"].(map[string]any)["seconds"].(float64) <= 0 {
		t.Errorf("%v", report)
	}
	c.pg.Exec(t, "postgres", "INSERT INTO ledger VALUES (1003)")
	c.archived()
	e = c.run(nil, "status", "--repository", c.url, "--policy", c.objective("1s"), "--json")
	source := e.document(t)["sources"].([]any)[0].(map[string]any)
	// The objective is held against the log, an age against the base backup.
	wal, ok := source["wal"].(map[string]any)
	if !ok || wal["age_seconds"].(float64) >= source["age_seconds"].(float64) || source["fresh"] != (wal["age_seconds"].(float64) <= 1) {
		t.Errorf("%s", e)
	}
	if e := c.run(nil, "status", "--repository", c.url); e.code != 0 || !strings.Contains(e.out, ", WAL ") {
		t.Error(e)
	}
	if e := c.run(nil, "status", "--repository", c.url, "--max-age", "1s"); e.code != 1 || !strings.Contains(e.stderr, "db1 (physical, ") {
		t.Error(e)
	}
	drill := c.file(job.Job{Name: "weekly", Kind: job.KindDrill, Drill: &job.Drill{Kind: "physical", Of: []string{"db1"}, AmCheck: true, Into: job.DrillInto{ScratchCluster: &job.ScratchCluster{}}}})
	if e := c.run(nil, "drill", "--job", drill, "--dry-run"); e.code != 0 || !strings.Contains(e.out, "does not archive, and replays WAL") || !strings.Contains(e.out, "(random, with seed") {
		t.Error(e)
	}
	if e := c.run(nil, "drill", "--job", drill); e.code != 0 || !strings.Contains(e.out, "Recovered to") || !strings.Contains(e.out, "pg_amcheck: passed") {
		t.Error(e)
	}
	if e := c.run(nil, "drills", "weekly", "--repository", c.url); e.code != 0 || !strings.Contains(e.out, "db1") {
		t.Error(e)
	}
	stop()
	stop = func() {}
	c.pg.Exec(t, "postgres", "ALTER SYSTEM SET archive_command = 'false'", "SELECT pg_reload_conf()", "INSERT INTO ledger VALUES (1004)", "SELECT pg_switch_wal()")
	for begun := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		e := c.run(nil, "doctor", "--job", push, "--json")
		if result, text := c.finding(e, "archiver"); result == "fail" && strings.Contains(text, "archive_command fails for 0000000") {
			break
		}
		if time.Since(begun) > 20*time.Second {
			t.Fatal(e)
		}
	}
	c.finds(push, 1, map[string]string{"spool": "ok: is writable", "settings": "warn: --replace-archive-command"})
}

func TestDoctorLooksAtWhatAReceiverNeeds(t *testing.T) {
	t.Parallel()
	c := newContinuous(t)
	c.pg.Exec(t, "postgres", "ALTER ROLE backup REPLICATION", "ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'", "SELECT pg_reload_conf()")
	spool := filepath.Join(t.TempDir(), "spool")
	receiver := func(change func(*job.WAL)) string {
		w := &job.WAL{Mode: job.WALReceive, Server: c.server(), Spool: spool, Slot: "receiver"}
		change(w)
		return c.file(job.Job{Name: "receive", Kind: job.KindWAL, Source: "db1", WAL: w})
	}
	c.finds(receiver(func(w *job.WAL) { w.Heartbeat = &job.Heartbeat{} }), 1, map[string]string{
		"replication": "ok: ", "slot": "ok: is not there yet", "spool": "ok: is writable", "settings": "warn: max_slot_wal_keep_size = 1024",
		"heartbeat": "fail: GRANT SELECT, INSERT, UPDATE ON pgbackup.heartbeat TO \"backup\";", "archive": "warn: that begins with the first run of this job, when the receiver first runs",
	})
	if entries, err := os.ReadDir(spool); err != nil || len(entries) > 0 {
		t.Errorf("doctor left %v in the spool, %v", entries, err)
	}
	c.pg.Exec(t, "postgres", "CREATE SCHEMA pgbackup", "CREATE TABLE pgbackup.heartbeat (source text PRIMARY KEY, at timestamptz NOT NULL, every_seconds double precision NOT NULL, runner text)",
		"GRANT USAGE ON SCHEMA pgbackup TO backup", "GRANT SELECT, INSERT, UPDATE ON pgbackup.heartbeat TO backup", "SELECT pg_create_physical_replication_slot('receiver', true)")
	c.finds(receiver(func(w *job.WAL) { w.Heartbeat = &job.Heartbeat{} }), 3, map[string]string{"heartbeat": "ok: can be written", "slot": "warn: nobody receives from receiver"})
	c.finds(receiver(func(w *job.WAL) { w.SlotLimit = 1 }), 3, map[string]string{"heartbeat": "ok: none is asked for", "slot": "warn: the server keeps"})
	if err := os.Chmod(spool, 0o777); err != nil {
		t.Fatal(err)
	}
	c.finds(receiver(func(*job.WAL) {}), 1, map[string]string{"spool": "fail: not safe"})
	c.finds(receiver(func(w *job.WAL) { w.Server.Port = 1 }), 1, map[string]string{"connection": "fail: nothing listens"})
	names := []string{}
	e := c.run(nil, "doctor", "--job", c.file(job.Job{Name: "push", Kind: job.KindWAL, WAL: &job.WAL{Mode: job.WALPush, Spool: filepath.Join(t.TempDir(), "s")}}), "--json")
	for _, f := range e.document(t)["checks"].([]any) {
		names = append(names, fmt.Sprint(f.(map[string]any)["check"]))
	}
	if e.code != 0 || !slices.Contains(names, "spool") || slices.Contains(names, "settings") {
		t.Errorf("a push whose server is not named: %s", e)
	}
}
