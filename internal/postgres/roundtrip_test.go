package postgres_test

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestSampleDatabaseComesBackEqualFromATableOfContentsAndRanges(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	testenv.LoadSample(t, pg, "app")
	from := target(t, pg.URL("app"))
	programs := tools(t, pg)
	snapshot := openSnapshot(t, from, postgres.Selection{}, postgres.SnapshotOptions{})
	archive, r := dump(t, programs, from, postgres.Selection{}, snapshot)
	if err := snapshot.Release(); err != nil {
		t.Fatal(err)
	}

	// What was listed is what was dumped.
	listed := map[string]bool{}
	for _, table := range snapshot.Tables {
		listed[table.Schema+"."+table.Name] = true
	}
	dumped := map[string]bool{}
	for _, d := range r.Data() {
		if d.Entry.Desc == "TABLE DATA" {
			dumped[d.Entry.Namespace+"."+d.Entry.Tag] = true
		}
	}
	if diff := cmp.Diff(dumped, listed); diff != "" {
		t.Errorf("dumped (-) and listed (+) differ:\n%s", diff)
	}

	// pg_restore, the reference reader, agrees that it is an archive.
	check, err := postgres.RestoreCheck(ctx, programs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := check.Stdin.Write(archive); err != nil {
		t.Error(err)
	}
	_ = check.Stdin.Close()
	if err := check.Wait(); err != nil {
		t.Error(err)
	}

	restoreByRanges(t, programs, pg, archive, r)
	compareDatabases(t, programs, pg, from, from.WithDatabase("restored"), r)
}

// restoreByRanges makes database restored from parts of an archive.
func restoreByRanges(t *testing.T, programs postgres.Tools, pg *testenv.PostgresServer, archive []byte, r *pgarchive.Reader) {
	t.Helper()
	ctx := t.Context()
	from, to := target(t, pg.URL("app")), target(t, pg.URL("restored"))
	properties, err := postgres.ReadDatabaseProperties(ctx, connect(t, from))
	if err != nil {
		t.Fatal(err)
	}
	if err := postgres.CreateDatabase(ctx, from, "restored", properties); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, to)
	if err := postgres.DatabaseEmpty(ctx, conn); err != nil {
		t.Fatal(err)
	}
	toc := r.TOC()
	options := postgres.RestoreOptions{ServerMajor: pg.Major}
	if err := postgres.RestorePreData(ctx, programs, to, strings.NewReader(toc.Raw), options); err != nil {
		t.Fatal(err)
	}
	if err := postgres.DatabaseEmpty(ctx, conn); err == nil {
		t.Error("a restored database passes for empty")
	}
	if err := postgres.PrepareSession(ctx, conn, "UTF8"); err != nil {
		t.Fatal(err)
	}
	objects := bytes.NewBufferString(toc.Raw)
	for _, d := range r.Data() {
		if d.Entry.Desc != "TABLE DATA" {
			objects.Write(archive[d.Start:d.End])
			continue
		}
		text := pgarchive.Deframe(bytes.NewReader(archive[d.First:d.End]), toc.Header)
		rows, err := postgres.CopyIn(ctx, conn, d.Entry.CopyStmt, text)
		if err != nil {
			t.Fatal(err)
		}
		if rows != d.Sum.Rows {
			t.Errorf("%s: %d rows copied, %d in the archive", d.Entry, rows, d.Sum.Rows)
		}
	}
	if err := postgres.RestoreDataRest(ctx, programs, to, objects, toc, options); err != nil {
		t.Fatal(err)
	}
	options.Jobs = 2
	if err := postgres.RestorePostData(ctx, programs, to, strings.NewReader(toc.Raw), options); err != nil {
		t.Fatal(err)
	}
}

func compareDatabases(t *testing.T, programs postgres.Tools, pg *testenv.PostgresServer, from, to postgres.Target, r *pgarchive.Reader) {
	t.Helper()
	ctx := t.Context()
	schemas := map[string]string{}
	sequences := map[string][]postgres.Sequence{}
	for _, side := range []postgres.Target{from, to} {
		conn := connect(t, side)
		if err := postgres.PrepareSession(ctx, conn, "UTF8"); err != nil {
			t.Fatal(err)
		}
		for _, d := range r.Data() {
			if d.Entry.Desc != "TABLE DATA" {
				continue
			}
			sum, err := postgres.TableHash(ctx, conn, d.Entry.CopyStmt)
			if err != nil {
				t.Error(err)
			} else if sum != d.Sum {
				t.Errorf("%s in %s: %v, in the archive %v", d.Entry, side.Database, sum, d.Sum)
			}
		}
		var archived pgarchive.Sum
		for _, d := range r.Data() {
			if d.Entry.Desc == "BLOBS" {
				archived = d.Sum
			}
		}
		if sum, err := postgres.LargeObjectHash(ctx, conn); err != nil || sum != archived || sum.Rows != 5 {
			t.Errorf("large objects in %s: %v, %v; in the archive %v", side.Database, sum, err, archived)
		}
		var err error
		if sequences[side.Database], err = postgres.SequenceValues(ctx, conn); err != nil {
			t.Error(err)
		}
		schemas[side.Database] = schemaOf(t, pg, side.Database)
	}
	if diff := cmp.Diff(schemas[from.Database], schemas[to.Database]); diff != "" {
		t.Errorf("schemas differ:\n%s", diff)
	}
	if diff := cmp.Diff(sequences[from.Database], sequences[to.Database]); diff != "" {
		t.Errorf("sequences differ:\n%s", diff)
	}
}

// schemaOf is the schema as plain SQL, without the token that differs each time.
func schemaOf(t *testing.T, pg *testenv.PostgresServer, db string) string {
	t.Helper()
	cmd := pg.Command(t.Context(), "pg_dump", "--schema-only", db)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := slices.DeleteFunc(strings.Split(string(out), "\n"), func(l string) bool {
		return strings.HasPrefix(l, `\restrict`) || strings.HasPrefix(l, `\unrestrict`)
	})
	return strings.Join(lines, "\n")
}

func TestSelectionsAreWhatPgDumpTakes(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	testenv.LoadSample(t, pg, "app")
	pg.Exec(t, "app", "CREATE SCHEMA vis", `CREATE TABLE vis.orders (id int)`, `CREATE TABLE public.ONE (id int)`, `ALTER DATABASE app SET search_path = public, vis`)
	from, programs := target(t, pg.URL("app")), tools(t, pg)
	for name, sel := range map[string]postgres.Selection{
		"everything":              {},
		"a schema":                {IncludeSchemas: []string{"shop"}},
		"schemas by wildcard":     {IncludeSchemas: []string{"s*", `"Schema with space"`}},
		"a quoted schema":         {IncludeSchemas: []string{`"qu""ote's"`}},
		"a schema with a dot":     {IncludeSchemas: []string{`"dot.ted"`}},
		"without schemas":         {ExcludeSchemas: []string{"types", `"Ünïcødé 数据 🐘"`}},
		"a visible table":         {IncludeTables: []string{"orders"}},
		"a table of a schema":     {IncludeTables: []string{"shop.orders"}},
		"all in a schema":         {IncludeTables: []string{"shop.*"}},
		"upper case folds":        {IncludeTables: []string{"UPPER"}},
		"upper case quoted":       {IncludeTables: []string{`public."UPPER"`}},
		"question marks":          {IncludeTables: []string{"shop.events_20??"}},
		"regular expression":      {IncludeTables: []string{"shop.(cars|vehicles)"}},
		"quoted specials":         {IncludeTables: []string{`"star*question?"`}},
		"every special quoted":    {IncludeTables: []string{`public."dollar$|pipe(paren)[bracket]^+\back"`}},
		"name with dot":           {IncludeTables: []string{`"dot.ted"."a.b"`}},
		"with the database":       {IncludeTables: []string{"app.shop.orders"}},
		"without a table":         {ExcludeTables: []string{"shop.events*", `types.everything`}},
		"table and not a schema":  {IncludeTables: []string{"shop.o*", "types.b*"}, ExcludeSchemas: []string{"types"}},
		"table and schema":        {IncludeTables: []string{"shop.orders"}, IncludeSchemas: []string{"types"}},
		"schema without a table":  {IncludeSchemas: []string{"shop"}, ExcludeTables: []string{"shop.ev*"}},
		"excluding nothing there": {ExcludeTables: []string{"nothing.like_it"}},
		"a partitioned parent":    {IncludeTables: []string{"shop.events"}},
		"several":                 {IncludeTables: []string{"shop.orders", "types.floats", "shop.orders"}},
	} {
		t.Run(name, func(t *testing.T) {
			snapshot := openSnapshot(t, from, sel, postgres.SnapshotOptions{})
			_, r := dump(t, programs, from, sel, snapshot)
			listed, dumped := map[string]bool{}, map[string]bool{}
			for _, table := range snapshot.Tables {
				listed[table.Schema+"."+table.Name] = true
			}
			for _, d := range r.Data() {
				if d.Entry.Desc == "TABLE DATA" {
					dumped[d.Entry.Namespace+"."+d.Entry.Tag] = true
				}
			}
			if !maps.Equal(listed, dumped) {
				t.Errorf("dumped (-) and listed (+) differ:\n%s", cmp.Diff(dumped, listed))
			}
		})
	}
	for _, c := range []struct {
		sel   postgres.Selection
		words []string
	}{
		{postgres.Selection{IncludeTables: []string{"shop.ordres"}}, []string{"shop.ordres", "nearest is shop.orders"}},
		{postgres.Selection{IncludeTables: []string{"shop.orders", "uper"}}, []string{"uper", "upper"}},
		{postgres.Selection{IncludeSchemas: []string{"shopp"}}, []string{"schema pattern shopp", "shop"}},
		{postgres.Selection{IncludeTables: []string{"a.b.c.d"}}, []string{"too many dots"}},
		{postgres.Selection{IncludeTables: []string{"other.shop.orders"}}, []string{`"other"`, `"app"`}},
		{postgres.Selection{IncludeTables: []string{"shop.(orders"}}, []string{"shop.(orders", "not valid"}},
	} {
		_, err := postgres.OpenSnapshot(context.Background(), from, c.sel, postgres.SnapshotOptions{})
		wantError(t, err, postgres.ErrNoMatch, pg.Password, c.words...)
	}
}

func TestConfigurationTablesOfExtensionsAreListedAsDumped(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	// pg_extension_config_dump is for scripts of extensions: what it records is set by hand.
	pg.Exec(t, "app", "CREATE EXTENSION hstore", "CREATE SCHEMA conf", "CREATE TABLE conf.settings (k text)", "CREATE TABLE conf.internal (k text)",
		"INSERT INTO conf.settings VALUES ('a')", "ALTER EXTENSION hstore ADD TABLE conf.settings", "ALTER EXTENSION hstore ADD TABLE conf.internal",
		"UPDATE pg_extension SET extconfig = ARRAY['conf.settings'::regclass::oid], extcondition = ARRAY[''] WHERE extname = 'hstore'")
	from, programs := target(t, pg.URL("app")), tools(t, pg)
	for name, sel := range map[string]postgres.Selection{
		"everything": {}, "its schema": {IncludeSchemas: []string{"conf"}}, "another schema": {IncludeSchemas: []string{"public"}},
		"the table": {IncludeTables: []string{"conf.settings"}}, "without it": {ExcludeTables: []string{"conf.settings"}}, "without its schema": {ExcludeSchemas: []string{"conf"}},
	} {
		snapshot := openSnapshot(t, from, sel, postgres.SnapshotOptions{})
		_, r := dump(t, programs, from, sel, snapshot)
		var dumped []string
		for _, d := range r.Data() {
			dumped = append(dumped, d.Entry.Tag)
		}
		var listed []string
		for _, table := range snapshot.Tables {
			listed = append(listed, table.Name)
		}
		if !slices.Equal(dumped, listed) {
			t.Errorf("%s: dumped %q, listed %q", name, dumped, listed)
		}
	}
}
