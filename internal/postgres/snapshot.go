package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// SnapshotOptions of OpenSnapshot. The zero value is the usual.
type SnapshotOptions struct {
	LockTimeout time.Duration // for the locks of all tables together; 0 = 60 s
	Attempts    int           // when tables come and go meanwhile; 0 = 5
	Heartbeat   time.Duration // between looks whether the connection lives; 0 = 10 s
	Logger      *slog.Logger  // nil = silent
}

// Snapshot is an exported snapshot, all of whose tables are locked against
// TRUNCATE, DROP and ALTER. It lives until Release or until its connection dies.
type Snapshot struct {
	ID      string // for pg_dump --snapshot
	Tables  []Table
	Skipped []Skipped
	Server  Server

	mu       sync.Mutex // one use of conn at a time
	conn     *pgx.Conn
	released bool
	stop     context.CancelFunc
	beat     chan struct{} // closed when the heartbeat has ended
	lost     chan struct{}
	err      error // why, once lost is closed
}

// errChanged: the list of tables changed between listing and locking.
var errChanged = errors.New("the list of tables changed")

// OpenSnapshot checks the role's rights, locks every selected table and then
// exports a snapshot. In this order, since a TRUNCATE between the snapshot and
// pg_dump's own locks would leave a table empty in the dump with nothing to tell.
// Rights that are missing are a *RightsError, before anything is locked.
func OpenSnapshot(ctx context.Context, t Target, sel Selection, o SnapshotOptions) (*Snapshot, error) {
	if o.LockTimeout <= 0 {
		o.LockTimeout = time.Minute
	}
	if o.Attempts <= 0 {
		o.Attempts = 5
	}
	if o.Heartbeat <= 0 {
		o.Heartbeat = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := t.OneServer(); err != nil {
		return nil, fmt.Errorf("snapshot of %s: %w", t, err)
	}
	conn, err := t.Connect(ctx)
	if err != nil {
		return nil, err
	}
	s, err := openSnapshot(ctx, t, conn, sel, o)
	if err != nil {
		CloseSoon(conn)
		return nil, err
	}
	s.watch(o.Heartbeat)
	return s, nil
}

func openSnapshot(ctx context.Context, t Target, conn *pgx.Conn, sel Selection, o SnapshotOptions) (*Snapshot, error) {
	if err := refusePooler(ctx, t, conn); err != nil {
		return nil, err
	}
	problems, err := CheckRights(ctx, conn, sel)
	if err != nil {
		return nil, fmt.Errorf("snapshot of %s: %w", t, err)
	}
	if len(problems) > 0 {
		return nil, &RightsError{User: t.User, Problems: problems}
	}
	deadline := time.Now().Add(o.LockTimeout)
	for attempt := 1; ; attempt++ {
		s, err := tryOnce(ctx, conn, sel, deadline)
		if err == nil {
			return s, nil
		}
		if _, rollbackErr := conn.PgConn().Exec(ctx, "ROLLBACK").ReadAll(); rollbackErr != nil {
			return nil, fmt.Errorf("snapshot of %s: %w", t, err)
		}
		switch {
		case errors.Is(err, errChanged) && attempt < o.Attempts:
			o.Logger.InfoContext(ctx, "tables were created or dropped while being locked, starting over", "attempt", attempt)
		case errors.Is(err, errChanged):
			return nil, &reason{kind: ErrUnstable, cause: err, text: fmt.Sprintf("snapshot of %s: tables were created or dropped during each of %d attempts to lock them all; back up at a quieter moment or exclude the schema they are in", t, attempt)}
		default:
			return nil, explainLock(ctx, conn, t, err, o.LockTimeout)
		}
	}
}

// tryOnce lists, locks, exports and lists again.
func tryOnce(ctx context.Context, conn *pgx.Conn, sel Selection, deadline time.Time) (*Snapshot, error) {
	// Outside the transaction, whose first query fixes its snapshot.
	chosen, err := sel.resolve(ctx, conn)
	if err != nil {
		return nil, err
	}
	list, err := chosen.listRelations(ctx, conn)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{conn: conn}
	if s.Server, err = readServer(ctx, conn); err != nil {
		return nil, err
	}
	if _, err := conn.PgConn().Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").ReadAll(); err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	if err := lockAll(ctx, conn, list, deadline); err != nil {
		return nil, err
	}
	if err := conn.QueryRow(ctx, "SELECT pg_catalog.pg_export_snapshot()").Scan(&s.ID); err != nil {
		return nil, fmt.Errorf("export the snapshot: %w", err)
	}
	again, err := sel.resolve(ctx, conn)
	if errors.Is(err, ErrNoMatch) {
		return nil, errChanged
	}
	if err != nil {
		return nil, err
	}
	locked, err := again.listRelations(ctx, conn)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(list, locked) {
		return nil, errChanged
	}
	for _, rel := range locked {
		switch {
		case rel.kind != "r":
		case rel.unlogged && s.Server.InRecovery:
			s.Skipped = append(s.Skipped, Skipped{rel.Table, "unlogged: a standby has no data of it"})
		default:
			s.Tables = append(s.Tables, rel.Table)
		}
	}
	return s, addSizes(ctx, conn, s.Tables)
}

// lockBatch is the number of tables in one LOCK statement.
const lockBatch = 500

// lockError carries the tables of the statement that failed.
type lockError struct {
	tables []relation
	err    error
}

func (e *lockError) Error() string { return "lock tables: " + e.err.Error() }
func (e *lockError) Unwrap() error { return e.err }

func lockAll(ctx context.Context, conn *pgx.Conn, list []relation, deadline time.Time) error {
	for batch := range slices.Chunk(list, lockBatch) {
		names := make([]string, len(batch))
		for i, rel := range batch {
			names[i] = "ONLY " + rel.String()
		}
		// statement_timeout, because lock_timeout starts anew with every table.
		sql := fmt.Sprintf("SET LOCAL statement_timeout = %d; LOCK TABLE %s IN ACCESS SHARE MODE; SET LOCAL statement_timeout = 0",
			max(1, time.Until(deadline).Milliseconds()), strings.Join(names, ", "))
		if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
			switch sqlState(err) {
			case "42P01", "3F000": // dropped or renamed since the list
				return errChanged
			}
			return &lockError{tables: batch, err: err}
		}
	}
	return nil
}

// Lost is closed when the connection that holds the snapshot dies before Release.
func (s *Snapshot) Lost() <-chan struct{} { return s.lost }

// Err is why, once Lost is closed, else nil.
func (s *Snapshot) Err() error {
	select {
	case <-s.lost:
		return s.err
	default:
		return nil
	}
}

// watch asks for a sign of life until Release.
func (s *Snapshot) watch(every time.Duration) {
	ctx, stop := context.WithCancel(context.Background())
	s.stop, s.beat, s.lost = stop, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(s.beat)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if err := s.ping(3 * every); err != nil && ctx.Err() == nil {
				s.err = fmt.Errorf("the connection that holds snapshot %s was lost: %w", s.ID, err)
				close(s.lost)
				return
			}
		}
	}()
}

func (s *Snapshot) ping(limit time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	// A context of its own: Release must not cancel a query half-way.
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	_, err := s.conn.PgConn().Exec(ctx, "SELECT 1").ReadAll()
	return err
}

// Release ends the transaction and the connection. An error means that the
// connection had died before: the locks may have gone at any moment since it was
// last seen alive, and what relied on them can not be trusted. Repeating it does
// nothing.
func (s *Snapshot) Release() error {
	s.stop()
	<-s.beat
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.released {
		return nil
	}
	s.released = true
	defer CloseSoon(s.conn)
	if err := s.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := s.conn.PgConn().Exec(ctx, "COMMIT").ReadAll(); err != nil {
		return fmt.Errorf("the connection that holds snapshot %s was lost: %w", s.ID, err)
	}
	return nil
}

// CloseSoon ends a session of which nothing more is wanted: it says goodbye to the
// server and does not wait for long.
func CloseSoon(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = conn.Close(ctx) // all that was to be kept is committed
}
