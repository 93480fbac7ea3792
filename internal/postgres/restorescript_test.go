package postgres

import (
	"errors"
	"fmt"
	"testing"
)

func TestAScriptIsItsSettingsAndTheRest(t *testing.T) {
	t.Parallel()
	const head = "--\n-- PostgreSQL database dump\n--\n\n\\restrict abcDEF1\n\n-- Dumped from database version 15.18\n\nSET statement_timeout = 0;\nSET transaction_timeout = 0;\nSELECT pg_catalog.set_config('search_path', '', false);\nSET row_security = off;\n\n--\n"
	const body = "-- Name: f(); Type: FUNCTION; Schema: public; Owner: -\n--\n\nCREATE FUNCTION public.f() RETURNS void LANGUAGE sql AS $$\nSET statement_timeout = 1;\n\\restrict x\n$$;\n\n\n--\n-- PostgreSQL database dump complete\n--\n\n"
	s := splitScript(head + body + "\\unrestrict abcDEF1\n\n")
	var names []string
	for _, set := range s.Settings {
		names = append(names, set.Name)
	}
	if fmt.Sprint(names) != "[statement_timeout transaction_timeout search_path row_security]" || s.SQL != "--\n"+body {
		t.Errorf("%q, %q", names, s.SQL)
	}
	if s := splitScript(head); s.SQL != "" || len(s.Settings) != 4 {
		t.Errorf("%+v", s)
	}
}

func TestOnlySettingsThatWereKnownToFailAreNoFailure(t *testing.T) {
	t.Parallel()
	// As pg_restore 17.11 said it of a server 15.18.
	const setting = "pg_restore: while INITIALIZING:\npg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter \"transaction_timeout\"\nCommand was: SET transaction_timeout = 0;\n"
	const index = "pg_restore: error: could not execute query: ERROR:  could not create unique index \"u\"\nDETAIL:  Key (id)=(1) is duplicated.\nCommand was: CREATE UNIQUE INDEX u ON public.chk USING btree (id);\n\n\n"
	unknown := []string{"transaction_timeout"}
	for name, c := range map[string]struct {
		said    string
		code    int
		unknown []string
		want    bool
	}{
		"the setting":         {setting + "pg_restore: warning: errors ignored on restore: 1\n", 1, unknown, true},
		"of several sessions": {setting + setting + setting, 1, unknown, true},
		"cut at its start":    {"onfiguration parameter \"transaction_timeout\"\nCommand was: SET transaction_timeout = 0;\n" + setting, 1, unknown, true},
		"and an index":        {setting + index, 1, unknown, false},
		"another setting":     {setting, 1, []string{"other"}, false},
		"none expected":       {setting, 1, nil, false},
		"killed":              {setting, -1, unknown, false},
		"nothing said":        {"", 1, unknown, false},
	} {
		err := fmt.Errorf("restore: %w", &ToolError{Tool: "pg_restore", ExitCode: c.code, Stderr: c.said})
		if got := onlyUnknownSettings(err, c.unknown); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if onlyUnknownSettings(nil, unknown) || onlyUnknownSettings(errors.New("transaction_timeout"), unknown) {
		t.Error("another error is taken for a setting")
	}
}

func TestPatternsMatchNamesAsPgDumpDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, schema, table string
		match, literal         bool
	}{
		{"orders", "shop", "orders", true, true},
		{"ORDERS", "shop", "orders", true, true},
		{`"ORDERS"`, "shop", "orders", false, true},
		{"shop.ord*", "shop", "orders", true, false},
		{"shop.ord*", "shop2", "orders", false, false},
		{"o?ders", "x", "orders", true, false},
		{`"dot.ted"."a.*"`, "dot.ted", "a.*", true, true},
		{`"dot.ted"."a.*"`, "dot.ted", "a.b", false, true},
		{"line*", "public", "line\nbreak", true, false},
		{"a|b", "public", "b", true, false},
	} {
		p, err := TablePattern(c.pattern)
		if err != nil || p.Match(c.schema, c.table) != c.match || p.Literal != c.literal {
			t.Errorf("%s on %s.%s: %v, literal %v, %v", c.pattern, c.schema, c.table, !c.match, p.Literal, err)
		}
	}
	for _, bad := range []string{"a.b.c", "a(", "[a"} {
		if _, err := TablePattern(bad); !errors.Is(err, ErrNoMatch) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if p, err := SchemaPattern("s*"); err != nil || !p.Match("shop", "any") || p.Match("x", "shop") {
		t.Errorf("%+v, %v", p, err)
	}
}
