package restore_test

import (
	"context"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical/comparison"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// The hash of an enum's value is that of its oid, so that a row may belong to another
// partition elsewhere; pg_dump loads such partitions through the table on top.
const byHashOfAnEnum = `CREATE TYPE colour AS ENUM ('red', 'green', 'blue', 'cyan', 'pink', 'grey');
CREATE TABLE paint (at date, c colour, v int) PARTITION BY RANGE (at);
CREATE TABLE paint_old (v int, c colour, at date) PARTITION BY HASH (c);
ALTER TABLE paint ATTACH PARTITION paint_old FOR VALUES FROM ('2020-01-01') TO ('2026-01-01');
CREATE TABLE paint_old_0 PARTITION OF paint_old FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE "paint ""1""" PARTITION OF paint_old FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE paint_new PARTITION OF paint FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO paint SELECT DATE '2025-01-01' + g, (enum_range(NULL::colour))[1 + g % 6], g FROM generate_series(1, 600) g`

func TestPartitionsThatShareTheirRowsComeBackAndAreComparedTogether(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", byHashOfAnEnum)
	r := newRepository(t, nil)
	o := restore.Options{Repo: r, Ref: back(t, pg, r).Manifest.Ref(), Target: target(t, pg, "again")}
	got, err := restore.Run(ctx, o)
	if err != nil || got.Tables != 3 || got.Rows != 600 {
		t.Fatalf("%+v, %v", got, err)
	}
	both, err := comparison.Databases(ctx, target(t, pg, "app"), o.Target, 2)
	if err != nil || !both.Equal() || both.Rows != 600 {
		t.Errorf("%+v, %v", both, err)
	}

	// What differs is found all the same.
	point, err := r.OpenPoint(ctx, o.Ref)
	if err != nil {
		t.Fatal(err)
	}
	with, err := comparison.Point(ctx, point)
	if err != nil {
		t.Fatal(err)
	}
	with.Target = o.Target
	pg.Exec(t, "again", "UPDATE paint SET v = -1 WHERE v = 100")
	if found, err := comparison.Run(ctx, with); err != nil || len(found.Differences) != 1 {
		t.Errorf("%+v, %v", found, err)
	}
	if found, err := comparison.Databases(ctx, target(t, pg, "app"), o.Target, 2); err != nil || len(found.Differences) != 1 {
		t.Errorf("%+v, %v", found, err)
	}

	// One of them alone goes into itself, not through a table that stays as it is.
	pg.Exec(t, "app", "CREATE TABLE witness AS TABLE paint; DROP TABLE paint_old_0")
	o.Target, o.Select = target(t, pg, "app"), restore.Selection{Tables: []string{"paint_old_0"}}
	if got, err := restore.Run(ctx, o); err != nil || got.Tables != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	var differ int
	if err := pg.Connect(t, "app").QueryRow(ctx, "SELECT count(*) FROM ((TABLE paint EXCEPT ALL TABLE witness) UNION ALL (TABLE witness EXCEPT ALL TABLE paint)) d").Scan(&differ); err != nil || differ != 0 {
		t.Errorf("%d rows differ: %v", differ, err)
	}
}
