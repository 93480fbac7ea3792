package swap

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

const (
	// attemptLimit bounds one try. Each of two renames waits up to 5 seconds for a
	// lock and then 5 for sessions to end.
	attemptLimit = 40 * time.Second
	// asking is how long the server is asked what became of a commit.
	asking = time.Minute
)

// exchanged is what the swap did.
type exchanged struct {
	old      string
	ended    int
	away     time.Duration
	warnings []string
}

// exchange puts beside in the target's place, and tries again while somebody is in
// the way.
func (s *server) exchange(ctx context.Context, before database, beside string) (exchanged, error) {
	var done exchanged
	failed := func(err error) (exchanged, error) {
		return done, fmt.Errorf("put the restored database in the place of %s: %w", s.Target.Database, err)
	}
	var besideOID uint32
	for end, pause := time.Now().Add(s.Patience), 100*time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := ctx.Err()
		if err == nil && besideOID == 0 {
			besideOID, err = s.oid(ctx, beside)
		}
		if err == nil {
			err = s.hold(ctx)
		}
		if err == nil {
			err = s.attempt(ctx, before, beside, besideOID, &done)
		}
		if err == nil {
			return done, nil
		}
		if ctx.Err() != nil {
			return failed(context.Cause(ctx))
		}
		if !again(err) || time.Now().After(end) {
			return failed(err)
		}
		s.Log.Info("the databases could not be exchanged yet, trying again", "database", s.Target.Database, "because", err)
		if err := sleep(ctx, pause); err != nil {
			return failed(err)
		}
	}
}

// again tells errors that a moment may heal from those that stay.
func again(err error) bool {
	switch code(err) {
	case "55006", "55P03", "40P01", "42P04": // in use, not locked in time, deadlock; the old one's name is just taken
		return true
	case "57P01", "57P02", "57P03", "53300": // the server restarts, or is full
		return true
	case "XX000":
		return strings.Contains(err.Error(), "concurrently updated")
	case "":
		// The connection broke, and the server was found to have exchanged nothing; or
		// something came up in the database that can be ended.
		return !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrBusy) && !errors.Is(err, errMoved) &&
			!errors.Is(err, postgres.ErrBadPassword) && !errors.Is(err, postgres.ErrNoHBAEntry)
	}
	return false
}

// errMoved: what was examined hours ago is not what is there now.
var errMoved = errors.New("somebody else created, renamed or dropped it meanwhile")

func (s *server) oid(ctx context.Context, name string) (uint32, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return 0, err
	}
	defer postgres.CloseSoon(conn)
	var oid uint32
	err = conn.QueryRow(ctx, "SELECT oid FROM pg_catalog.pg_database WHERE datname = $1", name).Scan(&oid)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, fmt.Errorf("database %s: %w", name, errMoved)
	}
	return oid, err
}

// attempt is one try, which an interruption does not cut into: it is short, and
// then it is known how it ended.
func (s *server) attempt(parent context.Context, before database, beside string, besideOID uint32, done *exchanged) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(parent), attemptLimit)
	defer cancel()
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer postgres.CloseSoon(conn)
	now, problems, err := s.problems(ctx, conn)
	switch {
	case err != nil:
		return err
	case now.exists != before.exists || now.oid != before.oid:
		return fmt.Errorf("database %s: %w", s.Target.Database, errMoved)
	case len(problems) > 0:
		return fmt.Errorf("%w: %s", ErrRefused, strings.Join(problems, "; "))
	}
	old := ""
	if before.exists {
		if old, err = s.freeName(ctx, conn); err != nil {
			return err
		}
	}
	begun := time.Now()
	err = s.rename(ctx, conn, before, beside, besideOID, old, done)
	if err != nil && conn.IsClosed() {
		err = s.settle(parent, besideOID, err)
	}
	if err == nil {
		done.old, done.away = old, time.Since(begun)
	}
	return err
}

// freeName is a name for the old database that nobody has.
func (s *server) freeName(ctx context.Context, conn *pgx.Conn) (string, error) {
	at := s.Now()
	for n := 1; ; n++ {
		name, taken := oldName(s.Target.Database, at, n), false
		if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = $1)", name).Scan(&taken); err != nil || !taken {
			return name, err
		}
	}
}

// rename is the swap: both renames, or none. Renaming takes a lock on the database
// that makes everybody who connects wait, and then waits itself for the sessions
// that are in it. So they are ended while it waits: whoever reconnects comes too
// late.
func (s *server) rename(ctx context.Context, conn *pgx.Conn, before database, beside string, besideOID uint32, old string, done *exchanged) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }() // after a commit it does nothing
	if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '5s'"); err != nil {
		return err
	}
	ending := s.endSessions(ctx, before.oid, besideOID)
	defer ending.stop()
	if before.exists {
		if _, err := tx.Exec(ctx, "ALTER DATABASE "+quote(s.Target.Database)+" RENAME TO "+quote(old)); err != nil {
			return ending.explain(err)
		}
	}
	if _, err := tx.Exec(ctx, "ALTER DATABASE "+quote(beside)+" RENAME TO "+quote(s.Target.Database)); err != nil {
		return ending.explain(err)
	}
	// From the commit on, sessions in there are of those who should be.
	done.ended += ending.stop()
	return tx.Commit(ctx)
}

// settle finds out what became of a commit whose connection broke.
func (s *server) settle(parent context.Context, besideOID uint32, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(parent), asking)
	defer cancel()
	for {
		conn, err := s.connect(ctx)
		if err == nil {
			var name string
			err = conn.QueryRow(ctx, "SELECT datname::text FROM pg_catalog.pg_database WHERE oid = $1", besideOID).Scan(&name)
			postgres.CloseSoon(conn)
			switch {
			case err == nil && name == s.Target.Database:
				s.Log.Info("the connection broke at the commit, and the server says that the databases were exchanged", "database", name, "error", cause)
				return nil
			case err == nil:
				return cause
			}
		}
		if sleep(ctx, 500*time.Millisecond) != nil {
			return fmt.Errorf("%w: database %s is the old one or the new one, and whole; \\l in psql shows it: when there is one named %s…, it is the new: %w; %w",
				ErrUnknown, s.Target.Database, withSuffix(s.Target.Database, "_before_"), cause, err)
		}
	}
}

// ending ends sessions until it is stopped.
type ending struct {
	cancel context.CancelFunc
	done   chan struct{}
	// what follows is of the goroutine until done is closed
	ended  int
	beyond map[string]error // by role: why its sessions could not be ended
	err    error
}

// endSessions begins to end every session in some databases.
func (s *server) endSessions(ctx context.Context, oids ...uint32) *ending {
	ctx, cancel := context.WithCancel(ctx)
	e := &ending{cancel: cancel, done: make(chan struct{}), beyond: map[string]error{}}
	go func() {
		defer close(e.done)
		if err := e.run(ctx, s, oids); err != nil && ctx.Err() == nil {
			e.err = err
		}
	}()
	return e
}

func (e *ending) run(ctx context.Context, s *server, oids []uint32) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer postgres.CloseSoon(conn)
	seen := map[int32]bool{}
	for {
		// Workers of autovacuum, which have no user, give way by themselves.
		rows, err := conn.Query(ctx, `SELECT pid, coalesce(usename::text, '') FROM pg_catalog.pg_stat_activity
			WHERE datid = ANY ($1) AND usesysid IS NOT NULL AND pid <> pg_catalog.pg_backend_pid()`, oids)
		if err != nil {
			return err
		}
		type session struct {
			PID  int32
			User string
		}
		all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[session])
		if err != nil {
			return err
		}
		for _, a := range all {
			_, err := conn.Exec(ctx, "SELECT pg_catalog.pg_terminate_backend($1)", a.PID)
			switch {
			case err != nil && code(err) == "":
				return err
			case err != nil:
				e.beyond[a.User] = err
			case !seen[a.PID]:
				seen[a.PID] = true
				e.ended++
			}
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// stop ends the ending and waits for it. It may be called again.
func (e *ending) stop() int {
	e.cancel()
	<-e.done
	return e.ended
}

// explain adds to a rename's error whose sessions could not be ended.
func (e *ending) explain(err error) error {
	e.stop()
	var whose []string
	for user, why := range e.beyond {
		whose = append(whose, fmt.Sprintf("sessions of %s could not be ended: %v", user, why))
	}
	sort.Strings(whose)
	switch {
	case len(whose) > 0:
		return fmt.Errorf("%w; %s", err, strings.Join(whose, "; "))
	case e.err != nil:
		return fmt.Errorf("%w; sessions could not be ended: %w", err, e.err)
	}
	return err
}
