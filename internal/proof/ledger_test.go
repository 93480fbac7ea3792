package proof

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// transaction is one that the client knows to be committed, and what it knows of when:
// it became visible to others between the two moments, and the two positions.
type transaction struct {
	id           int64
	asked, acked time.Time
	from, to     pgwal.LSN
}

// ledger is written by several clients at once, one row a transaction, and remembers
// beside the server what it was told.
type ledger struct {
	t    *testing.T
	pg   *testenv.PostgresServer
	mu   sync.Mutex
	done []transaction
	stop context.CancelFunc
	all  sync.WaitGroup
}

const ledgerSQL = "CREATE TABLE ledger (id bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(), filler text NOT NULL)"

// write begins with n clients.
func (l *ledger) write(n int) {
	ctx, stop := context.WithCancel(l.t.Context())
	l.stop = stop
	for client := range n {
		l.all.Go(func() {
			if err := l.client(ctx, int64(client)); err != nil && ctx.Err() == nil {
				l.t.Error(err)
			}
		})
	}
}

// end waits for the clients and returns what they were told.
func (l *ledger) end() []transaction {
	l.stop()
	l.all.Wait()
	return l.done
}

func (l *ledger) client(ctx context.Context, client int64) error {
	conn, err := pgx.Connect(ctx, l.pg.URL("shop"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for n := int64(0); ctx.Err() == nil; n++ {
		tx := transaction{id: client*1_000_000 + n}
		var from, to string
		// What is under way when the time is up is finished: only what was answered counts.
		if _, err := conn.Exec(context.WithoutCancel(ctx), "BEGIN"); err != nil {
			return err
		}
		sql := "INSERT INTO ledger (id, filler) VALUES ($1::bigint, repeat(md5($1::bigint::text), 20)) RETURNING pg_current_wal_insert_lsn()::text"
		if err := conn.QueryRow(context.WithoutCancel(ctx), sql, tx.id).Scan(&from); err != nil {
			return fmt.Errorf("write into the ledger: %w", err)
		}
		tx.asked = time.Now()
		if _, err := conn.Exec(context.WithoutCancel(ctx), "COMMIT"); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
		tx.acked = time.Now()
		if err := conn.QueryRow(context.WithoutCancel(ctx), "SELECT pg_current_wal_insert_lsn()::text").Scan(&to); err != nil {
			return err
		}
		if tx.from, err = pgwal.ParseLSN(from); err != nil {
			return err
		}
		if tx.to, err = pgwal.ParseLSN(to); err != nil {
			return err
		}
		l.mu.Lock()
		l.done = append(l.done, tx)
		l.mu.Unlock()
		time.Sleep(3 * time.Millisecond) // leave a processor to the others
	}
	return nil
}

// present are the transactions that a recovered server has.
func present(ctx context.Context, url string) (map[int64]bool, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(context.Background()) }()
	rows, err := conn.Query(ctx, "SELECT id FROM ledger")
	if err != nil {
		return nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	there := make(map[int64]bool, len(ids))
	for _, id := range ids {
		there[id] = true
	}
	return there, err
}

// missed are those that had to be there by the target and are not; early those that
// came after it and are there. Those that were under way at the target may be either.
func compare(done []transaction, there map[int64]bool, before, after func(transaction) bool) (missed, early []transaction) {
	for _, tx := range done {
		switch {
		case before(tx) && !there[tx.id]:
			missed = append(missed, tx)
		case after(tx) && there[tx.id]:
			early = append(early, tx)
		}
	}
	return missed, early
}
