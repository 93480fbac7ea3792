package drill

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// production is somebody who must not be called: it counts who tries.
func production(t *testing.T) (port string, calls *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	calls = &atomic.Int64{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			calls.Add(1)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	_, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port, calls
}

// A view that is filled from a foreign table would read from production, and write
// where a trigger there does, each time a drill restores it.
func TestAnIsolatedDrillReachesNobody(t *testing.T) {
	t.Parallel()
	port, calls := production(t)
	f := newFixture(t,
		"CREATE EXTENSION postgres_fdw",
		"CREATE SERVER production FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '"+port+"', dbname 'live')",
		"CREATE USER MAPPING FOR PUBLIC SERVER production OPTIONS (user 'app', password 'hunter2')",
		"CREATE FOREIGN TABLE remote (id int) SERVER production",
		"CREATE MATERIALIZED VIEW copied AS SELECT id FROM remote WITH NO DATA",
		"CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM copied WITH NO DATA",
		"CREATE SUBSCRIPTION follows CONNECTION 'host=127.0.0.1 port="+port+" password=hunter2' PUBLICATION p WITH (connect = false, slot_name = NONE)",
	)
	// As pg_dump finds them where they are in use.
	server.Exec(t, f.database, "UPDATE pg_class SET relispopulated = true WHERE relname IN ('copied', 'counted')")
	f.backup()
	for name, o := range map[string]Options{"a cluster": f.options(), "a database": f.into(f.options())} {
		before := calls.Load()
		// They are there, and tell nothing.
		o.Drill.Checks = []job.DrillCheck{
			{Name: "views", SQL: "select count(*) from pg_matviews", Expect: "2"},
			{Name: "nobody follows", SQL: "select count(*) from pg_subscription s join pg_database d on d.oid = s.subdbid where d.datname = current_database()", Expect: "0"},
		}
		r := f.drill(o, drillreport.Proven)
		if n := calls.Load() - before; n > 0 {
			t.Errorf("%s: production was called %d times", name, n)
		}
		var left []string
		for _, l := range r.LeftOut {
			left = append(left, l.What+": "+l.Why)
		}
		said := strings.Join(left, "\n")
		for _, want := range []string{"follows", "production", "copied", "counted"} {
			if !strings.Contains(said, want) {
				t.Errorf("%s: %q is not among what was left out:\n%s", name, want, said)
			}
		}
		if strings.Contains(said, "hunter2") {
			t.Errorf("%s: a password is in the report", name)
		}
		// A check that reaches out itself gets nowhere.
		o.Drill.Checks = []job.DrillCheck{{Name: "out", SQL: "select * from remote", Expect: "non-empty"}}
		if r := f.drill(o, drillreport.CouldNotRun); calls.Load() != before {
			t.Errorf("%s: production was called: %+v", name, r.Checks)
		}
	}
	server.Exec(t, f.database, "DROP SUBSCRIPTION follows")
}
