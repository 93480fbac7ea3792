package restore

import (
	"slices"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
)

func TestSQLIsSplitAtTheSemicolonsThatEndStatements(t *testing.T) {
	t.Parallel()
	sql := "-- it's; a comment\n\\restrict x;y\nCREATE ROLE \"a;\"\"b\";\nCOMMENT ON ROLE bob IS 'x;\n-- y''s';\nALTER ROLE bob SET s TO E'it\\'s; \\\\';\n\nGRANT a TO b;"
	want := []string{`CREATE ROLE "a;""b"`, "COMMENT ON ROLE bob IS 'x;\n-- y''s'", `ALTER ROLE bob SET s TO E'it\'s; \\'`, "GRANT a TO b"}
	if got := statements(sql); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestRolesAreFoundInWhatPgDumpWrites(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string][]string{
		"GRANT SELECT ON TABLE public.t TO \"O\"\"x; y\";\nGRANT SELECT ON TABLE public.t TO PUBLIC;\n":   {`O"x; y`},
		"GRANT INSERT(i) ON TABLE public.t TO bob WITH GRANT OPTION;":                                     {"bob"},
		"REVOKE ALL ON SCHEMA public FROM eve;":                                                           {"eve"},
		"ALTER DEFAULT PRIVILEGES FOR ROLE bob IN SCHEMA public GRANT SELECT ON TABLES  TO ann;":          {"ann", "bob"},
		"SET SESSION AUTHORIZATION bob;\nGRANT SELECT ON TABLE a.b TO ann;\nRESET SESSION AUTHORIZATION;": {"bob", "ann"},
		`CREATE POLICY p ON public.t AS RESTRICTIVE FOR SELECT TO bob, "O""x; y" USING (true);`:           {"bob", `O"x; y`},
		"CREATE POLICY p ON public.t USING ((x = 'TO nobody'::text));":                                    nil,
		"CREATE USER MAPPING FOR bob SERVER s OPTIONS (\n    \"user\" 'x'\n);":                            {"bob"},
	} {
		if got := rolesOf(&pgarchive.Entry{Defn: sql}); !slices.Equal(got, want) {
			t.Errorf("%s: %q", sql, got)
		}
	}
}

func TestStatementsAboutTheDatabaseAreTurnedToItsNewName(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		`ALTER DATABASE "My App" SET search_path TO 'a b', 'public'`:           `ALTER DATABASE "new" SET search_path TO 'a b', 'public'`,
		`ALTER ROLE bob IN DATABASE "My App" SET x TO E'\\ ON DATABASE other'`: `ALTER ROLE bob IN DATABASE "new" SET x TO E'\\ ON DATABASE other'`,
		"COMMENT ON DATABASE \"My App\" IS 'a\nb'":                             "COMMENT ON DATABASE \"new\" IS 'a\nb'",
		`REVOKE CONNECT,TEMPORARY ON DATABASE "My App" FROM PUBLIC`:            `REVOKE CONNECT,TEMPORARY ON DATABASE "new" FROM PUBLIC`,
		`ALTER DATABASE other SET x TO 'y'`:                                    "",
		`UPDATE pg_catalog.pg_database SET datistemplate = true`:               "",
	} {
		got, ok := renamed(sql, "My App", "new")
		if got != want || ok != (want != "") {
			t.Errorf("%s: %q", sql, got)
		}
	}
}
