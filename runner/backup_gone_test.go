package main

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// A job that takes every database hears of a missing one by nothing else.
func TestADatabaseThatIsGoneIsToldOnceAndNoDatabaseIsAFailure(t *testing.T) {
	t.Parallel()
	pg, p := testenv.Postgres(t), directory(t)
	sql := func(statements ...string) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), pg.URL("template1"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		for _, s := range statements {
			if _, err := conn.Exec(t.Context(), s); err != nil {
				t.Fatal(s, err)
			}
		}
	}
	j := p.job(job.KindLogical)
	j.Source, j.Metrics = "main", job.MetricsEMF
	target, err := pgx.ParseConfig(pg.URL("template1"))
	if err != nil {
		t.Fatal(err)
	}
	j.Logical = &job.Logical{Server: job.Server{Host: target.Host, Port: int(target.Port), User: target.User, PasswordRef: ref(t, "env:DB_PASSWORD"), MaintenanceDatabase: "template1"}}
	p.env = []string{"DB_PASSWORD=" + target.Password, "PGBACKUP_PG_BIN=" + pg.Bin}
	file := p.file(j)
	run := func(code int, want string) ended {
		t.Helper()
		got := p.run(nil, "backup", "--job", file)
		if got.code != code || !strings.Contains(got.stderr, want) {
			t.Errorf("%s\nwant %d, %s", got, code, want)
		}
		return got
	}
	sql("CREATE DATABASE shop", "CREATE DATABASE crm")
	run(0, "")
	sql("DROP DATABASE crm")
	if got := run(3, "database crm was backed up when this job last ran, and the server has it no more: its recovery points (crm@main) stay"); strings.Contains(got.stderr, "database shop was") {
		t.Error(got)
	}
	if got := run(0, ""); strings.Contains(got.stderr, "crm") {
		t.Errorf("told again: %s", got)
	}
	sql("DROP DATABASE shop", "DROP DATABASE postgres")
	got := run(1, "there is nothing to back up: the server has no database but its templates")
	if n := got.numbers(); n["Succeeded"] != 0 || n["Failed"] != 1 {
		t.Errorf("%v", n)
	}
}
