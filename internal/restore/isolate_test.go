package restore

import (
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
)

func TestASchedulerIsLeftOutWithItsTablesAndAllThatNeedsIt(t *testing.T) {
	t.Parallel()
	const pre, data = pgarchive.SectionPreData, pgarchive.SectionData
	toc := &pgarchive.TOC{Entries: []pgarchive.Entry{
		{DumpID: 1, Desc: "EXTENSION", Tag: "pg_cron", Section: pre},
		{DumpID: 2, Desc: "COMMENT", Tag: "EXTENSION pg_cron", Deps: []int32{1}},
		{DumpID: 3, Desc: "FUNCTION", Namespace: "public", Tag: "jobs()", Section: pre, Deps: []int32{1}},
		{DumpID: 4, Desc: "VIEW", Namespace: "public", Tag: "v", Section: pre, Deps: []int32{3}},
		{DumpID: 5, Desc: "ACL", Namespace: "public", Tag: "TABLE v", Deps: []int32{4}},
		{DumpID: 6, Desc: "TABLE", Namespace: "public", Tag: "t", Section: pre},
		{DumpID: 7, Desc: "TABLE DATA", Namespace: "cron", Tag: "job", Section: data, Deps: []int32{1}},
		{DumpID: 8, Desc: "TABLE DATA", Namespace: "public", Tag: "t", Section: data, Deps: []int32{6}},
		{DumpID: 9, Desc: "TRIGGER", Namespace: "public", Tag: "t trig", Section: pgarchive.SectionPostData, Deps: []int32{6, 3}},
	}}
	r := &run{toc: toc, family: newFamily(toc), leftOut: map[int32]bool{}}
	r.isolate()
	for i := range toc.Entries {
		e := &toc.Entries[i]
		if want := e.Tag == "t"; r.wanted(e) != want {
			t.Errorf("%s: restored %v", e, !want)
		}
	}
	if n := len(r.result.LeftOut); n != 4 {
		t.Errorf("%d things are said to be left out: %+v", n, r.result.LeftOut)
	}
}

func TestOptionsOfForeignServersPointNowhereAndKeepTheirNames(t *testing.T) {
	t.Parallel()
	for was, want := range map[string]string{
		"CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (\n    dbname 'a, host ''b''',\n    host 'db.example.org',\n    password 'p''w'\n);\n": "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (\n    dbname 'a, host ''b''',\n    host 'isolated.invalid',\n    password ''\n);\n",
		"CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw;\n":                                                        "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (\n    host 'isolated.invalid'\n);\n",
		"CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (\n    dbname 'x'\n);\n":                           "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (\n    host 'isolated.invalid',\n    dbname 'x'\n);\n",
		"CREATE SERVER s TYPE 'oracle' FOREIGN DATA WRAPPER oracle_fdw OPTIONS (\n    dbserver '//prod:1521/X'\n);\n": "CREATE SERVER s TYPE 'oracle' FOREIGN DATA WRAPPER oracle_fdw OPTIONS (\n    dbserver '//isolated.invalid/none'\n);\n",
		"CREATE SERVER s FOREIGN DATA WRAPPER file_fdw;\n":                                                            "CREATE SERVER s FOREIGN DATA WRAPPER file_fdw;\n",
	} {
		if got := isolatedServer(was); got != want {
			t.Errorf("%s\nbecame\n%s", strings.TrimSpace(was), got)
		}
	}
}
