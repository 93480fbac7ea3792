package foreign

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every format that pg_dump writes, in the wrappings that people use, comes back as
// the database it was dumped from.
func TestEveryFormatAndWrappingRestoresTheDatabaseThatWasDumped(t *testing.T) {
	pg := sampleServer(t)
	dir := t.TempDir()
	// The names say nothing of the content: it alone counts.
	type dumped struct {
		file   string
		of     string // database
		format Format
		layers int
		jobs   int
	}
	cases := map[string]dumped{}
	for _, db := range []string{sampleDatabase, smallDatabase} {
		dir := filepath.Join(dir, db)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		at := func(name string) string { return filepath.Join(dir, name) }
		sql := write(t, pg, at("a"), "pg_dump", "-Fp", db)
		custom := write(t, pg, at("d"), "pg_dump", "-Fc", db)
		archive := write(t, pg, at("e"), "pg_dump", "-Ft", db)
		write(t, pg, at("log"), "pg_dump", "-Fd", "-j2", "-f", at("folder"), db)
		folder := at("folder")
		tarred, inside := at("g"), at("h")
		output(t, command(t, "tar", "-C", dir, "-cf", "-", "folder"), nil, tarred)
		output(t, command(t, "tar", "-C", folder, "-cf", "-", "."), nil, inside)
		for name, c := range map[string]dumped{
			"plain SQL":                       {file: sql, format: SQL},
			"plain SQL that makes a database": {file: write(t, pg, at("c"), "pg_dump", "-Fp", "--create", "--clean", "--if-exists", "--verbose", db), format: SQL},
			"plain SQL that drops first":      {file: write(t, pg, at("b"), "pg_dump", "-Fp", "--clean", db), format: SQL},
			"custom, with workers":            {file: custom, format: Custom, jobs: 4},
			"custom, one after the other":     {file: custom, format: Custom, jobs: 1},
			"tar":                             {file: archive, format: Tar},
			"directory":                       {file: folder, format: Directory, jobs: 2},
			"tar of a directory":              {file: tarred, format: TarFolder, jobs: 1},
		} {
			c.of = db
			cases[db+", "+name] = c
		}
		if db == sampleDatabase {
			continue
		}
		gz := func(f string) string { return wrap(t, f, ".x", "gzip", "-1") }
		enc := func(f string) string { return wrap(t, f, ".y", encrypt...) }
		for name, c := range map[string]dumped{
			"plain SQL with INSERT":             {file: write(t, pg, at("i"), "pg_dump", "-Fp", "--inserts", "--rows-per-insert=7", db), format: SQL},
			"plain SQL, gzip":                   {file: gz(sql), format: SQL, layers: 1},
			"plain SQL, gzip, openssl":          {file: enc(gz(sql)), format: SQL, layers: 2},
			"plain SQL, zstd":                   {file: wrap(t, sql, ".zst", "zstd", "-c"), format: SQL, layers: 1},
			"plain SQL, bzip2":                  {file: wrap(t, sql, ".bz2", "bzip2", "-c"), format: SQL, layers: 1},
			"plain SQL, openssl in base64":      {file: wrap(t, sql, ".a", append(slices.Clone(encrypt), "-a")...), format: SQL, layers: 2},
			"plain SQL, openssl, gzip":          {file: gz(enc(sql)), format: SQL, layers: 2},
			"plain SQL, openssl of old":         {file: wrap(t, sql, ".old", "openssl", "enc", "-aes-256-cbc", "-md", "md5", "-salt", "-pass", "env:BACKUP_ENCRYPTION_KEY"), format: SQL, layers: 1},
			"custom, openssl":                   {file: enc(custom), format: Custom, layers: 1, jobs: 4},
			"custom, gzip":                      {file: gz(custom), format: Custom, layers: 1, jobs: 4},
			"tar, gzip, openssl":                {file: enc(gz(archive)), format: Tar, layers: 2},
			"directory, one after the other":    {file: folder, format: Directory, jobs: 1},
			"tar of what is in one, gzip":       {file: gz(inside), format: TarFolder, layers: 1, jobs: 1},
			"tar of a directory, gzip, openssl": {file: enc(gz(tarred)), format: TarFolder, layers: 2, jobs: 2},
		} {
			c.of = db
			cases[db+", "+name] = c
		}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			source := find(t, c.file)
			temp := t.TempDir()
			result, err := Load(t.Context(), Options{Source: source, Key: passphrase(testPassphrase), Target: target(t, pg, databaseName(t)), Jobs: c.jobs, TempDir: temp})
			if err != nil {
				t.Fatal(err)
			}
			if f := result.Facts; f.Format != c.format || len(f.Layers) != c.layers {
				t.Errorf("it is taken for %s in %q", f.Format, f.Layers)
			}
			if diff := pg.SchemaDiff(t, c.of, databaseName(t)); diff != "" {
				t.Error(diff)
			}
			if result.Rows == 0 || result.Tables == 0 || !result.Created {
				t.Errorf("%+v", result)
			}
			if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestOneDatabaseOfADumpOfAllIsChosenByName(t *testing.T) {
	pg := sampleServer(t)
	odd := `odd "name' \x`
	quoted := `"` + strings.ReplaceAll(odd, `"`, `""`) + `"`
	pg.Exec(t, "postgres", "CREATE DATABASE "+quoted, "CREATE ROLE only_in_the_file PASSWORD 'x'", "COMMENT ON ROLE only_in_the_file IS 'hello'")
	pg.Exec(t, odd, "CREATE TABLE t (id int)", "INSERT INTO t SELECT generate_series(1, 10)", "ALTER TABLE t OWNER TO only_in_the_file")
	all := wrap(t, write(t, pg, filepath.Join(t.TempDir(), "all"), "pg_dumpall"), ".gz", "gzip")
	pg.Exec(t, "postgres", "DROP DATABASE "+quoted+" WITH (FORCE)", "DROP ROLE only_in_the_file")
	t.Cleanup(func() { pg.Exec(t, "postgres", "DROP ROLE IF EXISTS only_in_the_file") })

	o := Options{Source: find(t, all), Target: target(t, pg, databaseName(t))}
	if _, err := Load(t.Context(), o); !strings.Contains(errText(err), odd) || !strings.Contains(errText(err), sampleDatabase) {
		t.Fatalf("several, none chosen: %v", err)
	}
	o.Database = "nothing"
	if _, err := Load(t.Context(), o); !strings.Contains(errText(err), "does not hold that database") {
		t.Fatalf("one that is not there: %v", err)
	}
	o.Database = odd
	if _, err := Load(t.Context(), o); !strings.Contains(errText(err), "only_in_the_file") {
		t.Fatalf("a role is missing: %v", err)
	}
	o.Globals = true
	result, err := Load(t.Context(), o)
	if err != nil || result.Rows != 10 || result.Tables != 1 || result.Of != odd {
		t.Fatalf("%+v, %v", result, err)
	}
	var owner, comment string
	if err := pg.Connect(t, databaseName(t)).QueryRow(t.Context(), "SELECT tableowner, shobj_description((SELECT oid FROM pg_roles WHERE rolname = tableowner), 'pg_authid') FROM pg_tables WHERE tablename = 't'").Scan(&owner, &comment); err != nil || owner != "only_in_the_file" || comment != "hello" {
		t.Errorf("%q, %q, %v", owner, comment, err)
	}
	pg.Exec(t, "postgres", `DROP DATABASE "`+databaseName(t)+`" WITH (FORCE)`)
	o.Database = sampleDatabase
	if _, err := Load(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if diff := pg.SchemaDiff(t, sampleDatabase, databaseName(t)); diff != "" {
		t.Error(diff)
	}
}
