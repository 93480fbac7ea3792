package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// bigTable is 60 MB of dump: pg_dump stays in its pipe while nobody reads.
func bigTable(t *testing.T, pg *testenv.PostgresServer) postgres.Target {
	t.Helper()
	pg.Exec(t, "postgres", "CREATE UNLOGGED TABLE big AS SELECT i, repeat('x', 1000) AS t FROM generate_series(1, 60000) i")
	return target(t, pg.URL("postgres"))
}

func TestAKilledPgDumpIsReportedAsKilled(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	from := bigTable(t, pg)
	p, err := postgres.Dump(t.Context(), tools(t, pg), from, postgres.DumpOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(p.Stdout, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(p.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, p.Stdout)
	err = p.Wait()
	var toolErr *postgres.ToolError
	if !errors.As(err, &toolErr) || toolErr.ExitCode != -1 {
		t.Errorf("%v", err)
	}
	wantError(t, err, nil, pg.Password, "pg_dump", "killed")
}

func TestACancelledDumpEndsSoonAndLeavesNoSession(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	from := bigTable(t, pg)
	ctx, cancel := context.WithCancelCause(t.Context())
	p, err := postgres.Dump(ctx, tools(t, pg), from, postgres.DumpOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(p.Stdout, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	begin, why := time.Now(), errors.New("no progress")
	cancel(why)
	if err := p.Wait(); !errors.Is(err, why) {
		t.Errorf("%v", err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	if err := syscall.Kill(p.Pid(), 0); err == nil {
		t.Error("pg_dump still runs")
	}
	conn := pg.Connect(t, "postgres")
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var n int
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbackup'").Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d sessions are left", n)
		}
	}
	if _, err := postgres.Dump(ctx, tools(t, pg), from, postgres.DumpOptions{}); !errors.Is(err, why) {
		t.Errorf("started in a cancelled context: %v", err)
	}
}

func TestClosingTheReadEndEndsPgDump(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	p, err := postgres.Dump(t.Context(), tools(t, pg), bigTable(t, pg), postgres.DumpOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_ = p.Stdout.Close()
	select {
	case <-p.Done():
		if err := p.Wait(); err == nil {
			t.Error("no error")
		}
	case <-time.After(20 * time.Second):
		t.Error("pg_dump hangs")
	}
}

func TestPgRestoreSaysWhatIsWrongWithAnArchive(t *testing.T) {
	t.Parallel()
	programs, err := postgres.FindTools(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := postgres.RestoreCheck(t.Context(), programs)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = p.Stdin.Write([]byte("PGDMP\x01\x63\x00\x04\x08\x01"))
	_ = p.Stdin.Close()
	wantError(t, p.Wait(), nil, "", "pg_restore failed", "unsupported version (1.99)")
}

func TestThePasswordIsInNoCommandLine(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	from := bigTable(t, pg)
	p, err := postgres.Dump(t.Context(), tools(t, pg), from, postgres.DumpOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { p.Kill(); _ = p.Wait() }()
	if _, err := io.ReadFull(p.Stdout, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	ours := false
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}
		if strings.Contains(string(b), pg.Password) {
			t.Errorf("%s: %q", f, b)
		}
		ours = ours || f == fmt.Sprintf("/proc/%d/cmdline", p.Pid()) && strings.Contains(string(b), "pg_dump")
	}
	if !ours {
		t.Error("pg_dump's own command line was not among those looked at")
	}
	for _, text := range []string{from.String(), fmt.Sprint(from), fmt.Sprintf("%+v", from), fmt.Sprintf("%#v", from)} {
		if strings.Contains(text, pg.Password) {
			t.Errorf("printed: %s", text)
		}
	}
}

// TestMain lets the test binary be the parent that is killed.
func TestMain(m *testing.M) {
	if conninfo := os.Getenv("PGBACKUP_TEST_PARENT"); conninfo != "" {
		orphan(conninfo)
		return
	}
	os.Exit(m.Run())
}

// orphan starts pg_dump, prints its process id and waits to be killed.
func orphan(conninfo string) {
	ctx := context.Background()
	from, err := postgres.ParseTarget(conninfo)
	if err != nil {
		fmt.Println(err)
		return
	}
	programs, err := postgres.FindTools(ctx, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := postgres.Dump(ctx, programs, from, postgres.DumpOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = io.ReadFull(p.Stdout, make([]byte, 1000))
	fmt.Println(p.Pid())
	time.Sleep(time.Minute)
}

func TestPgDumpDoesNotOutliveAKilledParent(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	bigTable(t, pg)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), "PGBACKUP_TEST_PARENT="+pg.URL("postgres"))
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	_ = parent.Process.Kill()
	_ = parent.Wait()
	for deadline := time.Now().Add(10 * time.Second); alive(pid); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("pg_dump %d still runs", pid)
		}
	}
}

// alive tells whether a process runs; a zombie that nobody waited for does not.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(state, "Z")
}
