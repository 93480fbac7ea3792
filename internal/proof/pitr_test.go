package proof

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// targets is how many moments are recovered to; PGBACKUP_TARGETS=50 asks for more.
const targets = 8

// protected is a server whose log goes into a repository, and all that is needed to
// recover it elsewhere on this machine.
type protected struct {
	t      *testing.T
	pg     *testenv.PostgresServer
	dir    string // of the server's user
	runner string
	repo   string // URL
}

// protect starts a server that archives with the runner itself.
func protect(t *testing.T) *protected {
	t.Helper()
	dir, err := os.MkdirTemp("", "pitr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &protected{t: t, dir: dir, runner: filepath.Join(dir, "pgbackup-runner"), repo: "file://" + filepath.Join(dir, "repository")}
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "lambda.norpc", "-o", p.runner, "../../runner")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the runner: %v: %s", err, out)
	}
	p.pg = testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{
		"wal_level": "replica", "max_wal_senders": "4", "archive_mode": "on", "fsync": "off",
		"archive_command": fmt.Sprintf("'%s wal push %%p --repository %s --source db1 --spool %s/spool --quiet'", p.runner, p.repo, dir),
	}})
	if err := p.pg.Give(dir); err != nil {
		t.Fatal(err)
	}
	p.run("init", "--repository", p.repo)
	return p
}

// run runs the runner as the server's user and returns what it printed.
func (p *protected) run(args ...string) string {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), p.runner, args...)
	cmd.Env = append(os.Environ(), "HOME="+p.dir, "PATH="+p.pg.Bin+":"+os.Getenv("PATH"))
	p.pg.RunAsOwner(cmd)
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("pgbackup-runner %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// archived waits until all that was written by now is in the repository.
func (p *protected) archived() {
	p.t.Helper()
	conn := p.pg.Connect(p.t, "postgres")
	var segment string
	if err := conn.QueryRow(p.t.Context(), "SELECT pg_walfile_name(pg_switch_wal())").Scan(&segment); err != nil {
		p.t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		var done bool
		if err := conn.QueryRow(p.t.Context(), "SELECT coalesce(last_archived_wal >= $1, false) FROM pg_stat_archiver", segment).Scan(&done); err != nil {
			p.t.Fatal(err)
		}
		if done {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s was not archived: %s", segment, p.pg.Log())
		}
	}
}

// recovered restores to a target, starts a server there until it pauses, and returns
// the transactions it has.
func (p *protected) recovered(ctx context.Context, name string, target ...string) (map[int64]bool, error) {
	data, space, socket := filepath.Join(p.dir, name), filepath.Join(p.dir, name+"-space"), filepath.Join(p.dir, name+"-s")
	defer func() {
		for _, dir := range []string{data, space, socket} {
			_ = os.RemoveAll(dir)
		}
	}()
	if err := os.Mkdir(socket, 0o700); err != nil {
		return nil, err
	}
	if err := p.pg.Give(socket); err != nil {
		return nil, err
	}
	var location string
	if err := p.pg.Connect(p.t, "postgres").QueryRow(ctx, "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'fast'").Scan(&location); err != nil {
		return nil, err
	}
	p.run(append([]string{"restore", "latest", "--kind", "physical", "--source", "db1", "--repository", p.repo, "--to-directory", data,
		"--tablespace-map", location + "=" + space, "--target-action", "pause", "--archive-mode", "off", "--quiet"}, target...)...)
	log := filepath.Join(socket, "log")
	start := p.pg.Command(ctx, "pg_ctl", "-D", data, "-l", log, "-w", "-t", "60", "-o", fmt.Sprintf("-p 5432 -k %s -c listen_addresses= -c fsync=off", socket), "start")
	if out, err := start.CombinedOutput(); err != nil {
		text, _ := os.ReadFile(log)
		return nil, fmt.Errorf("start the recovered server: %w: %s%s", err, out, text)
	}
	defer func() {
		if out, err := p.pg.Command(context.Background(), "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop").CombinedOutput(); err != nil {
			p.t.Errorf("stop the recovered server: %v: %s", err, out)
		}
	}()
	url := fmt.Sprintf("postgres://%s:%s@/shop?host=%s&port=5432", p.pg.User, p.pg.Password, socket)
	if err := paused(ctx, url); err != nil {
		text, _ := os.ReadFile(log)
		return nil, fmt.Errorf("%w: %s", err, text)
	}
	return present(ctx, url)
}

// paused waits until recovery stands at its target.
func paused(ctx context.Context, url string) error {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			continue
		}
		var state string
		err = conn.QueryRow(ctx, "SELECT pg_get_wal_replay_pause_state()").Scan(&state)
		_ = conn.Close(ctx)
		if err != nil {
			return err
		}
		if state == "paused" {
			return nil
		}
	}
	return fmt.Errorf("recovery did not come to its target in a minute")
}

// Proof of X4: whatever moment or position a server is recovered to, nothing that was
// committed before it is missing and nothing that was committed after it is there.
func TestARecoveredServerHasWhatWasCommittedBeforeTheTargetAndNothingElse(t *testing.T) {
	t.Parallel()
	p := protect(t)
	space := filepath.Join(p.dir, "space")
	if err := os.Mkdir(space, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := p.pg.Give(space); err != nil {
		t.Fatal(err)
	}
	p.pg.CreateDatabase(t, "shop")
	p.pg.Exec(t, "shop", "CREATE TABLESPACE fast LOCATION '"+space+"'", strings.Replace(ledgerSQL, "PRIMARY KEY", "PRIMARY KEY USING INDEX TABLESPACE fast", 1)+" TABLESPACE fast")
	books := &ledger{t: t, pg: p.pg}
	books.write(3)
	p.run("backup", "--kind", "physical", "--source", "db1", "--repository", p.repo, "--database", p.pg.URL("postgres"), "--quiet")
	based := time.Now()
	for range 8 {
		time.Sleep(400 * time.Millisecond)
		p.pg.Exec(t, "postgres", "SELECT pg_switch_wal()")
	}
	named := time.Now()
	var at string
	if err := p.pg.Connect(t, "postgres").QueryRow(t.Context(), "SELECT pg_create_restore_point('release')::text").Scan(&at); err != nil {
		t.Fatal(err)
	}
	release, err := pgwal.ParseLSN(at)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(400 * time.Millisecond)
	done := books.end()
	p.archived()
	if len(done) < 200 {
		t.Fatalf("only %d transactions were committed", len(done))
	}

	seed := rand.Uint64()
	t.Logf("seed %d, %d transactions", seed, len(done))
	random := rand.New(rand.NewPCG(seed, 0))
	type aim struct {
		name          string
		flags         []string
		before, after func(transaction) bool
	}
	last := done[0]
	for _, tx := range done {
		if tx.acked.After(last.acked) {
			last = tx
		}
	}
	aims := []aim{{"name", []string{"--target-name", "release"},
		func(tx transaction) bool { return tx.to < release && tx.acked.Before(named) }, func(tx transaction) bool { return tx.from > release }}}
	for n := range number(t, "PGBACKUP_TARGETS", targets) {
		if n%2 == 0 {
			moment := based.Add(time.Duration(random.Int64N(int64(last.asked.Sub(based)))))
			aims = append(aims, aim{fmt.Sprintf("time%d", n), []string{"--target-time", moment.UTC().Format("2006-01-02T15:04:05.000000Z07:00")},
				func(tx transaction) bool { return tx.acked.Before(moment.Truncate(time.Microsecond)) }, func(tx transaction) bool { return tx.asked.After(moment) }})
			continue
		}
		tx := done[random.IntN(len(done))]
		for tx.asked.Before(based) {
			tx = done[random.IntN(len(done))]
		}
		// Exclusive: the record that begins at the position is no longer replayed.
		aims = append(aims, aim{fmt.Sprintf("lsn%d", n), []string{"--target-lsn", tx.to.String(), "--target-exclusive"},
			func(other transaction) bool { return other.to <= tx.to }, func(other transaction) bool { return other.from > tx.to }})
	}
	err = parallel.Each(t.Context(), 2, len(aims), func(ctx context.Context, i int) error {
		a := aims[i]
		there, err := p.recovered(ctx, a.name, a.flags...)
		if err != nil {
			return fmt.Errorf("%s %v: %w", a.name, a.flags, err)
		}
		missed, early := compare(done, there, a.before, a.after)
		t.Logf("%s %v: %d of %d transactions", a.name, a.flags, len(there), len(done))
		if len(missed)+len(early) > 0 {
			t.Errorf("%s %v: %d transactions from before are missing (%v), %d from after are there (%v)", a.name, a.flags, len(missed), first(missed), len(early), first(early))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func first(list []transaction) []transaction { return list[:min(len(list), 3)] }

// number reads how often something is done from the environment.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s=%s: give a number", name, text)
	}
	return n
}
