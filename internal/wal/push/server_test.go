package push_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/waltest"
)

// envSegments is how many segments the burst has.
const envSegments = "PGBACKUP_WAL_SEGMENTS"

// archiving starts a server with archive_mode and no archive_command yet. What it
// archives stays in pg_wal, to be compared.
func archiving(t *testing.T, more map[string]string) (*testenv.PostgresServer, *waltest.Place) {
	t.Helper()
	config := map[string]string{"archive_mode": "on", "archive_command": "'false'", "wal_keep_size": "'8GB'", "max_wal_size": "'4GB'"}
	for name, value := range more {
		config[name] = value
	}
	pg := testenv.Postgres(t, testenv.PostgresOptions{Config: config})
	place := waltest.New(t, pg)
	place.Init()
	return pg, place
}

// archiveWith sets archive_command.
func archiveWith(t *testing.T, pg *testenv.PostgresServer, command string) {
	t.Helper()
	pg.Exec(t, "postgres", "ALTER SYSTEM SET archive_command = '"+escape(command)+"'", "SELECT pg_reload_conf()")
}

func escape(s string) string { return string(bytes.ReplaceAll([]byte(s), []byte("'"), []byte("''"))) }

// archivedAsMade compares all that the archiver was done with to what is stored.
func archivedAsMade(t *testing.T, pg *testenv.PostgresServer, place *waltest.Place) int {
	t.Helper()
	r := place.Repository()
	a := repo.WALArchive{Source: "db1", System: waltest.System(t, pg)}
	done, err := filepath.Glob(filepath.Join(pg.DataDir, "pg_wal", "archive_status", "*.done"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range done {
		name := filepath.Base(d[:len(d)-len(".done")])
		want, err := os.ReadFile(filepath.Join(pg.DataDir, "pg_wal", name))
		if err != nil {
			t.Fatal(err)
		}
		in, err := r.OpenWAL(t.Context(), a, name)
		if err != nil {
			t.Errorf("the server was told that %s is archived: %v", name, err)
			continue
		}
		got, err := io.ReadAll(in)
		_ = in.Close()
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v, equal: %v", name, err, bytes.Equal(got, want))
		}
	}
	return len(done)
}

// killedSegments are archived by calls of which two of three are killed.
const killedSegments = 12

// Proof of B6: whenever the runner is killed, what the server believes to be archived is,
// and the archive has no gap in the end.
func TestAnArchiveCommandThatIsKilledAtAnyMomentLosesNothing(t *testing.T) {
	t.Parallel()
	pg, place := archiving(t, nil)
	waltest.SmallSegments(t, pg)
	// Two of three are killed after a random while; the server tries three times, then
	// waits a minute, so the third is left alone.
	script := place.Script("archive.sh", fmt.Sprintf(`n=$(cat %[1]s/count 2>/dev/null || echo 0); n=$((n+1)); echo $n > %[1]s/count
%[2]s wal push "$1" %[3]s --ahead 4 &
pid=$!
if [ $((n %% 3)) -ne 0 ]; then
  sleep 0.0$(od -An -N1 -tu1 /dev/urandom | tr -d ' ')
  kill -9 $pid 2>/dev/null && echo $n >> %[1]s/killed
fi
wait $pid; code=$?
[ $code -le 125 ] || code=1 # or the archiver ends, and comes back after a minute
exit $code
`, place.Dir, place.Runner, place.Flags()))
	archiveWith(t, pg, script+" %p")
	pg.Exec(t, "postgres", "CREATE TABLE t (x text)")
	var last string
	for range killedSegments {
		pg.Exec(t, "postgres", "INSERT INTO t SELECT md5(n::text) FROM generate_series(1, 2000) n")
		last = waltest.Switch(t, pg)
	}
	waltest.Archived(t, pg, last, 3*time.Minute)
	killed, _ := os.ReadFile(filepath.Join(place.Dir, "killed")) // none is told below
	if n := bytes.Count(killed, []byte("\n")); n < 2 {           // how many are hit is chance
		t.Errorf("only %d calls were killed", n)
	} else {
		t.Logf("%d calls were killed", n)
	}
	if n := archivedAsMade(t, pg, place); n < killedSegments {
		t.Errorf("only %d segments are archived", n)
	}
}

// A burst drains faster than the server made it. The default is a small one;
// PGBACKUP_WAL_SEGMENTS=1000 asks for that many of 16 MB, and holds it to the time.
func TestABurstOfSegmentsDrainsFasterThanAServerMakesIt(t *testing.T) {
	n := 16
	asked := os.Getenv(envSegments)
	if asked != "" {
		var err error
		if n, err = strconv.Atoi(asked); err != nil {
			t.Fatalf("%s: %v", envSegments, err)
		}
	}
	pg, place := archiving(t, map[string]string{"wal_keep_size": "'64GB'", "max_wal_size": "'8GB'"})
	pg.Exec(t, "postgres", "CREATE TABLE t (id bigint, x text)", "CREATE INDEX ON t (id)", "CREATE INDEX ON t (x)")
	begun := time.Now()
	var last string
	for made := 0; made < n; {
		pg.Exec(t, "postgres", "INSERT INTO t SELECT n, md5(n::text) || ' order ' || n % 1000 FROM generate_series(1, 50000) n")
		ready, err := filepath.Glob(filepath.Join(pg.DataDir, "pg_wal", "archive_status", "*.ready"))
		if err != nil {
			t.Fatal(err)
		}
		if made = len(ready); made > 0 {
			last = filepath.Base(ready[made-1][:len(ready[made-1])-len(".ready")])
		}
	}
	making := time.Since(begun)
	begun = time.Now()
	archiveWith(t, pg, fmt.Sprintf("echo >> %s/calls; exec %s wal push %%p %s", place.Dir, place.Runner, place.Flags()))
	waltest.Archived(t, pg, last, 5*time.Minute+10*making)
	draining := time.Since(begun)
	t.Logf("%d segments of 16 MB: made in %s, drained in %s", n, making.Round(time.Millisecond), draining.Round(time.Millisecond))
	if asked != "" && draining > making {
		t.Errorf("draining took longer than making")
	}
	if got := archivedAsMade(t, pg, place); got < n {
		t.Errorf("only %d segments are archived", got)
	}
}

// Once the answer is known, nothing is opened: the repository may be gone.
func TestTheAnswerThatIsKnownNeedsNoRepositoryAndNoSecret(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.push(c.names[0])
	s3 := testenv.S3(t)
	place := waltest.New(t, nil)
	place.Env = s3.Env()
	url := fmt.Sprintf("s3://%s/x?endpoint=%s&path_style=true", s3.Bucket, s3.Endpoint)
	key := filepath.Join(place.Dir, "key")
	place.Run("key", "generate", "--out", key)
	place.Run("init", "--repository", url, "--key", "file:"+key)
	push := func(name string, env ...string) ([]byte, error) {
		cmd := place.Command("wal", "push", "pg_wal/"+name, "--repository", url, "--key", "file:"+key, "--source", "db1", "--spool", place.Spool, "--json")
		cmd.Dir = c.dir
		cmd.Env = append(cmd.Env, env...)
		return cmd.Output()
	}
	if out, err := push(c.names[0]); err != nil || !bytes.Contains(out, []byte(`"ahead": 11`)) {
		t.Fatalf("%s %v", out, err)
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	out, err := push(c.names[1], "AWS_ACCESS_KEY_ID=", "AWS_CONFIG_FILE=/does/not/exist", "AWS_PROFILE=none")
	if err != nil || !bytes.Contains(out, []byte(`"known": true`)) {
		t.Fatalf("%s %v", out, err)
	}
	t.Logf("answered in %s", time.Since(begun))
	c.write("pg_wal/archive_status/"+c.names[1]+".ready", nil)
	if out, err := push("00000002.history"); err == nil {
		t.Errorf("a file that is not known: %s", out)
	}
}

// The disk of the spool is full: there are no notes, and what is asked for is archived.
func TestAFullSpoolDoesNotKeepAFileFromTheRepository(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	s3 := testenv.S3(t)
	place := waltest.New(t, nil)
	place.Env = s3.Env()
	url := fmt.Sprintf("s3://%s/x?endpoint=%s&path_style=true", s3.Bucket, s3.Endpoint)
	place.Run("init", "--repository", url)
	for i, name := range c.names[:2] {
		// Nothing this process writes into a file fits; pipes and sockets are none.
		cmd := exec.Command("sh", "-c", `ulimit -f 0; exec "$@"`, "sh", place.Runner, "wal", "push", "pg_wal/"+name, "--repository", url, "--source", "db1", "--spool", place.Spool, "--json")
		cmd.Dir, cmd.Env = c.dir, append(os.Environ(), place.Env...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil || bytes.Contains(out, []byte(`"known": true`)) {
			t.Fatalf("%s: %s %v %s", name, out, err, stderr.String())
		}
		if i == 0 && !bytes.Contains(stderr.Bytes(), []byte("archiving ahead ended early")) {
			t.Errorf("nobody is told: %s", stderr.String())
		}
	}
}
