//go:build bench

package bench

import (
	"context"
	"fmt"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// makeData fills a database with about mb megabytes of dump data that compresses
// 3–5:1, as the tables of a web shop do: events with keys, tokens, addresses and
// user agents (nearly half random), orders like them, and the messages that were
// sent, made from some fifty templates. One table has half of it all.
func makeData(ctx context.Context, t *testing.T, pg *testenv.PostgresServer, db string, mb int) {
	t.Helper()
	const eventBytes, messageBytes = 460, 1890 // of dump in a row
	events, messages := mb<<20*7/10/eventBytes, mb<<20*3/10/messageBytes
	statements := []string{
		`CREATE TABLE agents AS SELECT i AS id, format('Mozilla/5.0 (%s; rv:%s.0) Gecko/20100101 Firefox/%s.%s build/%s',
			(ARRAY['X11; Linux x86_64','Windows NT 10.0; Win64; x64','Macintosh; Intel Mac OS X 10.15'])[1 + i % 3], 100 + i % 40, 100 + i % 40, i % 7, substr(md5(i::text), 1, 8)) AS agent
			FROM generate_series(0, 799) i`,
		`CREATE TABLE words AS SELECT i AS id, substr(translate(md5(i::text), '0123456789', 'ghijklmnop'), 1, 3 + i % 7) AS w FROM generate_series(0, 2999) i`,
		`CREATE TABLE templates AS SELECT p AS id, (SELECT string_agg(w, ' ' ORDER BY n) FROM generate_series(1, 240) n JOIN words ON words.id = (p * 7919 + n * n * 31) % 3000) AS body FROM generate_series(0, 49) p`,
		`CREATE TABLE events (id uuid PRIMARY KEY, at timestamptz NOT NULL, customer int NOT NULL, account uuid NOT NULL, kind text NOT NULL, amount numeric(12,2), address inet, agent text, body jsonb NOT NULL, token text NOT NULL)`,
		`CREATE TABLE orders (LIKE events INCLUDING ALL)`,
		`CREATE TABLE messages (id bigint PRIMARY KEY, at timestamptz NOT NULL, recipient text NOT NULL, body text NOT NULL)`,
	}
	fill := `INSERT INTO %s
		SELECT gen_random_uuid(), '2026-01-01'::timestamptz + i * interval '7 seconds', (random() * 50000)::int, gen_random_uuid(),
			(ARRAY['created','paid','shipped','delivered','returned'])[1 + (random() * 4)::int], round((random() * 900)::numeric, 2),
			('10.' || i %% 200 || '.' || (random() * 255)::int || '.' || (random() * 255)::int)::inet, agent,
			jsonb_build_object('status', 'ok', 'channel', CASE WHEN i %% 3 = 0 THEN 'web' ELSE 'app' END, 'country', (ARRAY['DE','FR','US','GB','NL'])[1 + (random() * 4)::int],
				'items', (random() * 20)::int, 'priority', 'normal'),
			encode(sha256(i::text::bytea), 'base64')
		FROM generate_series(1, %d) i JOIN agents a ON a.id = (i::bigint * 7919) %% 800`
	statements = append(statements,
		fmt.Sprintf(fill, "events", events*5/7), fmt.Sprintf(fill, "orders", events*2/7),
		fmt.Sprintf(`INSERT INTO messages SELECT i, '2026-01-01'::timestamptz + i * interval '40 seconds', 'user' || (random() * 50000)::int || '@example.org',
			'Dear customer ' || (random() * 50000)::int || ', your order ' || gen_random_uuid() || ' of ' || round((random() * 900)::numeric, 2) || ' EUR: ' || body
			FROM generate_series(1, %d) i JOIN templates t ON t.id = (i::bigint * 104729) %% 50`, messages),
		`CREATE INDEX ON events (customer)`, `CREATE INDEX ON orders (at)`, `VACUUM ANALYZE`, `CHECKPOINT`)
	conn := pg.Connect(t, db)
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			t.Fatalf("make data: %v", err)
		}
	}
}
