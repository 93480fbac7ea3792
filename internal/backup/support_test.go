package backup_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/verify"
)

// place is a repository and the store it is on.
type place struct {
	*repo.Repository
	store objstore.Store
}

func inDir(t testing.TB, path string) place {
	t.Helper()
	store, err := dir.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return create(t, store)
}

func create(t testing.TB, store objstore.Store) place {
	t.Helper()
	r, err := repo.Create(context.Background(), store, repo.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return place{r, store}
}

// bucket opens the server's bucket through endpoint.
func bucket(t testing.TB, s *testenv.S3Server, endpoint string, stall time.Duration) objstore.Store {
	t.Helper()
	store, err := s3.Open(context.Background(), s3.Config{
		Bucket: s.Bucket, Endpoint: endpoint, StallTimeout: stall,
		AWSConfig: &aws.Config{Region: s.Region, Credentials: credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, "")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return objstore.Retry(store, objstore.RetryOptions{Base: 20 * time.Millisecond, Max: 200 * time.Millisecond})
}

func target(t testing.TB, url string) postgres.Target {
	t.Helper()
	to, err := postgres.ParseTarget(url)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func options(r place, to postgres.Target) backup.Options {
	return backup.Options{Options: point.Options{Repo: r.Repository, Source: "app", Self: repo.Self()}, Target: to, Globals: true}
}

// database makes one with a table of about megabytes of incompressible data.
func database(t testing.TB, pg *testenv.PostgresServer, name string, megabytes int) {
	t.Helper()
	pg.CreateDatabase(t, name)
	pg.Exec(t, name, "CREATE TABLE big (id int PRIMARY KEY, filler text)",
		fmt.Sprintf("INSERT INTO big SELECT i, (SELECT string_agg(md5(i::text || j), '') FROM generate_series(1, 32) j) FROM generate_series(1, %d) i", megabytes*1000),
		"CREATE TABLE small (id int, word text)", "INSERT INTO small SELECT i, 'word ' || i FROM generate_series(1, 1000) i", "CREATE SEQUENCE counter", "SELECT setval('counter', 42)")
}

// wantGood fails unless every listed point is read back without a fault; it
// returns how many there are.
func wantGood(t testing.TB, r place) int {
	t.Helper()
	ctx := context.Background()
	points, err := r.List(ctx, repo.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	report, err := verify.Run(ctx, verify.Options{Repo: r.Repository, Points: points, Jobs: 2, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Err(); err != nil || report.Checked != len(points) {
		t.Errorf("%d of %d listed points were checked: %v", report.Checked, len(points), err)
	}
	return len(points)
}

// wantNothing fails when the failed backup left anything: a listed point, data,
// an unfinished upload, or a lease that is held.
func wantNothing(t testing.TB, r place, points int) {
	t.Helper()
	if n := wantGood(t, r); n != points {
		t.Errorf("%d points are listed, want %d", n, points)
	}
	if orphans := orphans(t, r); len(orphans) > 0 {
		t.Errorf("left behind: %v", orphans)
	}
	ctx := context.Background()
	lease, _, err := r.TakeLease(ctx, "app", repo.LeaseOptions{What: "test", Self: repo.Self(), NoWait: true})
	if err != nil {
		t.Errorf("the lease is still held: %v", err)
		return
	}
	if err := lease.Release(); err != nil {
		t.Error(err)
	}
}

// orphans lists data of points that are not listed, and unfinished uploads.
func orphans(t testing.TB, r place) []string {
	t.Helper()
	ctx := context.Background()
	points, err := r.List(ctx, repo.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, p := range points {
		listed[p.DataPrefix()] = true
	}
	var found []string
	for info, err := range r.store.List(ctx, "points/") {
		if err != nil {
			t.Fatal(err)
		}
		if !listed[info.Key[:strings.LastIndex(info.Key, "/")+1]] {
			found = append(found, info.Key)
		}
	}
	n, err := r.store.PendingUploads(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	if n > 0 {
		found = append(found, fmt.Sprintf("%d unfinished uploads", n))
	}
	return found
}

// wantQuiet fails when sessions of ours stay on the server.
func wantQuiet(t testing.TB, pg *testenv.PostgresServer) {
	t.Helper()
	conn := pg.Connect(t, "postgres")
	var left []string
	for range 100 {
		rows, err := conn.Query(context.Background(), "SELECT application_name || ': ' || state || ' ' || query FROM pg_stat_activity WHERE application_name IN ('pgbackup', 'pg_dump', 'pg_restore', 'pg_dumpall')")
		if err != nil {
			t.Fatal(err)
		}
		if left, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("sessions left on the server: %v", left)
}

// processesWith finds processes that have mark in their environment.
func processesWith(t testing.TB, mark string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range files {
		env, err := os.ReadFile(f)
		if err != nil || !strings.Contains(string(env), mark) {
			continue
		}
		cmdline, _ := os.ReadFile(filepath.Join(filepath.Dir(f), "cmdline"))
		found = append(found, filepath.Base(filepath.Dir(f))+" "+strings.ReplaceAll(string(cmdline), "\x00", " "))
	}
	return found
}

// children finds child processes of this one by their program's name.
func children(name string) []int {
	var pids []int
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, f := range tasks {
		b, _ := os.ReadFile(f)
		for _, field := range strings.Fields(string(b)) {
			comm, _ := os.ReadFile("/proc/" + field + "/comm")
			if strings.TrimSpace(string(comm)) == name {
				var pid int
				if _, err := fmt.Sscan(field, &pid); err == nil {
					pids = append(pids, pid)
				}
			}
		}
	}
	return pids
}

// wantNoGoroutines fails when any goroutine is still at work in the product.
// Idle connections and the test's own parts do not count.
func wantNoGoroutines(t testing.TB) {
	t.Helper()
	var left []string
	for range 200 {
		left = left[:0]
		stacks := make([]byte, 4<<20)
		for g := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
			if strings.Contains(g, "/internal/testenv.") || strings.Contains(g, "backup_test.") {
				continue
			}
			for _, pkg := range []string{"backup", "repo", "postgres", "objstore"} {
				if strings.Contains(g, "pgbackup/internal/"+pkg) {
					left = append(left, g)
					break
				}
			}
		}
		if len(left) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("%d goroutines are left:\n%s", len(left), strings.Join(left, "\n\n"))
}

// wantError fails unless err says all of words and no secret.
func wantError(t testing.TB, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not say %q: %v", w, err)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error has several lines: %q", err)
	}
}

func readAll(t testing.TB, r place, ref repo.Ref, stream string) []byte {
	t.Helper()
	p, err := r.OpenPoint(context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	body, err := p.Open(context.Background(), stream)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
