//go:build majors

package proof

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

var (
	runner = flag.String("runner", "", "absolute path of pgbackup-runner")
	majors = flag.String("majors", "", "absolute path of the folder with pg17 and pg18, as ensure-majors.sh makes it")
)

// programs is the directory of the programs of one of the majors that
// ensure-majors.sh prepares.
func programs(t *testing.T, major int) string {
	t.Helper()
	bin := filepath.Join(*majors, "pg"+strconv.Itoa(major), "programs")
	if _, err := os.Stat(filepath.Join(bin, "initdb")); err != nil || *runner == "" {
		t.Fatalf("-runner and -majors name no runner and no PostgreSQL %d: run it as `make test-majors` does (%v)", major, err)
	}
	return bin
}

// installed is a server of the major that this machine has, older than those beside it.
func installed(t *testing.T) *testenv.PostgresServer {
	t.Helper()
	p := testenv.Postgres(t)
	if p.Major >= 17 {
		t.Fatalf("the PostgreSQL in %s is %d, and these tests go up to 17 from an older one: set PGBACKUP_PG_BIN to the programs of one", p.Bin, p.Major)
	}
	return p
}

// ended is what a run of the runner left.
type ended struct {
	code     int
	out, log string
}

// invoke runs the runner where only the PostgreSQL programs of bin are installed.
func invoke(t *testing.T, bin, repository string, args ...string) ended {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), *runner, append(args, "--repository", repository)...)
	cmd.Env = append(os.Environ(), "PGBACKUP_PG_BIN="+bin)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ended{cmd.ProcessState.ExitCode(), out.String(), log.String()}
}

// must is invoke of what has to end with code.
func must(t *testing.T, code int, bin, repository string, args ...string) ended {
	t.Helper()
	got := invoke(t, bin, repository, args...)
	if got.code != code {
		t.Fatalf("%s: exit code %d, want %d:\n%s%s", strings.Join(args, " "), got.code, code, got.out, got.log)
	}
	return got
}

// carriedOver makes database b of the newer server out of a of the older one, as
// people do it without the product: the newer pg_dump into psql. (A newer server
// writes the definitions of views in its own way, so the two cannot be held against
// each other.)
func carriedOver(t *testing.T, older *testenv.PostgresServer, a string, newer *testenv.PostgresServer, b string) {
	t.Helper()
	newer.CreateDatabase(t, b)
	script := filepath.Join(newer.Dir, b+".sql")
	for _, cmd := range []*exec.Cmd{
		newer.Command(t.Context(), "pg_dump", "-f", script, "-d", older.URL(a)),
		newer.Command(t.Context(), "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", script, "-d", newer.URL(b)),
	} {
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", filepath.Base(cmd.Path), err, out)
		}
	}
}

// same fails when two databases of a server are not the same.
func same(t *testing.T, p *testenv.PostgresServer, a, b string) {
	t.Helper()
	if diff := p.SchemaDiff(t, a, b); diff != "" {
		t.Errorf("%s and %s of PostgreSQL %d: %s", a, b, p.Major, diff)
	}
}

func TestABackupOfAnOlderMajorIsRestoredReplacedComparedAndDrilledWithANewerOne(t *testing.T) {
	bin := programs(t, 17)
	older, newer := installed(t), testenv.Postgres(t, testenv.PostgresOptions{Bin: bin})
	older.CreateDatabase(t, "app")
	testenv.LoadSample(t, older, "app")
	place := "file://" + filepath.Join(t.TempDir(), "repo")
	must(t, 0, older.Bin, place, "init")
	must(t, 0, older.Bin, place, "backup", "--database", older.URL("app"), "--source", "app")

	must(t, 0, bin, place, "restore", "latest", "--globals", "--to-database", newer.URL("app"))
	carriedOver(t, older, "app", newer, "carried_over")
	same(t, newer, "carried_over", "app")
	must(t, 0, bin, place, "compare", "latest", "--database", newer.URL("app"))
	must(t, 0, bin, place, "compare", "--database", older.URL("app"), "--with", newer.URL("app"))
	// The programs of the backup's own major do for a newer server too.
	must(t, 0, older.Bin, place, "restore", "latest", "--to-database", newer.URL("by_older_programs"))
	same(t, newer, "carried_over", "by_older_programs")

	newer.Exec(t, "app", "CREATE TABLE since (id int)")
	must(t, 0, bin, place, "restore", "latest", "--replace", "--to-database", newer.URL("app"))
	same(t, newer, "carried_over", "app")

	newer.Exec(t, "app", "DROP TABLE shop.orders CASCADE")
	must(t, 0, bin, place, "restore", "latest", "--table", "shop.orders", "--without-unmet", "--to-database", newer.URL("app"))

	drilled := must(t, 0, bin, place, "drill", "latest", "--json")
	if !strings.Contains(drilled.out, `"proven"`) {
		t.Error(drilled)
	}
}

func TestABackupOfANewerMajorIsRefusedByAnOlderServerBeforeAnythingIsMade(t *testing.T) {
	bin := programs(t, 17)
	older, newer := installed(t), testenv.Postgres(t, testenv.PostgresOptions{Bin: bin})
	newer.CreateDatabase(t, "app")
	testenv.LoadSample(t, newer, "app")
	place := "file://" + filepath.Join(t.TempDir(), "repo")
	must(t, 0, bin, place, "init")
	must(t, 0, bin, place, "backup", "--database", newer.URL("app"), "--source", "app")

	for _, with := range []string{bin, older.Bin} {
		got := must(t, 1, with, place, "restore", "latest", "--globals", "--to-database", older.URL("app"))
		if !strings.Contains(got.log, "17") || !strings.Contains(got.log, strconv.Itoa(older.Major)) {
			t.Errorf("the refusal names not both majors: %s", got.log)
		}
		t.Log(got.log)
	}
	var made int
	if err := older.Connect(t, "postgres").QueryRow(t.Context(), "SELECT (SELECT count(*) FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1'))"+
		" + (SELECT count(*) FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'postgres')").Scan(&made); err != nil || made != 0 {
		t.Errorf("%d databases and roles were made by what was refused: %v", made, err)
	}
	got := must(t, 1, older.Bin, place, "drill", "latest", "--json")
	if !strings.Contains(got.out, `"could_not_run"`) || !strings.Contains(got.out, "postgresql-17") {
		t.Errorf("%s %s", got.out, got.log)
	}
}

func TestABackupOfMajor17IsRestoredInto18(t *testing.T) {
	older, newer := testenv.Postgres(t, testenv.PostgresOptions{Bin: programs(t, 17)}), testenv.Postgres(t, testenv.PostgresOptions{Bin: programs(t, 18)})
	older.CreateDatabase(t, "app")
	testenv.LoadSample(t, older, "app")
	place := "file://" + filepath.Join(t.TempDir(), "repo")
	must(t, 0, older.Bin, place, "init")
	must(t, 0, older.Bin, place, "backup", "--database", older.URL("app"), "--source", "app")
	must(t, 0, newer.Bin, place, "restore", "latest", "--globals", "--to-database", newer.URL("app"))
	carriedOver(t, older, "app", newer, "carried_over")
	same(t, newer, "carried_over", "app")
	must(t, 0, newer.Bin, place, "compare", "latest", "--database", newer.URL("app"))
	must(t, 0, newer.Bin, place, "drill", "latest")
}
