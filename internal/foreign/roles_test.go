package foreign

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/foreign/sqlscript"
)

const withRoles = `SET statement_timeout = 0;
SET transaction_timeout_of_tomorrow = 0;
SET default_tablespace = fast_disks;
CREATE TABLE t (id int);
ALTER TABLE t OWNER TO nobody_here;
GRANT SELECT ON TABLE t TO "No Reader";
GRANT SELECT ON TABLE t TO rdsadmin;
ALTER DEFAULT PRIVILEGES FOR ROLE nobody_here GRANT SELECT ON TABLES TO PUBLIC;
CREATE POLICY p ON t TO nobody_else USING (true);
`

func TestMissingRolesAreToldTogetherMadeOrDoneWithout(t *testing.T) {
	pg := sampleServer(t)
	drop := func() {
		pg.Exec(t, "postgres", "DROP DATABASE IF EXISTS "+databaseName(t)+" WITH (FORCE)", `DROP ROLE IF EXISTS nobody_here, nobody_else, "No Reader"`)
	}
	t.Cleanup(drop)
	o := Options{Source: file(t, "x.sql", withRoles), Target: target(t, pg, databaseName(t))}
	if _, err := Load(t.Context(), o); !errors.Is(err, ErrMissingRoles) || !strings.Contains(err.Error(), "No Reader, nobody_else, nobody_here; make them") {
		t.Errorf("none there: %v", err)
	}
	if exists(t, databaseName(t)) {
		t.Error("a database was made")
	}
	o.MakeRoles = true
	result, err := Load(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"setting transaction_timeout_of_tomorrow", "role rdsadmin", "choosing a tablespace"} {
		if !slices.ContainsFunc(result.Notes, func(note string) bool { return strings.Contains(note, want) }) {
			t.Errorf("%q lacks %q", result.Notes, want)
		}
	}
	if len(result.Warnings) != 1 || !strings.Contains(result.Warnings[0], "fast_disks") {
		t.Errorf("%q", result.Warnings)
	}
	var made int
	if err := pg.Connect(t, "postgres").QueryRow(t.Context(), `SELECT count(*) FROM pg_roles WHERE NOT rolcanlogin AND rolname IN ('nobody_here', 'nobody_else', 'No Reader')`).Scan(&made); err != nil || made != 3 {
		t.Errorf("%d roles were made, %v", made, err)
	}
	drop()
	o.MakeRoles, o.NoOwner, o.NoRights = false, true, true
	o.Source = file(t, "x.sql", strings.ReplaceAll(withRoles, "TO nobody_else USING", "USING"))
	if result, err = Load(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(result.Notes, "left out 1 statement: about owners (--no-owner)") || !slices.Contains(result.Notes, "left out 3 statements: about rights (--no-acl)") {
		t.Errorf("%q", result.Notes)
	}
}

func TestMissingExtensionsAreToldBeforeAnythingIsMade(t *testing.T) {
	pg := sampleServer(t)
	o := Options{Source: file(t, "x.sql", "CREATE TABLE t (id int);\nCREATE EXTENSION IF NOT EXISTS postgis_of_mars WITH SCHEMA public;\n"), Target: target(t, pg, databaseName(t))}
	if _, err := Load(t.Context(), o); !errors.Is(err, ErrMissingExtensions) || !strings.Contains(err.Error(), "postgis_of_mars") {
		t.Error(err)
	}
	if exists(t, databaseName(t)) {
		t.Error("a database was made")
	}
}

func TestADatabaseIsMadeAsTheFileSays(t *testing.T) {
	t.Parallel()
	in := sqlscript.NewScanner(strings.NewReader(`CREATE DATABASE "App" WITH TEMPLATE = template0 ENCODING = 'LATIN1' LOCALE_PROVIDER = libc LOCALE = 'de_DE';
CREATE DATABASE b WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = icu LC_COLLATE = 'C' LC_CTYPE = 'C.UTF-8' ICU_LOCALE = 'und';`))
	a, err := in.Next(false)
	if err != nil {
		t.Fatal(err)
	}
	if p := databaseProperties(a.Tokens); p.Encoding != "LATIN1" || p.LocaleProvider != "libc" || p.Collate != "de_DE" || p.CType != "de_DE" {
		t.Errorf("%+v", p)
	}
	b, err := in.Next(false)
	if err != nil {
		t.Fatal(err)
	}
	if p := databaseProperties(b.Tokens); p.LocaleProvider != "icu" || p.Collate != "C" || p.CType != "C.UTF-8" || p.Locale != "und" {
		t.Errorf("%+v", p)
	}
}
