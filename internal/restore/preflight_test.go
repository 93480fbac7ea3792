package restore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestAllThatStandsInTheWayIsSaidTogetherBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", "CREATE ROLE boss", "CREATE TABLE t (id int)", "ALTER TABLE t OWNER TO boss", "CREATE EXTENSION hstore")
	r := newRepository(t, nil)
	ref := back(t, pg, r).Manifest.Ref()
	other := testenv.Postgres(t)
	other.Exec(t, "postgres", "CREATE ROLE weak LOGIN PASSWORD 'weak'")
	o := restore.Options{Repo: r, Ref: ref, Target: target(t, other, "fresh")}
	weak := o
	var err error
	if weak.Target, err = postgres.ParseTarget(other.URLFor("weak", "weak", "fresh")); err != nil {
		t.Fatal(err)
	}
	_, err = restore.Run(ctx, weak)
	var unfit *restore.Unfit
	if !errors.As(err, &unfit) || len(unfit.Problems) != 2 || !errors.Is(err, restore.ErrMissingRoles) || !errors.Is(err, restore.ErrUnfit) || restore.IsBadBackup(err) {
		t.Errorf("%v", err)
	}
	wantError(t, err, "2 things", "boss", "weak may not create databases", `ALTER ROLE "weak" CREATEDB`)

	other.CreateDatabase(t, "fresh")
	other.Exec(t, "fresh", "CREATE TABLE mine ()")
	_, err = restore.Run(ctx, o)
	if !errors.Is(err, restore.ErrMissingRoles) || !errors.Is(err, restore.ErrNotEmpty) {
		t.Errorf("%v", err)
	}
	if _, dry := restore.Plan(ctx, o); dry == nil || dry.Error() != err.Error() {
		t.Errorf("the dry run says %v", dry)
	}
}

func TestAnEncodingThatTextCanNotBeTurnedIntoIsRefused(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t, testenv.PostgresOptions{Encoding: "LATIN1", Locale: "C"})
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", "CREATE TABLE t (id int)")
	pg.Exec(t, "postgres", "CREATE DATABASE greek TEMPLATE template0 ENCODING 'ISO_8859_7'", "CREATE DATABASE utf8 TEMPLATE template0 ENCODING 'UTF8'")
	r := newRepository(t, nil)
	o := restore.Options{Repo: r, Ref: back(t, pg, r).Manifest.Ref(), Target: target(t, pg, "greek")}
	_, err := restore.Run(context.Background(), o)
	if !errors.Is(err, restore.ErrUnfit) {
		t.Errorf("%v", err)
	}
	wantError(t, err, "greek", "ISO_8859_7", "LATIN1")
	// And back: a part whose names have letters of the encoding.
	pg.Exec(t, "app", `SET client_encoding = 'UTF8'`, `CREATE TABLE "Größe" ("Maß" text)`, `INSERT INTO "Größe" VALUES ('Ä')`)
	o.Ref, o.Target, o.Select = back(t, pg, r).Manifest.Ref(), target(t, pg, "utf8"), restore.Selection{Tables: []string{"t", "gr*"}}
	o.Select.Tables[1] = `"Gr"*`
	got, err := restore.Run(context.Background(), o)
	if err != nil || got.Rows != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestRolesAreGivenTheNamesTheyHaveOnTheServer(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", `CREATE ROLE "Old ""1"""`, "CREATE ROLE reader", "CREATE ROLE rds_superuser", "CREATE ROLE rdsadmin", "CREATE ROLE keeper",
		`GRANT reader TO keeper`, `GRANT rds_superuser TO keeper`,
		"CREATE TABLE t (id int)", `ALTER TABLE t OWNER TO "Old ""1"""`, `GRANT SELECT ON t TO reader`, `GRANT SELECT ON t TO rds_superuser`, `GRANT UPDATE (id) ON t TO reader`,
		`CREATE POLICY p ON t TO "Old ""1""", reader USING (true)`, `ALTER DEFAULT PRIVILEGES FOR ROLE "Old ""1""" GRANT SELECT ON TABLES TO reader`,
		"CREATE SCHEMA s AUTHORIZATION rdsadmin", `CREATE FUNCTION says() RETURNS text LANGUAGE sql AS $$ SELECT 'GRANT SELECT ON t TO reader' $$`, `ALTER FUNCTION says() OWNER TO keeper`,
		`ALTER DATABASE app OWNER TO "Old ""1"""`, "GRANT CONNECT ON DATABASE app TO reader")
	r := newRepository(t, nil)
	o := restore.Options{Repo: r, Ref: back(t, pg, r).Manifest.Ref(), Globals: true, RoleMap: map[string]string{`Old "1"`: "new 1", "reader": "viewer", "nobody": "new 1"}}
	other := testenv.Postgres(t)
	o.Target = target(t, other, "fresh")
	_, err := restore.Run(ctx, o)
	if !errors.Is(err, restore.ErrMissingRoles) || exists(t, other, "fresh") {
		t.Errorf("%v", err)
	}
	wantError(t, err, "new 1", "viewer")
	other.Exec(t, "postgres", `CREATE ROLE "new 1"`, "CREATE ROLE viewer")
	got, err := restore.Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	warned := strings.Join(got.Warnings, "\n")
	for _, words := range []string{"roles that only Amazon RDS has are not created: rds_superuser, rdsadmin", "left out, with the rights given to them: rds_superuser, rdsadmin", "role nobody was to become new 1"} {
		if !strings.Contains(warned, words) {
			t.Errorf("the warnings do not say %q: %s", words, warned)
		}
	}
	renamed := strings.NewReplacer(`"Old ""1"""`, `"new 1"`, `Old "1"`, "new 1", "TO reader", "TO viewer", "$$ SELECT 'GRANT SELECT ON t TO reader' $$", "$$ SELECT 'GRANT SELECT ON t TO reader' $$", ", reader USING", ", viewer USING")
	// What pg_dump says of both, without comments and what is left out.
	told := func(text string) []string {
		var lines []string
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "--") && !strings.Contains(line, "rds") && !strings.Contains(line, "OWNER TO postgres") && line != "\n" {
				lines = append(lines, strings.TrimRight(line, "\n"))
			}
		}
		slices.Sort(lines)
		return lines
	}
	if want, is := told(renamed.Replace(dumped(t, pg, "app"))), told(dumped(t, other, "fresh")); !slices.Equal(want, is) {
		t.Errorf("want %q, got %q", want, is)
	}
	var owner string
	err = other.Connect(t, "postgres").QueryRow(ctx, "SELECT pg_get_userbyid(datdba) || ' ' || has_database_privilege('viewer', 'fresh', 'CONNECT') || ' ' || (SELECT count(*) FROM pg_roles WHERE rolname IN ('reader', 'Old \"1\"')) || ' ' || (SELECT count(*) FROM pg_roles WHERE rolname = 'keeper') FROM pg_database WHERE datname = 'fresh'").Scan(&owner)
	if err != nil || owner != "new 1 true 0 1" {
		t.Errorf("%s, %v", owner, err)
	}
}

func TestAnIsolatedRestoreReachesNobodyAndSaysWhatItLeftOut(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pg := testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{"wal_level": "logical"}})
	pg.CreateDatabase(t, "app")
	testenv.LoadSample(t, pg, "app")
	pg.Exec(t, "app", "CREATE EXTENSION dblink", "CREATE SUBSCRIPTION sub CONNECTION 'host=192.0.2.1 dbname=x password=topsecret' PUBLICATION p WITH (connect = false)",
		"CREATE SERVER hidden FOREIGN DATA WRAPPER postgres_fdw", "CREATE SERVER linked FOREIGN DATA WRAPPER dblink_fdw OPTIONS (hostaddr '192.0.2.1', dbname 'it''s')",
		"CREATE FOREIGN TABLE far (id int) SERVER here", "CREATE VIEW near AS SELECT * FROM far", "CREATE MATERIALIZED VIEW copied AS SELECT * FROM near WITH NO DATA",
		"CREATE FUNCTION fetches() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM dblink_connect('host=192.0.2.1'); RETURN 1; END $$",
		"CREATE MATERIALIZED VIEW fetched AS SELECT fetches() AS n WITH NO DATA", "CREATE MATERIALIZED VIEW linked AS SELECT * FROM dblink('x', 'SELECT 1') AS d(n int) WITH NO DATA",
		// What a body calls is no dependency.
		"CREATE FUNCTION indirect() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN public.fetches(); END $$", "CREATE MATERIALIZED VIEW fetched_too AS SELECT indirect() AS n WITH NO DATA",
		"CREATE FUNCTION sent(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM fetches(); RETURN i; END $$", "CREATE TABLE watched (id int)", "CREATE INDEX told ON watched (sent(id))",
		"CREATE MATERIALIZED VIEW over_parts AS SELECT count(*) FROM code.measured WITH NO DATA",
		"ALTER DATABASE app SET session_preload_libraries = 'auto_explain'", "ALTER DATABASE app SET work_mem = '77MB'")
	// As if they had been filled: populated ones are refreshed by a restore.
	pg.Exec(t, "app", "UPDATE pg_class SET relispopulated = true WHERE relname IN ('copied', 'fetched', 'fetched_too', 'linked', 'over_parts')")
	r := newRepository(t, nil)
	result := back(t, pg, r, func(o *backup.Options) { o.Globals = false })
	o := restore.Options{Repo: r, Ref: result.Manifest.Ref(), Target: target(t, pg, "drill"), Isolated: true}
	steps, err := restore.Plan(ctx, o)
	if err != nil || !strings.Contains(fmt.Sprint(steps), "subscription sub") {
		t.Errorf("%v, %v", steps, err)
	}
	got, err := restore.Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if got.Comparison == nil || !got.Comparison.Equal() || got.Comparison.Tables != result.Manifest.Totals.Tables {
		t.Errorf("%+v", got.Comparison)
	}
	var left []string
	for _, l := range got.LeftOut {
		left = append(left, l.What)
		if l.Why == "" {
			t.Errorf("%s is left out without a reason", l.What)
		}
	}
	slices.Sort(left)
	want := []string{"event trigger sample_on_ddl", "index public.told", "materialized view data public.copied", "materialized view data public.fetched", "materialized view data public.fetched_too",
		"materialized view data public.linked", "materialized view data public.over_parts", "server here: the address and password in its options", "server hidden: the address and password in its options",
		"server linked: the address and password in its options", "subscription sub", "user mapping USER MAPPING sample_reader SERVER here"}
	if !slices.Equal(left, want) {
		t.Errorf("left out %q", left)
	}
	is := dumped(t, pg, "drill", "--schema-only")
	for _, secret := range []string{"topsecret", "SUBSCRIPTION", "not a real one", "USER MAPPING", "EVENT TRIGGER", "127.0.0.1'", "hostaddr '192"} {
		if strings.Contains(is, secret) {
			t.Errorf("the restored database has %q", secret)
		}
	}
	if n := strings.Count(is, "host 'isolated.invalid'"); n != 3 {
		t.Errorf("%d servers point nowhere", n)
	}
	var settings string
	if err := pg.Connect(t, "drill").QueryRow(ctx, "SELECT array_to_string(setconfig, ',') FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase WHERE datname = 'drill'").Scan(&settings); err != nil || settings != "work_mem=77MB" {
		t.Errorf("%s, %v", settings, err)
	}
	if !strings.Contains(is, "'it''s'") {
		t.Error("an option that is no address is gone")
	}
}
