package foreign

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// exists tells whether a server has a database.
func exists(t testing.TB, name string) bool {
	t.Helper()
	var there bool
	err := sampleServer(t).Connect(t, "postgres").QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&there)
	if err != nil {
		t.Fatal(err)
	}
	return there
}

// Whatever psql would obey is refused before anything is made; the file is read to
// its end first.
func TestNothingThatPsqlWouldObeyIsObeyed(t *testing.T) {
	pg := sampleServer(t)
	pwned := filepath.Join(t.TempDir(), "pwned")
	for _, line := range []string{
		`\! touch ` + pwned, `\copy t from program 'touch ` + pwned + `'`, `\i /etc/passwd`, `\ir x`, `\o |touch ` + pwned, `\g |touch ` + pwned, `\w |touch ` + pwned,
		`\setenv A b`, "\\set x `touch " + pwned + "`", `\cd /`, `\lo_import /etc/passwd`, `\connect "host=evil.example"`, `\connect postgres://evil.example/x`, `\password`, `\.`, `\gexec`, `\encoding SJIS`,
	} {
		for _, script := range []string{"CREATE TABLE t (id int);\n" + line + "\n", "CREATE TABLE t (id int)\n" + line + "\n;", "COPY t FROM stdin;\n1\n\\.\n" + line + "\n"} {
			_, err := Load(t.Context(), Options{Source: file(t, "x.sql", script), Target: target(t, pg, databaseName(t))})
			if err == nil || !errors.Is(err, ErrHostile) && !strings.Contains(err.Error(), "inside a statement") {
				t.Errorf("%q: %v", script, err)
			}
		}
	}
	if exists(t, databaseName(t)) {
		t.Error("a database was made")
	}
	if _, err := os.Stat(pwned); err == nil {
		t.Error("a program was run")
	}
}

// What looks like a command inside text is text, and stays as it is.
func TestTextThatLooksLikeACommandIsText(t *testing.T) {
	pg := sampleServer(t)
	script := "CREATE TABLE t (v text);\nINSERT INTO t VALUES ('\n\\! ls\n'), ($$\n\\! ls\n$$);\nCOPY t FROM stdin;\n\\\\! ls\n\\\\.\n\\.\n/*\n\\! ls\n*/\n"
	result, err := Load(t.Context(), Options{Source: file(t, "x.sql", script), Target: target(t, pg, databaseName(t))})
	if err != nil || result.Rows != 4 {
		t.Fatalf("%+v, %v", result, err)
	}
	var n int
	if err := pg.Connect(t, databaseName(t)).QueryRow(t.Context(), `SELECT count(*) FROM t WHERE v IN (E'\n\\! ls\n', E'\\! ls', E'\\.')`).Scan(&n); err != nil || n != 4 {
		t.Errorf("%d rows are as they were, %v", n, err)
	}
}

// A COPY that hides where the server and we disagree about the end of a statement
// would make the server wait for rows for ever.
func TestACopyInsideAnotherStatementIsRefused(t *testing.T) {
	pg := sampleServer(t)
	for _, script := range []string{
		"CREATE TABLE t (id int);\ncreate function begin() returns int language sql as 'select 1'; copy t from stdin; end;\n",
		"CREATE TABLE t (id int);\nSELECT (; COPY t FROM STDIN; );\n",
	} {
		_, err := Load(t.Context(), Options{Source: file(t, "x.sql", script), Target: target(t, pg, databaseName(t))})
		if !errors.Is(err, ErrHostile) {
			t.Errorf("%q: %v", script, err)
		}
	}
}

// Statements about other databases and about the server are never run: the file
// was made on another server, where the names meant something else.
func TestAFileReachesNoDatabaseButItsTarget(t *testing.T) {
	pg := sampleServer(t)
	pg.Exec(t, "postgres", "CREATE DATABASE bystander")
	t.Cleanup(func() { pg.Exec(t, "postgres", "DROP DATABASE bystander") })
	script := `DROP DATABASE IF EXISTS bystander;
CREATE DATABASE bystander;
ALTER DATABASE bystander SET work_mem TO '99MB';
\connect bystander
CREATE TABLE t (id int);
COMMENT ON DATABASE bystander IS 'x';
ALTER ROLE postgres SET work_mem TO '99MB';
ALTER SYSTEM SET work_mem = '99MB';
DROP ROLE sample_reader;
`
	result, err := Load(t.Context(), Options{Source: file(t, "x.sql", script), Target: target(t, pg, databaseName(t))})
	if err != nil || result.Tables != 1 || result.Of != "bystander" {
		t.Fatalf("%+v, %v", result, err)
	}
	if len(result.Notes) != 1 || !strings.Contains(result.Notes[0], "left out 7 statements: about databases, roles or tablespaces") {
		t.Errorf("notes: %q", result.Notes)
	}
	var touched int
	err = pg.Connect(t, "bystander").QueryRow(t.Context(), `SELECT count(*) FROM pg_class WHERE relname = 't' AND relnamespace = 'public'::regnamespace`).Scan(&touched)
	if err != nil || touched != 0 {
		t.Errorf("%d, %v", touched, err)
	}
	if err = pg.Connect(t, "postgres").QueryRow(t.Context(), "SELECT count(*) FROM pg_db_role_setting").Scan(&touched); err != nil || touched != 0 {
		t.Errorf("%d settings, %v", touched, err)
	}
}

func tarOf(t testing.TB, headers ...tar.Header) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		h.Mode = 0o644
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(bytes.Repeat([]byte("x"), int(h.Size))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestATarLeadsNowhereButIntoItsFolder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content string
		kind    error
	}{
		"up":                {tarOf(t, tar.Header{Name: "../toc.dat", Size: 1}), ErrHostile},
		"up, inside":        {tarOf(t, tar.Header{Name: "a/../../toc.dat", Size: 1}), ErrHostile},
		"absolute":          {tarOf(t, tar.Header{Name: "/tmp/toc.dat", Size: 1}), ErrHostile},
		"a symbolic link":   {tarOf(t, tar.Header{Name: "toc.dat", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}), ErrHostile},
		"a folder as link":  {tarOf(t, tar.Header{Name: "d", Typeflag: tar.TypeSymlink, Linkname: "/tmp"}, tar.Header{Name: "d/toc.dat", Size: 1}), ErrHostile},
		"a hard link":       {tarOf(t, tar.Header{Name: "1.dat", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}), ErrHostile},
		"a device":          {tarOf(t, tar.Header{Name: "toc.dat", Typeflag: tar.TypeChar}), ErrHostile},
		"a pipe":            {tarOf(t, tar.Header{Name: "toc.dat", Typeflag: tar.TypeFifo}), ErrHostile},
		"twice":             {tarOf(t, tar.Header{Name: "a/toc.dat", Size: 1}, tar.Header{Name: "a/toc.dat", Size: 1}), ErrHostile},
		"two dumps":         {tarOf(t, tar.Header{Name: "a/toc.dat", Size: 1}, tar.Header{Name: "b/toc.dat", Size: 1}), ErrUnknown},
		"no dump":           {tarOf(t, tar.Header{Name: "a/b.sql", Size: 1}), ErrUnknown},
		"more than fits":    {tarOf(t, tar.Header{Name: "a/toc.dat", Size: 1}, tar.Header{Name: "a/1.dat", Size: 1 << 20}), ErrHostile},
		"not what it seems": {tarOf(t, tar.Header{Name: "a/toc.dat", Size: 5000}), ErrUnknown},
		"cut":               {tarOf(t, tar.Header{Name: "a/toc.dat", Size: 5000})[:3000], ErrTruncated},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			u, err := unpackTar(t.Context(), strings.NewReader(c.content), dir, 100_000)
			if err == nil {
				_, err = (&dump{}).headOfFolder(u.folder)
				if rmErr := u.remove(); rmErr != nil {
					t.Error(rmErr)
				}
			}
			if !errors.Is(err, c.kind) {
				t.Errorf("%v", err)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestEndlessWrappingsAreRefused(t *testing.T) {
	t.Parallel()
	content := []byte("SELECT 1;")
	for range maxLayers + 1 {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		content = b.Bytes()
	}
	if _, err := Examine(t.Context(), Options{Source: file(t, "x", string(content))}); !errors.Is(err, ErrHostile) {
		t.Error(err)
	}
}

func TestWhatIsNoDumpIsRefusedWithWhatToDo(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"":                               "it is empty",
		"\xfd7zXZ\x00rest":               "xz -d",
		"\x04\x22\x4d\x18":               "lz4 -d",
		"PK\x03\x04":                     "ZIP",
		"-- MySQL dump 10.13\n":          "MySQL",
		"<!DOCTYPE html><html>":          "page of a web server",
		"<?xml version=\"1.0\"?><Error>": "word of a store",
		"\xff\xfe-\x00-\x00":             "PowerShell",
		"PGDMP\x01\x0e\x00\x04\x08\x03":  "give the whole folder",
		"PGDMP":                          "ends in its head",
		"-----BEGIN PGP MESSAGE-----":    "gpg -d",
		"hello world":                    "not recognised",
		"SELECT\x00":                     "not recognised",
		"-- only a comment":              "not recognised",
	} {
		_, err := Examine(t.Context(), Options{Source: file(t, "x.sql", content)})
		if !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", content, err)
		}
	}
}

// A file that lacks its end, or has another than it had, fills no database.
func TestAFileThatIsCutOrChangedFillsNothing(t *testing.T) {
	pg := sampleServer(t)
	dir := t.TempDir()
	sql := write(t, pg, filepath.Join(dir, "sql"), "pg_dump", smallDatabase)
	custom := write(t, pg, filepath.Join(dir, "custom"), "pg_dump", "-Fc", smallDatabase)
	archive := write(t, pg, filepath.Join(dir, "tar"), "pg_dump", "-Ft", smallDatabase)
	gz := wrap(t, sql, ".gz", "gzip")
	all := map[string]string{"sql": sql, "custom": custom, "tar": archive, "gzip": gz, "zstd": wrap(t, sql, ".zst", "zstd", "-c"), "bzip2": wrap(t, sql, ".bz2", "bzip2", "-c"),
		"openssl": wrap(t, sql, ".enc", encrypt...), "openssl of gzip": wrap(t, gz, ".enc", encrypt...), "custom in openssl": wrap(t, custom, ".enc", encrypt...), "custom in gzip": wrap(t, custom, ".gz", "gzip")}
	for name, path := range all {
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		flipped := bytes.Clone(whole)
		flipped[len(flipped)-20] ^= 0x55
		damaged := map[string][]byte{"cut in the middle": whole[:len(whole)/2], "cut at the end": whole[:len(whole)-17]}
		// One byte of text is another text, and CBC makes of one byte another; only
		// checksums tell.
		if strings.HasSuffix(name, "gzip") || name == "zstd" || name == "bzip2" {
			damaged["changed"] = flipped
		}
		if name == "tar" {
			delete(damaged, "cut at the end") // it ends with empty blocks
		}
		for how, content := range damaged {
			t.Run(name+" "+how, func(t *testing.T) {
				_, err := Load(t.Context(), Options{Source: file(t, "x", string(content)), Key: passphrase(testPassphrase), Target: target(t, pg, databaseName(t)), Jobs: 2})
				if err == nil {
					t.Error("it was loaded")
				}
				if exists(t, databaseName(t)) {
					t.Error("a database is left")
				}
			})
		}
	}
}

func TestAWrongPassphraseIsTold(t *testing.T) {
	pg := sampleServer(t)
	dir := t.TempDir()
	for _, format := range []string{"-Fp", "-Fc"} {
		path := wrap(t, write(t, pg, filepath.Join(dir, format), "pg_dump", format, smallDatabase), ".enc", append(encrypt, "-iter", "777")...)
		for name, c := range map[string]struct {
			key  Key
			want error
		}{
			"none":             {Key{}, ErrNoPassphrase},
			"wrong":            {Key{Passphrase: passphrase("wrong").Passphrase, Iterations: 777}, ErrPassphrase},
			"wrong iterations": {passphrase(testPassphrase), ErrPassphrase},
			"right":            {Key{Passphrase: passphrase(testPassphrase).Passphrase, Iterations: 777}, nil},
		} {
			_, err := Examine(t.Context(), Options{Source: find(t, path), Key: c.key})
			if !errors.Is(err, c.want) || strings.Contains(errText(err), testPassphrase) {
				t.Errorf("%s, %s: %v", format, name, err)
			}
		}
	}
}

// Loading stops at the first error, says where it is, and leaves nothing behind
// but in a database that was there before.
func TestAFailedLoadSaysTheLineAndLeavesNothing(t *testing.T) {
	pg := sampleServer(t)
	for script, want := range map[string]string{
		"CREATE TABLE t (id int);\nSELECT 1;\nSELECT 1\n  FROM missing;\n":                 "line 4: SELECT 1: ERROR: relation \"missing\"",
		"CREATE TABLE t (id int);\nCOPY t FROM stdin;\n1\nx\n\\.\n":                        "line 2: COPY t FROM stdin: ERROR: invalid input syntax for type integer: \"x\" (SQLSTATE 22P02) (COPY t, line 2, column id",
		"CREATE TABLE t (id int);\nCOPY missing FROM stdin;\n1\n\\.\n":                     "line 2: COPY missing",
		"CREATE TABLE t (id int);\nSET client_encoding = 'SJIS';\nSELECT 1;\n":             "turn the file into UTF-8 first",
		"CREATE TABLE t (id int);\nSELECT pg_terminate_backend(pg_backend_pid());\n":       "line 2",
		"CREATE TABLE t (id int);\nCREATE FUNCTION f() RETURNS nobody LANGUAGE sql AS '';": "type \"nobody\" does not exist",
	} {
		to := target(t, pg, databaseName(t))
		o := Options{Source: file(t, "x.sql", script), Target: to}
		if _, err := Load(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", script, err)
		}
		if exists(t, databaseName(t)) {
			t.Errorf("%q: a database is left", script)
		}
	}
	pg.Exec(t, "postgres", "CREATE DATABASE "+databaseName(t))
	o := Options{Source: file(t, "x.sql", "CREATE TABLE t (id int);\nSELECT * FROM missing;\n"), Target: target(t, pg, databaseName(t))}
	if _, err := Load(t.Context(), o); !strings.Contains(errText(err), "was there before and now holds a part of the file") {
		t.Error(err)
	}
	if _, err := Load(t.Context(), o); !errors.Is(err, postgres.ErrNotEmpty) {
		t.Error(err)
	}
}

func TestALoadThatIsInterruptedLeavesNothing(t *testing.T) {
	pg := sampleServer(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("somebody stopped it")
	o := Options{Source: file(t, "x.sql", "CREATE TABLE t (id int);\nSELECT pg_sleep(60);\n"), Target: target(t, pg, databaseName(t)), Progress: &Progress{}}
	done := make(chan error, 1)
	go func() { _, err := Load(ctx, o); done <- err }()
	for o.Progress.Step.Load() == nil || *o.Progress.Step.Load() != "loading" {
		select {
		case err := <-done:
			t.Fatal(err)
		default:
		}
	}
	cancel(stop)
	if err := <-done; !errors.Is(err, stop) {
		t.Error(err)
	}
	if exists(t, databaseName(t)) {
		t.Error("a database is left")
	}
}

func FuzzRecognise(f *testing.F) {
	for _, s := range []string{"-- PostgreSQL database dump\n", "PGDMP\x01\x0e\x00\x04\x08\x01", "BZh91AY&SY", "\x1f\x8b\x08", "Salted__12345678", "U2FsdGVkX1", "\\connect a\n", "SET x;"} {
		f.Add([]byte(s))
	}
	f.Add([]byte(tarOf(f, tar.Header{Name: "toc.dat", Size: 20})))
	f.Fuzz(func(t *testing.T, content []byte) {
		s, err := unwrap(t.Context(), bytes.NewReader(content), passphrase("x"))
		if err == nil {
			s.Close()
		}
		_, _ = parseArchiveHead(content)
	})
}
