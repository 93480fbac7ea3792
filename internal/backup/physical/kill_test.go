package physical_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/physical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// The test binary run again with these variables is a process that takes one
// backup, to be killed or to be measured.
const (
	runDir      = "PHYSICAL_TEST_DIR"    // repository in this directory
	runBucket   = "PHYSICAL_TEST_BUCKET" // or in this bucket
	runEndpoint = "PHYSICAL_TEST_ENDPOINT"
	runTarget   = "PHYSICAL_TEST_TARGET"
	runRate     = "PHYSICAL_TEST_RATE"
)

func TestMain(m *testing.M) {
	if os.Getenv(runTarget) == "" {
		os.Exit(m.Run())
	}
	debug.SetMemoryLimit(96 << 20) // as the runner does
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

// takeOne is the backup of the process.
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
	o := physical.Options{Options: point.Options{Repo: r, Source: source, Self: repo.Self()}, Target: to}
	if o.What.MaxRate, err = strconv.ParseInt(os.Getenv(runRate), 10, 64); err != nil {
		return err
	}
	_, err = physical.Run(ctx, o)
	return err
}

// victim is one killed, or finished, process.
type victim struct {
	committed bool
	took, cpu time.Duration
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
	return victim{committed: strings.Contains(out.String(), "committed"), took: time.Since(begun), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), output: out.String(), err: err}
}

// siege kills n backups at moments spread over a backup's life, every fourth of them
// around its commit, and looks at what is left.
func siege(t *testing.T, pg *testenv.PostgresServer, r place, env []string, n int) {
	t.Helper()
	env = append(env, runTarget+"="+pg.URL("postgres"), runRate+"="+strconv.Itoa(60<<20))
	first := attack(t, env, 0)
	if first.err != nil {
		t.Fatalf("a backup that nobody kills failed: %v: %s", first.err, first.output)
	}
	life, said, killed := first.took, 1, 0
	for tried := 0; killed < n; tried++ {
		if tried > 3*n {
			t.Fatalf("only %d of %d backups were killed in time", killed, tried)
		}
		after := max(time.Duration(float64(life)*(float64(tried%n)+0.5)/float64(n)), time.Millisecond)
		if tried%4 == 3 {
			after = max(life-time.Duration(mathrand.Int64N(int64(life/4))), time.Millisecond)
		}
		v := attack(t, env, after)
		if v.committed {
			said++
		}
		var exit *exec.ExitError
		switch {
		case v.err == nil:
		case errors.As(v.err, &exit) && exit.ExitCode() == -1:
			killed++
		default:
			t.Fatalf("backup %d was not killed and failed, so a night was lost: %s", tried, v.output)
		}
	}
	// At once the next one, which does not wait for the dead one's lease.
	v := attack(t, env, life/2)
	if v.committed {
		said++
	}
	begun := time.Now()
	if v := attack(t, env, 0); v.err != nil {
		t.Errorf("the backup after a kill failed: %v: %s", v.err, v.output)
	}
	said++
	if took := time.Since(begun); took >= repo.LeaseTTL {
		t.Errorf("the backup after a kill took %s: it waited for the dead one's lease", took)
	}
	points, err := r.List(t.Context(), repo.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	if len(points) < said {
		t.Errorf("%d backups said that they were committed, %d are listed", said, len(points))
	}
	wantNothing(t, r, len(points))
	wantQuiet(t, pg)
	for _, p := range []repo.Listed{points[0], points[len(points)-1]} {
		wantVerified(t, r, pg, p.Ref)
	}
	t.Logf("a backup takes %s; %d were killed, %d points are listed", life, killed, len(points))
}

func TestBaseBackupsKilledAtAnyMomentLeaveNothingListedThatDoesNotVerify(t *testing.T) {
	t.Parallel()
	pg := archived(t, testenv.PostgresOptions{})
	filled(t, pg, 3)
	path := t.TempDir()
	r := inDir(t, path)
	archive(t, pg, r, source)
	siege(t, pg, r, []string{runDir + "=" + path}, 16)
}

func TestBaseBackupsToS3KilledAtAnyMomentLeaveNothingListedThatDoesNotVerify(t *testing.T) {
	t.Parallel()
	pg := archived(t, testenv.PostgresOptions{})
	filled(t, pg, 12) // more than one part: a multipart upload to interrupt
	server := testenv.S3(t)
	r := create(t, bucket(t, server, server.Endpoint, 0))
	archive(t, pg, r, source)
	siege(t, pg, r, append(server.Env(), runBucket+"="+server.Bucket, runEndpoint+"="+server.Endpoint), 16)
}

func TestTheSizeOfTheClusterDoesNotShowInTheMemory(t *testing.T) {
	t.Parallel()
	pg := archived(t, testenv.PostgresOptions{})
	megabytes := 120
	if n, err := strconv.Atoi(os.Getenv("PHYSICAL_TEST_MEGABYTES")); err == nil {
		megabytes = n
	}
	filled(t, pg, megabytes)
	server := testenv.S3(t)
	r := create(t, bucket(t, server, server.Endpoint, 0))
	archive(t, pg, r, source)
	v := attack(t, append(server.Env(), runBucket+"="+server.Bucket, runEndpoint+"="+server.Endpoint, runTarget+"="+pg.URL("postgres"), runRate+"=0"), 0)
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
	t.Logf("at most %d MiB in %s, %s of processor time", peak>>10, v.took, v.cpu)
	if peak == 0 || peak>>10 > 64 {
		t.Errorf("the backup took up to %d MiB", peak>>10)
	}
	wantNothing(t, r, 1)
}
