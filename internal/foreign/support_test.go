package foreign

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

const (
	testPassphrase = "correct horse battery staple"
	sampleDatabase = "sample"
	smallDatabase  = "small"
)

// sample is one server with the sample application, shared by the tests that only
// read it and make databases of their own.
var sample struct {
	sync.Once
	pg  *testenv.PostgresServer
	err error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if sample.pg != nil {
		if err := sample.pg.Stop(); err != nil {
			code = 1
		}
	}
	os.Exit(code)
}

func sampleServer(t testing.TB) *testenv.PostgresServer {
	t.Helper()
	sample.Do(func() {
		ctx := context.Background()
		if sample.pg, sample.err = testenv.StartPostgres(ctx, "", testenv.PostgresOptions{}); sample.err != nil {
			return
		}
		sample.pg.Exec(t, "postgres", "CREATE DATABASE "+sampleDatabase+" TEMPLATE template0")
		sample.err = sample.pg.LoadSample(ctx, sampleDatabase)
		sample.pg.Exec(t, "postgres", "CREATE DATABASE "+smallDatabase+" TEMPLATE template0")
		sample.pg.Exec(t, smallDatabase, "CREATE TABLE t (id int PRIMARY KEY, v text)", `INSERT INTO t SELECT g, md5(g::text) || E'\\.\n\\.\n' FROM generate_series(1, 20000) g`,
			"CREATE TABLE empty (id int)", "SELECT lo_from_bytea(0, 'large')", `CREATE FUNCTION f() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT 'a;b' AS a; SELECT ';' AS b; END`,
			"CREATE RULE r AS ON DELETE TO t DO ALSO (INSERT INTO empty VALUES (1); INSERT INTO empty VALUES (2))")
	})
	if sample.err != nil {
		t.Fatal(sample.err)
	}
	return sample.pg
}

// program finds a program that a test can not do without.
func program(t testing.TB, name, install string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is needed: apt-get install %s", name, install)
	}
	return path
}

// write runs one of PostgreSQL's programs and keeps what it writes.
func write(t testing.TB, pg *testenv.PostgresServer, file, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(pg.Bin, name), args...)
	cmd.Env = append(os.Environ(), pg.Env()...)
	return output(t, cmd, nil, file)
}

// output runs a program and keeps what it writes in a file.
func output(t testing.TB, cmd *exec.Cmd, stdin []byte, file string) string {
	t.Helper()
	var errs bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(stdin), &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", cmd, err, errs.String())
	}
	if err := os.WriteFile(file, out, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// wrap turns a file into another by a program that reads standard input.
func wrap(t testing.TB, file, suffix string, argv ...string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program(t, argv[0], argv[0]), argv[1:]...)
	cmd.Env = append(os.Environ(), "BACKUP_ENCRYPTION_KEY="+testPassphrase)
	return output(t, cmd, content, file+suffix)
}

var encrypt = []string{"openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-salt", "-pass", "env:BACKUP_ENCRYPTION_KEY"}

func passphrase(text string) Key {
	return Key{Passphrase: func(context.Context) ([]byte, error) { return []byte(text), nil }}
}

func find(t testing.TB, path string) *Source {
	t.Helper()
	s, err := Places{}.Find(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// file writes a file of a test.
func file(t testing.TB, name, content string) *Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return find(t, path)
}

// target is a database of a server that is gone at the end of the test.
func target(t testing.TB, pg *testenv.PostgresServer, name string) postgres.Target {
	t.Helper()
	to, err := postgres.ParseTarget(pg.URL(name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pg.Exec(t, "postgres", `DROP DATABASE IF EXISTS "`+name+`" WITH (FORCE)`) })
	return to
}

func databaseName(t testing.TB) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(t.Name()))
	if len(name) > 60 {
		name = name[len(name)-60:]
	}
	return name
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func command(t testing.TB, argv ...string) *exec.Cmd {
	t.Helper()
	return exec.Command(program(t, argv[0], argv[0]), argv[1:]...)
}
