package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

const (
	kills = 100
	// longestSilence is how long a client that reconnects may get no answer: a killed
	// run's renames can wait 5 seconds for sessions in the server before they end.
	longestSilence = 12 * time.Second
)

// The database says what it is in one statement: the number of rows and their sum tell
// whether it is whole.
const (
	oldRows, newRows = 700, 1300
	whatItIs         = "SELECT (SELECT what FROM it) || ' ' || (SELECT count(*) FROM rows) || ' ' || (SELECT sum(id) FROM rows)"
	// makeItOld turns what a restore made into what was there before it.
	makeItOld = "BEGIN; UPDATE it SET what = 'old'; DELETE FROM rows WHERE id > 700; COMMIT"
)

func whole(what string, rows int) string { return fmt.Sprint(what, " ", rows, " ", rows*(rows+1)/2) }

// watcher asks a database all the time what it is.
type watcher struct {
	mu      sync.Mutex
	answers map[string]int
	last    time.Time
	silence time.Duration // the longest time without an answer
	during  error         // why there was none then
}

func (w *watcher) watch(ctx context.Context, url string) {
	for ctx.Err() == nil {
		conn, err := pgx.Connect(ctx, url)
		for err == nil {
			var what string
			if err = conn.QueryRow(ctx, whatItIs).Scan(&what); err == nil {
				w.heard(what)
				time.Sleep(10 * time.Millisecond) // leave a processor to the others
			}
		}
		if conn != nil {
			_ = conn.Close(context.Background()) // it is broken already
		}
		if ctx.Err() == nil {
			w.mu.Lock()
			w.during = err
			w.mu.Unlock()
		}
	}
}

func (w *watcher) heard(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[what]++
	if now := time.Now(); !w.last.IsZero() && now.Sub(w.last) > w.silence {
		w.silence = now.Sub(w.last)
	}
	w.last = time.Now()
}

// Proof of X1: whenever a restore with --replace is killed, the database answers, and
// is the old or the new one, and whole; and the next run clears up.
func TestARestoreKilledAtAnyMomentLeavesADatabaseThatAnswers(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", "CREATE TABLE it (what text)", "INSERT INTO it VALUES ('new')", "CREATE TABLE rows (id int PRIMARY KEY)",
		fmt.Sprintf("INSERT INTO rows SELECT generate_series(1, %d)", newRows))
	s := siege{t: t, pg: pg, repository: "file://" + t.TempDir() + "/repo"}
	s.must(s.runner(nil, "init"))
	s.must(s.runner(nil, "backup", "--database", pg.URL("app"), "--source", "app", "--no-globals"))
	pg.Exec(t, "app", makeItOld)

	ctx, stop := context.WithCancel(t.Context())
	w := &watcher{answers: map[string]int{}}
	var watching sync.WaitGroup
	watching.Go(func() { w.watch(ctx, pg.URL("app")) })

	s.finish()
	for s.killed < kills && !t.Failed() {
		s.attack()
		if s.i%20 == 0 {
			s.finish()
		}
	}
	s.finish()
	stop()
	watching.Wait()
	if out, err := s.runner(nil, "audit"); err != nil || !strings.Contains(out, "begun, not ended") || !strings.Contains(out, "the old one is app_before_") {
		t.Errorf("the audit log: %v: %s", err, out)
	}

	t.Logf("%d killed, %d of them aimed at the swap, %d after it; a run takes %s; %d answers, at most %s without one",
		s.killed, s.within, s.swapped, s.life, w.answers[whole("old", oldRows)]+w.answers[whole("new", newRows)], w.silence)
	for what := range w.answers {
		if what != whole("old", oldRows) && what != whole("new", newRows) {
			t.Errorf("the database was %s", what)
		}
	}
	if w.silence > longestSilence {
		t.Errorf("nobody got an answer for %s: %v", w.silence, w.during)
	}
	if w.answers[whole("new", newRows)] == 0 || s.within < kills/10 || s.swapped == s.killed {
		t.Errorf("the moments missed the swap: %d of %d were aimed at it, %d came after it", s.within, s.killed, s.swapped)
	}
}

// siege kills restores.
type siege struct {
	t          *testing.T
	pg         *testenv.PostgresServer
	repository string
	life       time.Duration // of a run that nobody kills, as far as is known
	i          int
	killed     int
	within     int // of those: aimed at the renaming of databases
	swapped    int // of those: too late
}

func (s *siege) must(out string, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
}

// runner runs the program; moment returns when it is to be killed, nil is never.
func (s *siege) runner(moment func(ended <-chan struct{}), args ...string) (string, error) {
	cmd := exec.Command("pgbackup-runner", append(args, "--repository", s.repository, "--log-level", "warn")...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return "", err
	}
	ended := make(chan struct{})
	var killer sync.WaitGroup
	if moment != nil {
		killer.Go(func() {
			moment(ended)
			_ = cmd.Process.Kill() // it may have ended
		})
	}
	err := cmd.Wait()
	close(ended)
	killer.Wait()
	return out.String(), err
}

func (s *siege) restore(moment func(ended <-chan struct{})) (string, error) {
	return s.runner(moment, "restore", "latest", "--to-database", s.pg.URL("app"), "--replace", "--jobs", "2")
}

// finish lets a restore do its work, after which nothing of those before it is left.
func (s *siege) finish() {
	s.t.Helper()
	begun := time.Now()
	s.must(s.restore(nil))
	s.life = time.Since(begun)
	left := s.databases(`app\_restoring\_%`)
	// The CREATE DATABASE of a killed run may have ended after this one had looked twice.
	if len(left) > 1 {
		s.t.Errorf("after a run that nobody killed there is %s", left)
	}
	if s.olds() != 1 {
		s.t.Error("a run that nobody killed exchanged nothing")
	}
}

// attack kills one restore: at a random moment of its life, and every fourth while
// databases are renamed.
func (s *siege) attack() {
	s.t.Helper()
	s.i++
	moment := after(time.Duration(rand.Float64() * 1.05 * float64(s.life)))
	aimed := s.i%4 == 0
	if aimed {
		moment = s.renaming
	}
	out, err := s.restore(moment)
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
		s.killed++
		if aimed {
			s.within++
		}
	default:
		s.t.Fatalf("%v: %s", err, out)
	}
	if s.olds() > 0 && err != nil {
		s.swapped++
	}
}

func after(d time.Duration) func(<-chan struct{}) {
	return func(ended <-chan struct{}) {
		select {
		case <-time.After(d):
		case <-ended:
		}
	}
}

// renaming returns at a random moment of the swap.
func (s *siege) renaming(ended <-chan struct{}) {
	conn, err := pgx.Connect(s.t.Context(), s.pg.URL("postgres"))
	if err != nil {
		return
	}
	defer conn.Close(context.Background())
	for seen := false; !seen && err == nil; {
		select {
		case <-ended:
			return
		case <-time.After(5 * time.Millisecond):
		}
		err = conn.QueryRow(s.t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'ALTER DATABASE %RENAME TO%' AND pid <> pg_backend_pid())").Scan(&seen)
	}
	time.Sleep(rand.N(150 * time.Millisecond))
}

// olds looks at the databases that were replaced and drops them, and makes the new one
// what was there before.
func (s *siege) olds() int {
	s.t.Helper()
	olds := s.databases(`app\_before\_%`)
	for _, name := range olds {
		conn, err := pgx.Connect(s.t.Context(), s.pg.URL(name))
		if err != nil {
			s.t.Fatal(err)
		}
		var what string
		if err := conn.QueryRow(s.t.Context(), whatItIs).Scan(&what); err != nil || what != whole("old", oldRows) {
			s.t.Errorf("%s, which was replaced, is %s: %v", name, what, err)
		}
		_ = conn.Close(s.t.Context())
		s.pg.Exec(s.t, "postgres", "DROP DATABASE "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
	}
	if len(olds) > 0 {
		s.pg.Exec(s.t, "app", makeItOld)
	}
	return len(olds)
}

func (s *siege) databases(like string) []string {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.pg.URL("postgres"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(s.t.Context())
	rows, err := conn.Query(s.t.Context(), "SELECT datname::text FROM pg_database WHERE datname LIKE $1 ORDER BY 1", like)
	if err != nil {
		s.t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		s.t.Fatal(err)
	}
	return names
}
