package physical_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/physical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/verify"
)

const source = "db1"

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

func options(r place, to postgres.Target) physical.Options {
	return physical.Options{Options: point.Options{Repo: r.Repository, Source: source, Self: repo.Self()}, Target: to}
}

// run is Run that has to work.
func run(t testing.TB, o physical.Options) point.Result {
	t.Helper()
	result, err := physical.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// archived is a server that puts its finished segments aside, as an archive_command does.
func archived(t testing.TB, o testenv.PostgresOptions) *testenv.PostgresServer {
	t.Helper()
	config := map[string]string{
		"wal_level": "replica", "archive_mode": "on", "max_wal_senders": "8",
		"archive_command": "'cp %p ../aside/%f.new && mv ../aside/%f.new ../aside/%f'",
	}
	for name, value := range o.Config {
		config[name] = value
	}
	o.Config = config
	pg := testenv.Postgres(t, o)
	if err := os.Mkdir(filepath.Join(pg.Dir, "aside"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := pg.Give(filepath.Join(pg.Dir, "aside")); err != nil {
		t.Fatal(err)
	}
	return pg
}

// archive carries what the server puts aside into the repository until the test ends,
// and makes it begin.
func archive(t testing.TB, pg *testenv.PostgresServer, r place, source string) {
	t.Helper()
	carry(t, pg, r, source)
	pg.Exec(t, "postgres", "SELECT pg_logical_emit_message(false, 'test', 'begins')", "SELECT pg_switch_wal()")
	for range 400 {
		if found, err := r.WALArchives(t.Context(), source); err != nil {
			t.Fatal(err)
		} else if len(found) > 0 {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("nothing of the server's log came into the repository: %s", pg.Log())
}

// carry is archive of a server that may not have finished a segment.
func carry(t testing.TB, pg *testenv.PostgresServer, r place, source string) {
	t.Helper()
	a := repo.WALArchive{Source: source, System: system(t, pg)}
	aside := filepath.Join(pg.Dir, "aside")
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	t.Cleanup(func() {
		stop()
		<-done
	})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := carryOnce(ctx, r, a, aside); err != nil && ctx.Err() == nil && !errors.Is(err, fs.ErrNotExist) {
				t.Logf("carry WAL: %v", err)
			}
			time.Sleep(25 * time.Millisecond)
		}
	}()
}

func carryOnce(ctx context.Context, r place, a repo.WALArchive, aside string) error {
	files, err := os.ReadDir(aside)
	if err != nil {
		return err
	}
	for _, f := range files {
		kind, _ := pgwal.KindOfFile(f.Name())
		if kind == pgwal.NoFile {
			continue
		}
		name := filepath.Join(aside, f.Name())
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		info := repo.WALInfo{Name: f.Name(), Archived: time.Now()}
		if kind == pgwal.SegmentFile {
			info.SegmentSize = uint64(len(data))
		}
		if _, err := r.PutWAL(ctx, a, info, data); err != nil {
			return err
		}
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

func system(t testing.TB, pg *testenv.PostgresServer) string {
	t.Helper()
	var id string
	if err := pg.Connect(t, "postgres").QueryRow(context.Background(), "SELECT system_identifier::text FROM pg_control_system()").Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

// filled makes a database with about megabytes of tables.
func filled(t testing.TB, pg *testenv.PostgresServer, megabytes int) {
	t.Helper()
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", "CREATE TABLE big (id int PRIMARY KEY, filler text)",
		fmt.Sprintf("INSERT INTO big SELECT i, (SELECT string_agg(md5(i::text || j), '') FROM generate_series(1, 32) j) FROM generate_series(1, %d) i", megabytes*800), "CHECKPOINT")
}

// unpacked is the data directory of a point, unpacked by tar from what cat writes.
func unpacked(t testing.TB, r place, pg *testenv.PostgresServer, ref repo.Ref) string {
	t.Helper()
	into := t.TempDir()
	cmd := exec.Command("tar", "--extract", "--same-permissions", "--no-same-owner", "--directory", into)
	cmd.Stdin = bytes.NewReader(readAll(t, r, ref, contents.StreamArchive))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
	// Its parents are this process's, and the tools run as the server's user.
	for d := filepath.Dir(into); d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.WalkDir(into, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return pg.Give(name)
	})
	if err != nil {
		t.Fatal(err)
	}
	return into
}

func readAll(t testing.TB, r place, ref repo.Ref, stream string) []byte {
	t.Helper()
	p, err := r.OpenPoint(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	body, err := p.Open(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// log is a folder with the archived segments.
func log(t testing.TB, r place, pg *testenv.PostgresServer) string {
	t.Helper()
	into := filepath.Join(pg.Dir, "archived")
	if err := os.MkdirAll(into, 0o700); err != nil {
		t.Fatal(err)
	}
	a := repo.WALArchive{Source: source, System: system(t, pg)}
	files, err := r.ListWAL(t.Context(), a, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		body, err := r.OpenWAL(t.Context(), a, f.Name)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(into, f.Name)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := pg.Give(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := pg.Give(into); err != nil {
		t.Fatal(err)
	}
	return into
}

// wantVerified has pg_verifybackup read an unpacked point, and pg_waldump the log
// from its start to its stop.
func wantVerified(t testing.TB, r place, pg *testenv.PostgresServer, ref repo.Ref) (directory string) {
	t.Helper()
	directory = unpacked(t, r, pg, ref)
	out, err := pg.Command(t.Context(), "pg_verifybackup", "--exit-on-error", "--wal-directory", log(t, r, pg), directory).CombinedOutput()
	if err != nil {
		t.Errorf("pg_verifybackup of %s: %v: %s", ref, err, out)
	}
	return directory
}

// wantGood fails unless every listed point is read back without a fault; it returns
// how many there are.
func wantGood(t testing.TB, r place) int {
	t.Helper()
	points, err := r.List(t.Context(), repo.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	report, err := verify.Run(t.Context(), verify.Options{Repo: r.Repository, Points: points, Jobs: 2, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Err(); err != nil || report.Checked != len(points) {
		t.Errorf("%d of %d listed points were checked: %v", report.Checked, len(points), err)
	}
	return len(points)
}

// wantNothing fails when a failed backup left anything: a listed point, data, an
// unfinished upload, or a lease that is held.
func wantNothing(t testing.TB, r place, points int) {
	t.Helper()
	if n := wantGood(t, r); n != points {
		t.Errorf("%d points are listed, want %d", n, points)
	}
	if left := orphans(t, r); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	lease, _, err := r.TakeLease(t.Context(), source, repo.LeaseOptions{What: "test", Self: repo.Self(), NoWait: true})
	if err != nil {
		t.Errorf("the lease is still held: %v", err)
		return
	}
	if err := lease.Release(); err != nil {
		t.Error(err)
	}
}

// orphans lists data of points that are not listed, and unfinished uploads.
func orphans(t testing.TB, r place) (found []string) {
	t.Helper()
	points, err := r.List(t.Context(), repo.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, p := range points {
		listed = append(listed, p.DataPrefix())
	}
	for info, err := range r.store.List(t.Context(), "points/") {
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(listed, info.Key[:strings.LastIndex(info.Key, "/")+1]) {
			found = append(found, info.Key)
		}
	}
	n, err := r.store.PendingUploads(t.Context(), "points/")
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
	var left int
	for range 200 {
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender'").Scan(&left); err != nil {
			t.Fatal(err)
		}
		if left == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("%d sessions of base backups are left on the server", left)
}

var listAll repo.Filter

// recover starts a data directory on a socket of its own, has it recover from the log
// to where its backup ended, and connects to database app.
func recover(t testing.TB, like *testenv.PostgresServer, directory, log string) *pgx.Conn {
	t.Helper()
	ctx := context.Background()
	settings := fmt.Sprintf("\nlisten_addresses = ''\nunix_socket_directories = '%s'\narchive_mode = off\nrestore_command = 'cp \"%s/%%f\" \"%%p\"'\nrecovery_target = immediate\nrecovery_target_action = promote\n", like.SocketDir, log)
	for name, text := range map[string]string{"postgresql.auto.conf": settings, "recovery.signal": ""} {
		f, err := os.OpenFile(filepath.Join(directory, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteString(text)
		if err := errors.Join(err, f.Close(), like.Give(f.Name())); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(directory, 0o700); err != nil {
		t.Fatal(err)
	}
	ctl := func(args ...string) ([]byte, error) {
		return like.Command(ctx, "pg_ctl", append(args, "-D", directory, "-o", "-p 7654", "-l", filepath.Join(like.Dir, "recovered.log"), "-w")...).CombinedOutput()
	}
	if out, err := ctl("start"); err != nil {
		said, _ := os.ReadFile(filepath.Join(like.Dir, "recovered.log"))
		t.Fatalf("start what was restored: %v: %s\n%s", err, out, said)
	}
	t.Cleanup(func() {
		if out, err := ctl("stop", "-m", "immediate"); err != nil {
			t.Errorf("stop it: %v: %s", err, out)
		}
	})
	conn, err := pgx.Connect(ctx, fmt.Sprintf("host=%s port=7654 user=%s password=%s dbname=app", like.SocketDir, like.User, like.Password))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(ctx) })
	for recovering := true; recovering; time.Sleep(20 * time.Millisecond) {
		if err := conn.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&recovering); err != nil {
			t.Fatal(err)
		}
	}
	return conn
}
