package drill

import (
	"strconv"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

func TestChecksAreJudged(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.backup()
	cases := []struct {
		name, sql, expect string
		timeout           string
		outcome           drillreport.Outcome
		says              string
	}{
		{"fulfilled", "select count(*) from orders", "5000", "", drillreport.Proven, ""},
		{"when the backup was taken", "select current_setting('pgbackup.backup_time')::timestamptz between now() - interval '1 hour' and now()", "", "", drillreport.Proven, ""},
		{"another value", "select count(*) from orders", "> 9000", "", drillreport.BadBackup, "expected > 9000, got 5000"},
		{"null", "select null", "", "", drillreport.BadBackup, "got null"},
		{"no rows", "select 1 where false", "non-empty", "", drillreport.BadBackup, "got no rows"},
		{"a relation that is missing", "select count(*) from payments", "> 0", "", drillreport.CouldNotRun, "payments"},
		{"a schema that is missing", "select billing.total()", "> 0", "", drillreport.CouldNotRun, "billing"},
		{"bad SQL", "selct 1", "1", "", drillreport.CouldNotRun, "syntax error"},
		{"a slip in FROM", "select orders.id, payments.id from orders", "", "", drillreport.CouldNotRun, "FROM-clause"},
		{"a column that is none", "select colour from orders", "", "", drillreport.CouldNotRun, "colour"},
		{"breaking off", "select 1/0", "1", "", drillreport.CouldNotRun, "division by zero"},
		{"too slow", "select pg_sleep(30)", "non-empty", "1s", drillreport.CouldNotRun, "longer than 1s"},
		{"writing", "delete from orders", "", "", drillreport.CouldNotRun, "only read"},
		{"two statements", "commit; delete from orders", "", "", drillreport.CouldNotRun, "multiple commands"},
		{"a program", "copy orders to program 'cat >/dev/null'", "", "", drillreport.CouldNotRun, "42501"},
		{"not a query", "copy (select 1) to stdout", "", "", drillreport.CouldNotRun, "SELECT"},
		{"becoming superuser", "do $$ begin execute 'reset role'; execute 'set role postgres'; end $$", "non-empty", "", drillreport.CouldNotRun, "permission denied"},
		{"ending its session", "select pg_terminate_backend(pg_backend_pid())", "", "", drillreport.CouldNotRun, ""},
		{"after all that", "select count(*) from orders", "5000", "", drillreport.Proven, ""},
	}
	o := f.options()
	for _, c := range cases {
		check := job.DrillCheck{Name: c.name, SQL: c.sql, Expect: c.expect}
		if c.timeout != "" {
			check.Timeout = duration.MustParse(c.timeout)
		}
		o.Drill.Checks = append(o.Drill.Checks, check)
	}
	r := f.drill(o, drillreport.BadBackup)
	if len(r.Checks) != len(cases) {
		t.Fatalf("%d checks were run", len(r.Checks))
	}
	for i, c := range cases {
		got := r.Checks[i]
		if got.Name != c.name || got.Passed != (c.outcome == drillreport.Proven) || got.CouldNotRun != (c.outcome == drillreport.CouldNotRun) {
			t.Errorf("%s: %+v", c.name, got)
		}
		said := got.Problem
		if said == "" {
			said = "expected " + got.Expect + ", got " + got.Got
		}
		if !strings.Contains(said, c.says) {
			t.Errorf("%s: %s", c.name, said)
		}
		if (c.outcome == drillreport.BadBackup) != strings.Contains(r.Reason, strconv.Quote(c.name)) {
			t.Errorf("%s: the reason is %s", c.name, r.Reason)
		}
	}
}

func TestACheckDecidesAboutTheBackup(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.backup()
	for _, c := range []struct {
		sql     string
		outcome drillreport.Outcome
	}{{"selct 1", drillreport.CouldNotRun}, {"select false", drillreport.BadBackup}} {
		o := f.options()
		o.Drill.Checks = []job.DrillCheck{{Name: "it", SQL: c.sql}}
		f.drill(o, c.outcome)
		if f.listed(m.Ref()).Condemned != (c.outcome == drillreport.BadBackup) {
			t.Errorf("%s: condemned is wrong", c.sql)
		}
	}
}

// An index over a function that lies about being immutable is what amcheck is for.
func TestWhatPgAmcheckFindsMakesABackupBad(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "CREATE FUNCTION lies(int) RETURNS float IMMUTABLE LANGUAGE sql RETURN pg_catalog.random()", "CREATE INDEX liar ON orders (lies(id))")
	f.backup()
	o := f.options()
	f.drill(o, drillreport.Proven)
	o.Drill.AmCheck = true
	r := f.drill(o, drillreport.BadBackup)
	if r.AmCheck == nil || r.AmCheck.Passed || len(r.AmCheck.Problems) == 0 || !strings.Contains(r.Reason, "liar") {
		t.Errorf("%s, %+v", r.Reason, r.AmCheck)
	}
}
