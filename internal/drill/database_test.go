package drill

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
)

func storeOf(t *testing.T, root string) objstore.Store {
	t.Helper()
	store, err := dir.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// databases are those of the server whose names begin like a drill's.
func databases(t *testing.T) []string {
	t.Helper()
	rows, err := server.Connect(t, "postgres").Query(t.Context(), `SELECT datname FROM pg_database WHERE datname LIKE 'pgbackup\_drill\_%' ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// wantNoDatabases holds that none is there that a report of the fixture names.
func (f *fixture) wantNoDatabases() {
	f.t.Helper()
	for _, d := range f.reports() {
		if d.Report == nil || d.Report.Into.Kind != "database" {
			continue
		}
		_, name, _ := strings.Cut(d.Report.Into.Where, "/")
		if slices.Contains(databases(f.t), name) {
			f.t.Errorf("database %s is left of drill %s", name, d.ID)
		}
	}
}

func TestAGoodBackupIsProvenInADatabaseThatIsDroppedAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	server.Exec(t, "postgres", "COMMENT ON DATABASE "+f.database+" IS 'our shop'", "ALTER DATABASE "+f.database+" SET search_path = 'elsewhere', public")
	f.backup()
	o := f.into(f.options())
	o.Drill.Checks = []job.DrillCheck{
		{Name: "marked", SQL: "select shobj_description(oid, 'pg_database') from pg_database where datname = current_database()", Expect: "!= our shop"},
		{Name: "settings", SQL: "select current_setting('search_path')", Expect: "elsewhere, public"},
	}
	r := f.drill(o, drillreport.Proven)
	if r.Into.Kind != "database" || !strings.Contains(r.Into.Where, databasePrefix) || r.Contents.Rows != 10000 {
		t.Errorf("%+v, %+v", r.Into, r.Contents)
	}
	if !slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "superuser") }) {
		t.Errorf("nothing says that a superuser ran the checks: %q", r.Warnings)
	}
	f.wantNoDatabases()
}

func TestAPlainRoleWithCreatedbIsEnough(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.backup()
	role := "drills_" + suffix()
	server.Exec(t, "postgres", "CREATE ROLE "+role+" LOGIN CREATEDB PASSWORD 'secret'")
	o := f.into(f.options())
	o.Connect = connectTo(t, server.URLFor(role, "secret", "postgres"))
	o.Drill.Checks = []job.DrillCheck{{Name: "orders", SQL: "select count(*) from orders", Expect: "5000"}, {Name: "who", SQL: "select current_user", Expect: role}}
	r := f.drill(o, drillreport.Proven)
	if slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "superuser") }) {
		t.Errorf("%q", r.Warnings)
	}
	f.wantNoDatabases()
}

func TestDatabasesOfDrillsThatDiedAreDroppedAndNoOthers(t *testing.T) {
	t.Parallel()
	pg := server
	ctx := t.Context()
	dead, filling, alive, stranger, like := databasePrefix+suffix(), databasePrefix+suffix(), databasePrefix+suffix(), databasePrefix+suffix(), databasePrefix+"of_bob"
	for name, comment := range map[string]string{
		dead: databaseMark + "app/logical/x", filling: restoreMark + "app/logical/x", alive: databaseMark + "app/logical/x", stranger: "mine", like: databaseMark + "x",
	} {
		pg.Exec(t, "postgres", "CREATE DATABASE "+name+" TEMPLATE template0", "COMMENT ON DATABASE "+name+" IS '"+comment+"'")
	}
	keeper := pg.Connect(t, "template1") // of another database: locks are seen all the same
	if _, err := keeper.Exec(ctx, "SELECT pg_advisory_lock($1, $2)", lockClass, lockObject(alive)); err != nil {
		t.Fatal(err)
	}
	f := newFixture(t)
	f.backup()
	r := f.drill(f.into(f.options()), drillreport.Proven)
	left := databases(t)
	for name, want := range map[string]bool{dead: false, filling: false, alive: true, stranger: true, like: true} {
		if slices.Contains(left, name) != want {
			t.Errorf("%s: there is %v, want %v", name, !want, want)
		}
	}
	if !slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, stranger) }) {
		t.Errorf("%s is not told of: %q", stranger, r.Warnings)
	}
	if err := keeper.Close(ctx); err != nil {
		t.Fatal(err)
	}
	f.drill(f.into(f.options()), drillreport.Proven)
	if slices.Contains(databases(t), alive) {
		t.Error("it outlived its drill")
	}
	pg.Exec(t, "postgres", "DROP DATABASE "+stranger, "DROP DATABASE "+like)
}
