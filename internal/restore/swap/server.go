package swap

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// lockWait is how long another run's lock is waited for: the server needs a moment
// to notice that a killed one is gone.
const lockWait = 15 * time.Second

// server is where the target is, reached through another database of it, and the
// lock that keeps two runs from replacing the same database.
type server struct {
	Options
	at   postgres.Target
	lock *pgx.Conn // nil where none was asked for
}

// open connects, and takes the lock.
func open(ctx context.Context, o Options) (*server, error) {
	s, err := openUnlocked(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := s.takeLock(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func openUnlocked(ctx context.Context, o Options) (*server, error) {
	if err := o.Target.OneServer(); err != nil {
		return nil, fmt.Errorf("replace database %s: %w", o.Target, err)
	}
	s := &server{Options: o}
	// A database can not be renamed through itself, and everybody who replaces one
	// must meet at the same lock: so the choice depends on nothing but its name.
	others := []string{"postgres", "template1"}
	if o.Target.Database == others[0] {
		others = others[1:]
	}
	var err error
	for _, name := range others {
		s.at = o.Target.WithDatabase(name)
		var conn *pgx.Conn
		if conn, err = s.connect(ctx); err == nil {
			postgres.CloseSoon(conn)
			return s, nil
		}
		if !errors.Is(err, postgres.ErrNoDatabase) {
			break
		}
	}
	return nil, fmt.Errorf("replace database %s: it can only be renamed through another one: %w", o.Target.Database, err)
}

func (s *server) connect(ctx context.Context) (*pgx.Conn, error) { return s.at.Connect(ctx) }

func (s *server) close() {
	if s.lock != nil {
		postgres.CloseSoon(s.lock)
	}
}

// key is the number of the target's advisory lock.
func (s *server) key() int64 {
	sum := sha256.Sum256([]byte("pgbackup replaces database " + s.Target.Database))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

func (s *server) takeLock(ctx context.Context) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	var pid uint32
	if err := conn.QueryRow(ctx, "SELECT pg_catalog.pg_backend_pid()").Scan(&pid); err != nil {
		postgres.CloseSoon(conn)
		return fmt.Errorf("replace database %s: %w", s.Target.Database, err)
	}
	if pid != conn.PgConn().PID() {
		postgres.CloseSoon(conn)
		return fmt.Errorf("replace database %s: %w: a connection pooler is in between, and would keep the databases in use: connect to the server itself", s.Target.Database, postgres.ErrPooler)
	}
	for end := time.Now().Add(lockWait); ; {
		var got bool
		if err := conn.QueryRow(ctx, "SELECT pg_catalog.pg_try_advisory_lock($1)", s.key()).Scan(&got); err != nil {
			postgres.CloseSoon(conn)
			return fmt.Errorf("replace database %s: take the lock: %w", s.Target.Database, err)
		}
		if got {
			s.lock = conn
			return nil
		}
		if time.Now().After(end) {
			postgres.CloseSoon(conn)
			return fmt.Errorf("replace database %s: %w; wait until it ends, pg_stat_activity shows it as application pgbackup", s.Target.Database, ErrBusy)
		}
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			postgres.CloseSoon(conn)
			return err
		}
	}
}

// hold makes sure that the lock is still ours: filling takes hours, and the server
// may have been restarted meanwhile.
func (s *server) hold(ctx context.Context) error {
	if _, err := s.lock.Exec(ctx, "SELECT 1"); err == nil {
		return nil
	}
	postgres.CloseSoon(s.lock)
	s.lock = nil
	return s.takeLock(ctx)
}

// dropDatabase removes a database with the sessions in it.
func (s *server) dropDatabase(ctx context.Context, name string) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer postgres.CloseSoon(conn)
	_, err = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)")
	return err
}

// leftovers are databases that earlier runs began beside the target. Whoever holds
// the lock knows that those runs are dead.
func (s *server) leftovers(ctx context.Context) ([]string, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer postgres.CloseSoon(conn)
	rows, err := conn.Query(ctx, "SELECT datname::text FROM pg_catalog.pg_database WHERE NOT datistemplate ORDER BY 1")
	if err != nil {
		return nil, fmt.Errorf("list the databases of %s: %w", s.at, err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list the databases of %s: %w", s.at, err)
	}
	var left []string
	for _, name := range names {
		if isBeside(name, s.Target.Database) {
			left = append(left, name)
		}
	}
	return left, nil
}

// sweep drops leftovers. What can not be dropped is in nobody's way but the disk's.
func (s *server) sweep(ctx context.Context) (removed, warnings []string) {
	left, err := s.leftovers(ctx)
	if err != nil {
		return nil, []string{fmt.Sprintf("what earlier restores left was not looked for: %v", err)}
	}
	for _, name := range left {
		if err := s.dropDatabase(ctx, name); err != nil {
			warnings = append(warnings, fmt.Sprintf("database %s is what a restore that did not end left, and could not be dropped: %v", name, err))
			continue
		}
		s.Log.Info("dropped what a restore that did not end left", "database", name)
		removed = append(removed, name)
	}
	return removed, warnings
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// code is the SQLSTATE of a server's error, or "".
func code(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	return ""
}
