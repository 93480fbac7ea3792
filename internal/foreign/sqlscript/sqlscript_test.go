package sqlscript

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// split takes a whole script apart: statements, commands, and rows as one text.
func split(t testing.TB, script string, backslashes bool) []string {
	t.Helper()
	var out []string
	s := NewScanner(iotest.OneByteReader(strings.NewReader(script)))
	for {
		item, err := s.Next(backslashes)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			return append(out, "ERROR "+err.Error())
		}
		out = append(out, item.Text)
		if item.Kind == Statement && item.CopiesIn() {
			rows, err := io.ReadAll(s.Rows())
			if err != nil {
				return append(out, "ERROR "+err.Error())
			}
			out = append(out, "ROWS "+string(rows))
		}
	}
}

func TestStatementsEndWherePsqlEndsThem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		script string
		want   []string
	}{
		{"SELECT 1; SELECT 2", []string{"SELECT 1", "SELECT 2"}},
		{";;\n;SELECT 1;;", []string{"SELECT 1"}},
		{"SELECT ';' ; SELECT 'it''s;'; SELECT \"a;\"\"b\";", []string{"SELECT ';'", "SELECT 'it''s;'", "SELECT \"a;\"\"b\""}},
		{`SELECT E'\';'; SELECT 1`, []string{`SELECT E'\';'`, "SELECT 1"}},
		{`SELECT '\'; SELECT 1`, []string{`SELECT '\'`, "SELECT 1"}},
		{"SELECT E'a'\n  '\\';'; SELECT 1", []string{"SELECT E'a'\n  '\\';'", "SELECT 1"}},
		{`SELECT U&'\0061;', B'1;', x';', N';'; SELECT 1`, []string{`SELECT U&'\0061;', B'1;', x';', N';'`, "SELECT 1"}},
		{`SELECT U&"a;"; SELECT 1`, []string{`SELECT U&"a;"`, "SELECT 1"}},
		{"SELECT $$;$a$;$$; SELECT $a$;$$;$a$; SELECT $1; SELECT a$b$c;", []string{"SELECT $$;$a$;$$", "SELECT $a$;$$;$a$", "SELECT $1", "SELECT a$b$c"}},
		{"SELECT $é$;$é$; SELECT 1", []string{"SELECT $é$;$é$", "SELECT 1"}},
		{"-- ; \\! ls\nSELECT 1 -- ;\n+ 1; /* ; /* ; */ ' */ SELECT 2;", []string{"SELECT 1 -- ;\n+ 1", "SELECT 2"}},
		{"CREATE RULE r AS ON DELETE TO t DO (SELECT 1; SELECT 2); SELECT 3", []string{"CREATE RULE r AS ON DELETE TO t DO (SELECT 1; SELECT 2)", "SELECT 3"}},
		{"CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3",
			[]string{"CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END", "SELECT 3"}},
		{"BEGIN; SELECT 1; END; COMMIT", []string{"BEGIN", "SELECT 1", "END", "COMMIT"}},
		{"COPY t (a) FROM stdin;\na;b\n\\N\t\\.x\n\\.\nSELECT 1;", []string{"COPY t (a) FROM stdin", "ROWS a;b\n\\N\t\\.x\n", "SELECT 1"}},
		{"COPY t FROM STDIN WITH (FORMAT csv);\r\n1\r\n\\.\r\nSELECT 1;", []string{"COPY t FROM STDIN WITH (FORMAT csv)", "ROWS 1\r\n", "SELECT 1"}},
		{"COPY t FROM stdin;\n\\.\n", []string{"COPY t FROM stdin", "ROWS "}},
		{"COPY t FROM stdin;\n1\n\\.", []string{"COPY t FROM stdin", "ROWS 1\n"}},
		{"COPY t FROM stdin;\n1\n", []string{"COPY t FROM stdin", "ERROR unexpected EOF"}},
		{"COPY (SELECT 1) TO stdout; COPY t FROM 'stdin';", []string{"COPY (SELECT 1) TO stdout", "COPY t FROM 'stdin'"}},
		{"\\restrict abc\nSELECT 1;\n\\connect db\n", []string{`\restrict abc`, "SELECT 1", `\connect db`}},
		{"SELECT 1 \\! ls\n", []string{"ERROR line 1: a backslash command inside a statement, which no dump has"}},
		{"SELECT 'a", []string{"ERROR line 1: the file ends inside a literal: unexpected EOF"}},
		{"SELECT 1\n\n", []string{"SELECT 1"}},
	} {
		if got := split(t, c.script, false); !slices.Equal(got, c.want) {
			t.Errorf("%q:\n got %q\nwant %q", c.script, got, c.want)
		}
	}
	if got := split(t, `SELECT '\';'; SELECT 1`, true); !slices.Equal(got, []string{`SELECT '\';'`, "SELECT 1"}) {
		t.Errorf("with standard_conforming_strings off: %q", got)
	}
}

func one(t testing.TB, script string) Item {
	t.Helper()
	item, err := NewScanner(strings.NewReader(script)).Next(false)
	if err != nil {
		t.Fatal(err)
	}
	return item
}

func TestStatementsAreAboutWhatTheySay(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]struct {
		subject Subject
		roles   []string
	}{
		"CREATE TABLE t (owner int)":                                                  {Contents, nil},
		"ALTER TABLE public.t OWNER TO bob":                                           {Owner, []string{"bob"}},
		`ALTER TABLE public.t OWNER TO "O""Brien"`:                                    {Owner, []string{`O"Brien`}},
		"SET SESSION AUTHORIZATION 'Bob'":                                             {Owner, []string{"Bob"}},
		"SET SESSION AUTHORIZATION DEFAULT":                                           {Owner, nil},
		"SET search_path = public":                                                    {Settings, nil},
		"SELECT pg_catalog.set_config('search_path', '', false)":                      {Settings, nil},
		"SELECT pg_catalog.setval('s', 1, true)":                                      {Contents, nil},
		"GRANT SELECT(a),UPDATE(b) ON TABLE t TO bob WITH GRANT OPTION":               {Rights, []string{"bob"}},
		"GRANT ALL ON SCHEMA s TO PUBLIC":                                             {Rights, nil},
		"REVOKE ALL ON SCHEMA s FROM bob":                                             {Rights, []string{"bob"}},
		"ALTER DEFAULT PRIVILEGES FOR ROLE a IN SCHEMA s GRANT SELECT ON TABLES TO b": {Rights, []string{"a", "b"}},
		"CREATE POLICY p ON s.t FOR SELECT TO a, b USING ((x = y))":                   {Contents, []string{"a", "b"}},
		"CREATE POLICY p ON s.t USING (true)":                                         {Contents, nil},
		"CREATE USER MAPPING FOR bob SERVER s OPTIONS (user 'x')":                     {Contents, []string{"bob"}},
		"CREATE SCHEMA s AUTHORIZATION bob":                                           {Contents, []string{"bob"}},
		"CREATE DATABASE app TEMPLATE template0":                                      {Cluster, nil},
		"ALTER DATABASE app OWNER TO bob":                                             {Cluster, []string{"bob"}},
		"DROP DATABASE app":                                                           {Cluster, nil},
		"COMMENT ON DATABASE app IS 'x'":                                              {Cluster, nil},
		"COMMENT ON TABLE t IS 'x'":                                                   {Contents, nil},
		"GRANT CONNECT ON DATABASE app TO bob":                                        {Cluster, []string{"bob"}},
		"GRANT a TO b GRANTED BY c":                                                   {Cluster, []string{"b"}},
		"CREATE ROLE bob":                                                             {Cluster, nil},
		"ALTER ROLE bob WITH LOGIN PASSWORD 'x'":                                      {Cluster, nil},
		"ALTER ROLE bob IN DATABASE app SET work_mem TO '1'":                          {Cluster, nil},
		"CREATE TABLESPACE fast LOCATION '/x'":                                        {Cluster, nil},
		"ALTER SYSTEM SET work_mem = 1":                                               {Cluster, nil},
		"SECURITY LABEL FOR x ON ROLE bob IS 'y'":                                     {Cluster, nil},
	} {
		item := one(t, script)
		if item.Subject() != want.subject || !slices.Equal(item.Roles(), want.roles) {
			t.Errorf("%s: is about %d and names %q", script, item.Subject(), item.Roles())
		}
	}
}

func TestOnlyTheConnectsOfPgDumpAreRead(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]string{
		`\connect app`:   "app",
		`\connect "App"`: "App",
		`\connect -reuse-previous=on "dbname='odd \\'' name'"`:         "",
		`\connect -reuse-previous=on "dbname='odd ""name\' \\x'"`:      `odd "name' \x`,
		`\connect -reuse-previous=on "dbname='a' host='evil.example'"`: "",
		`\connect "host=evil.example dbname=a"`:                        "",
		`\connect postgres://evil.example/a`:                           "",
		`\connect app evil_user`:                                       "",
		`\connect - evil_user`:                                         "",
		`\connect`:                                                     "",
		`\! ls`:                                                        "",
		`\copy t from program 'ls'`:                                    "",
		`\connecting app`:                                              "",
		`\c app`:                                                       "app",
		`\i /etc/passwd`:                                               "",
		`\restrict abc`:                                                "",
	} {
		got, ok := one(t, command+"\n").Connects()
		if !ok {
			got = ""
		}
		if got != want {
			t.Errorf("%s: connects to %q", command, got)
		}
	}
}

func TestALineThatIsTooLongIsAnError(t *testing.T) {
	t.Parallel()
	_, err := NewScanner(strings.NewReader(`\connect ` + strings.Repeat("a", 1<<20))).Next(false)
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("a command of a MiB: %v", err)
	}
	s := NewScanner(io.MultiReader(strings.NewReader("SELECT '"), endless{}))
	s.limit = 4 << 20
	_, err = s.Next(false)
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("an endless literal: %v", err)
	}
}

// endless is a's for ever.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

func FuzzScanner(f *testing.F) {
	for _, s := range []string{"SELECT 'a';", "COPY t FROM stdin;\n1\n\\.\n", "$a$;$a$", "/* /* */", "U&'", "E'\\", "\\connect a\n", "CREATE FUNCTION f() BEGIN; END;", "(;"} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, script string, backslashes bool) {
		whole, parts := 0, split(t, script, backslashes)
		for _, p := range parts {
			if !strings.HasPrefix(p, "ERROR ") {
				whole += len(strings.TrimPrefix(p, "ROWS "))
			}
		}
		// A block comment becomes a space; nothing else grows.
		if whole > len(script)+1 {
			t.Fatalf("%q became longer: %q", script, parts)
		}
	})
}
