//go:build bench

package bench

import (
	"context"
	"fmt"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// makeData fills a database with about mb megabytes of dump data that compresses
// about 4:1, as orders, events and documents of an application do: words that
// repeat, numbers, times, and some hashes that do not compress. One big table
// has more than half of it.
func makeData(ctx context.Context, t *testing.T, pg *testenv.PostgresServer, db string, mb int) {
	t.Helper()
	const perRow = 245 // bytes of COPY text in a row of events
	rows := mb << 20 / perRow
	statements := []string{
		`CREATE TABLE words AS SELECT i AS id, substr(md5(i::text), 1, 3 + i % 8) AS w FROM generate_series(0, 1999) i`,
		`CREATE TABLE events (id bigint PRIMARY KEY, at timestamptz NOT NULL, customer int NOT NULL, kind text NOT NULL, amount numeric(12,2), body jsonb NOT NULL, ref text NOT NULL)`,
		`CREATE TABLE orders (LIKE events INCLUDING ALL)`,
		`CREATE TABLE audit (LIKE events INCLUDING ALL)`,
	}
	fill := `INSERT INTO %s
		SELECT i, '2026-01-01'::timestamptz + i * interval '7 seconds', (random() * 50000)::int,
			(ARRAY['created','paid','shipped','delivered','returned'])[1 + (random() * 4)::int], round((random() * 900)::numeric, 2),
			jsonb_build_object('status', 'ok', 'channel', CASE WHEN i %% 3 = 0 THEN 'web' ELSE 'app' END, 'country', (ARRAY['DE','FR','US','GB','NL'])[1 + (random() * 4)::int],
				'note', a.w || ' ' || b.w || ' ' || c.w, 'items', (random() * 20)::int, 'priority', 'normal'),
			md5(random()::text)
		FROM generate_series(1, %d) i
		JOIN words a ON a.id = (i::bigint * 7919) %% 2000 JOIN words b ON b.id = (i::bigint * 104729) %% 2000 JOIN words c ON c.id = (i::bigint * 1299709) %% 2000`
	statements = append(statements,
		fmt.Sprintf(fill, "events", rows*6/10), fmt.Sprintf(fill, "orders", rows*3/10), fmt.Sprintf(fill, "audit", rows/10),
		`CREATE INDEX ON events (customer)`, `CREATE INDEX ON orders (at)`, `ANALYZE`, `CHECKPOINT`)
	conn := pg.Connect(t, db)
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			t.Fatalf("make data: %v", err)
		}
	}
}
