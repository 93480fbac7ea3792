package backup_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// The test binary run again with these variables is a process that takes one
// backup, to be killed.
const (
	runDir      = "BACKUP_TEST_DIR"    // repository in this directory
	runBucket   = "BACKUP_TEST_BUCKET" // or in this bucket
	runEndpoint = "BACKUP_TEST_ENDPOINT"
	runTarget   = "BACKUP_TEST_TARGET"
	runMark     = "BACKUP_TEST_MARK" // found again in the environment of what is left alive
)

func TestMain(m *testing.M) {
	if os.Getenv(runTarget) == "" {
		os.Exit(m.Run())
	}
	if err := takeOne(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("committed")
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(string(status)) // VmHWM is the most memory it ever had
}

// takeOne is the backup of the process that is killed.
func takeOne(ctx context.Context) error {
	var store objstore.Store
	var err error
	if path := os.Getenv(runDir); path != "" {
		store, err = dir.Open(path)
	} else {
		store, err = s3.Open(ctx, s3.Config{Bucket: os.Getenv(runBucket), Endpoint: os.Getenv(runEndpoint)})
	}
	if err != nil {
		return err
	}
	r, err := repo.Open(ctx, objstore.Retry(store, objstore.RetryOptions{}), repo.OpenOptions{})
	if err != nil {
		return err
	}
	to, err := postgres.ParseTarget(os.Getenv(runTarget))
	if err != nil {
		return err
	}
	result, err := backup.Run(ctx, backup.Options{Options: point.Options{Repo: r, Source: "app", Self: repo.Self()}, Target: to, Globals: true, LockTimeout: 2 * time.Second})
	if err == nil && result.Swept.Left != nil {
		err = result.Swept.Left
	}
	return err
}

// victim is one killed, or finished, backup process.
type victim struct {
	committed bool
	took      time.Duration
	output    string
	err       error
}

// attack runs a backup process and kills it after a while; 0 lets it finish.
func attack(t *testing.T, env []string, after time.Duration) victim {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if after > 0 {
		kill := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
	}
	err = cmd.Wait()
	return victim{committed: strings.Contains(out.String(), "committed"), took: time.Since(begun), output: out.String(), err: err}
}

// siege kills n backups at moments spread over a backup's life, every fourth of
// them around its commit, and looks at what is left.
func siege(t *testing.T, pg *testenv.PostgresServer, r place, env []string, n int) {
	mark := rand.Text()
	env = append(env, runTarget+"="+pg.URL("app"), runMark+"="+mark)
	var life time.Duration
	for range 3 {
		time.Sleep(time.Second) // a backup within the second of another waits for the next
		v := attack(t, env, 0)
		if v.err != nil {
			t.Fatalf("a backup that nobody kills failed: %v: %s", v.err, v.output)
		}
		life += v.took / 3
	}
	said, killed := 3, 0
	tried := 0
	for i := 0; killed < n; i++ {
		if tried++; tried > 3*n {
			t.Fatalf("only %d of %d backups were killed in time", killed, tried)
		}
		after := max(time.Duration(float64(life)*(float64(i%n)+0.5)/float64(n)), time.Millisecond)
		if i%4 == 3 {
			after = max(life-time.Duration(mathrand.Int64N(int64(life/4))), time.Millisecond)
		}
		v := attack(t, env, after)
		switch {
		case v.committed:
			said++
			life -= life / 20
			time.Sleep(time.Second)
		case i%4 == 3: // others use the machine too: follow the moment of the commit
			life += life / 20
		}
		var exit *exec.ExitError
		switch {
		case v.err == nil:
		case errors.As(v.err, &exit) && exit.ExitCode() == -1:
			killed++
		default:
			t.Fatalf("backup %d was not killed and failed, so a night was lost: %s", i, v.output)
		}
	}
	points := wantGood(t, r)
	if points < said {
		t.Errorf("%d backups said that they were committed, %d are listed", said, points)
	}
	t.Logf("a backup takes %s; of %d, %d were killed, %d points are listed", life, tried, killed, points)

	// A kill in the middle, and at once the next one.
	attack(t, env, life/2)
	points = wantGood(t, r) // on a busy machine it may have come to its commit
	begun := time.Now()
	if v := attack(t, env, 0); v.err != nil {
		t.Errorf("the backup after a kill failed: %v: %s", v.err, v.output)
	}
	if took := time.Since(begun); took >= repo.LeaseTTL {
		t.Errorf("the backup after a kill took %s: it waited for the dead one's lease", took)
	}
	wantNothing(t, r, points+1)
	if left := processesWith(t, runMark+"="+mark); len(left) > 0 {
		t.Errorf("processes of killed backups are alive: %v", left)
	}
	wantQuiet(t, pg)
	restorePlain(t, pg, r)
}

// restorePlain restores the oldest, a middle and the newest point by the plain
// tool and compares with the source.
func restorePlain(t *testing.T, pg *testenv.PostgresServer, r place) {
	t.Helper()
	ctx := context.Background()
	points, err := r.List(ctx, repo.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range []repo.Listed{points[0], points[len(points)/2], points[len(points)-1]} {
		name := fmt.Sprintf("%s_%d", strings.ToLower(rand.Text()[:8]), i)
		pg.CreateDatabase(t, name)
		cmd := pg.Command(ctx, "pg_restore", "--exit-on-error", "-d", pg.URL(name))
		cmd.Stdin = bytes.NewReader(readAll(t, r, p.Ref, logical.StreamArchive))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("pg_restore of %s: %v: %s", p.Ref, err, out)
			continue
		}
		if diff := pg.SchemaDiff(t, "app", name); diff != "" {
			t.Errorf("%s is not the source: %s", p.Ref, diff)
		}
	}
}

func TestBackupsKilledAtAnyMomentLeaveNothingListedThatDoesNotRestore(t *testing.T) {
	t.Parallel()
	for i := range 3 { // three at once, each with a server of its own: most of a backup is waiting
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			pg := testenv.Postgres(t)
			database(t, pg, "app", 2)
			path := t.TempDir()
			siege(t, pg, inDir(t, path), []string{runDir + "=" + path}, 50)
		})
	}
}

func TestBackupsToS3KilledAtAnyMomentLeaveNothingListedThatDoesNotRestore(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	database(t, pg, "app", 12) // more than one part: a multipart upload to interrupt
	server := testenv.S3(t)
	r := create(t, bucket(t, server, server.Endpoint, 0))
	siege(t, pg, r, append(server.Env(), runBucket+"="+server.Bucket, runEndpoint+"="+server.Endpoint), 50)
}

func TestTheSizeOfTheDatabaseDoesNotShowInTheMemory(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	database(t, pg, "app", 100)
	// A row much larger than a chunk.
	pg.Exec(t, "app", "CREATE TABLE huge (b bytea)", "INSERT INTO huge SELECT decode(repeat(md5(i::text), 4000000), 'hex') FROM generate_series(1, 2) i")
	path := t.TempDir()
	r := inDir(t, path)
	v := attack(t, []string{runDir + "=" + path, runTarget + "=" + pg.URL("app")}, 0)
	if v.err != nil {
		t.Fatalf("%v: %s", v.err, v.output)
	}
	var peak int
	for line := range strings.Lines(v.output) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			if _, err := fmt.Sscan(rest, &peak); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("at most %d MiB", peak>>10)
	if peak == 0 || peak>>10 > 128 {
		t.Errorf("the backup took up to %d MiB", peak>>10)
	}
	wantNothing(t, r, 1)
}
