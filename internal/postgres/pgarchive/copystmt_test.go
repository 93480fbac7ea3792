package pgarchive

import "testing"

func TestThePartitionIsToldFromTheTableItIsLoadedThrough(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		schema, table, stmt, own string
		throughRoot              bool
	}{
		{"public", "t", "COPY public.t (a, b) FROM stdin;\n", "", false},
		{"public", "t", "COPY public.t FROM stdin;\n", "", false},
		{`a"b.c`, `d (e`, `COPY "a""b.c"."d (e" ("x.y") FROM stdin;` + "\n", "", false},
		{"public", "part", "COPY public.root (a, b) FROM stdin;\n", `COPY "public"."part" (a, b) FROM stdin;` + "\n", true},
		{`s"1`, `p"1`, `COPY "S"."r ""1""" ("a.b") FROM stdin;` + "\n", `COPY "s""1"."p""1" ("a.b") FROM stdin;` + "\n", true},
		{"other", "t", "COPY public.t FROM stdin;\n", `COPY "other"."t" FROM stdin;` + "\n", true},
		{"", "t", "", "", false},
		{"public", "t", `COPY "public.t`, "", false},
	} {
		e := Entry{Namespace: c.schema, Tag: c.table, CopyStmt: c.stmt}
		if c.own == "" {
			c.own = c.stmt
		}
		if own, through := e.OwnCopy(); own != c.own || through != c.throughRoot {
			t.Errorf("%s of %s.%s: %s, %v; want %s, %v", c.stmt, c.schema, c.table, own, through, c.own, c.throughRoot)
		}
	}
}
