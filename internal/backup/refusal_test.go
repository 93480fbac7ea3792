package backup_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestAStoreThatAnswersWithErrorsNowAndThenStillGetsItsBackup(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	database(t, pg, "app", 30)
	server := testenv.S3(t)
	var failing atomic.Bool
	proxy := testenv.FaultyHTTP(t, server.Endpoint, func(n int, r *http.Request) (int, bool) {
		switch {
		case !failing.Load():
			return 0, false
		case n%5 == 1:
			return http.StatusServiceUnavailable, true
		case n%5 == 3:
			return http.StatusInternalServerError, true
		}
		return 0, false
	})
	r := create(t, bucket(t, server, proxy.URL, 10*time.Second))
	failing.Store(true)
	result, err := backup.Run(context.Background(), options(r, target(t, pg.URL("app"))))
	if err != nil {
		t.Fatal(err)
	}
	failing.Store(false)
	if result.Manifest.Totals.Tables != 2 {
		t.Errorf("%+v", result.Manifest.Totals)
	}
	wantNothing(t, r, 1)
}

func TestAStoreThatRefusesTheDataFailsTheBackupAndNothingIsListed(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	database(t, pg, "app", 30)
	server := testenv.S3(t)
	for _, c := range []struct {
		name   string
		status int
		refuse func(r *http.Request) bool
		says   string
	}{
		{"every part", 503, func(r *http.Request) bool { return r.URL.Query().Has("partNumber") }, "503"},
		{"completing the upload", 500, func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploadId") }, "500"},
		{"the index", 403, func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/index.")
		}, "denied"},
		{"the manifest", 403, func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") && r.ContentLength != 0
		}, "denied"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var armed atomic.Bool
			proxy := testenv.FaultyHTTP(t, server.Endpoint, func(_ int, r *http.Request) (int, bool) {
				return c.status, armed.Load() && c.refuse(r)
			})
			store := bucket(t, server, proxy.URL, 10*time.Second)
			r, err := repo.Open(context.Background(), store, repo.OpenOptions{})
			if errors.Is(err, repo.ErrNoRepository) {
				r, err = repo.Create(context.Background(), store, repo.CreateOptions{})
			}
			if err != nil {
				t.Fatal(err)
			}
			armed.Store(true)
			_, err = backup.Run(context.Background(), options(place{r, store}, target(t, pg.URL("app"))))
			if err == nil {
				t.Fatal("no error")
			}
			t.Log(err)
			if !strings.Contains(strings.ToLower(err.Error()), c.says) {
				t.Errorf("the error does not say %q", c.says)
			}
			armed.Store(false)
			wantNothing(t, place{r, store}, 0)
		})
	}
}

func TestAFullDiskIsToldAndTheNextBackupIsGood(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	database(t, pg, "app", 20)
	path := smallDisk(t, 12)
	r := inDir(t, path)
	_, err := backup.Run(context.Background(), options(r, target(t, pg.URL("app"))))
	if !errors.Is(err, objstore.ErrNoSpace) {
		t.Errorf("%v", err)
	}
	t.Log(err)
	wantNothing(t, r, 0)
	pg.Exec(t, "app", "DELETE FROM big WHERE id > 2000")
	if _, err := backup.Run(context.Background(), options(r, target(t, pg.URL("app")))); err != nil {
		t.Errorf("with room again: %v", err)
	}
	wantNothing(t, r, 1)
}

// smallDisk mounts a file system of its own.
func smallDisk(t *testing.T, megabytes int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, fmt.Sprintf("size=%dm", megabytes)); err != nil {
		t.Fatalf("a small file system can not be mounted: %v; run the tests as root or in a container with CAP_SYS_ADMIN", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(path, syscall.MNT_DETACH) })
	return path
}

func TestABackupThatTakesTooLongSaysWhatToSet(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	database(t, pg, "app", 30)
	r, _, _ := slowS3(t, 3000)
	o := options(r, target(t, pg.URL("app")))
	o.MaxDuration = 2 * time.Second
	begun := time.Now()
	_, err := backup.Run(context.Background(), o)
	if !errors.Is(err, point.ErrTooLong) || time.Since(begun) > 20*time.Second {
		t.Errorf("after %s: %v", time.Since(begun), err)
	}
	wantError(t, err, "2s", "max_duration")
	wantNothing(t, r, 0)
}

func TestWhatPgDumpComplainsAboutIsTheError(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	database(t, pg, "app", 20)
	pg.Exec(t, "app", "CREATE TABLE bad (id int, v int)", "INSERT INTO bad SELECT i, i FROM generate_series(1, 10) i",
		"CREATE TABLE zz_late (b bytea)", "INSERT INTO zz_late VALUES ('x')")
	// A page that lost its checksum is what a failing disk leaves.
	var file string
	if err := pg.Connect(t, "app").QueryRow(context.Background(), "CHECKPOINT; SELECT pg_relation_filepath('bad')").Scan(&file); err != nil {
		pg.Exec(t, "app", "CHECKPOINT")
		if err := pg.Connect(t, "app").QueryRow(context.Background(), "SELECT pg_relation_filepath('bad')").Scan(&file); err != nil {
			t.Fatal(err)
		}
	}
	if err := pg.Halt(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(pg.DataDir, file), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("rotten"), 8000); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := pg.Resume(context.Background()); err != nil {
		t.Fatal(err)
	}
	r := inDir(t, t.TempDir())
	_, err = backup.Run(context.Background(), options(r, target(t, pg.URL("app"))))
	wantError(t, err, "pg_dump failed", "bad", "invalid page")
	if strings.Contains(err.Error(), "EPIPE") || strings.Contains(err.Error(), "cut short") {
		t.Errorf("%v", err)
	}
	wantNothing(t, r, 0)
}

func TestTimeoutsOfTheRoleDoNotEndASlowBackup(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	database(t, pg, "app", 30)
	pg.Exec(t, "app", "CREATE ROLE saver LOGIN PASSWORD 'pw'", "GRANT pg_read_all_data TO saver",
		"ALTER ROLE saver SET statement_timeout = '1s'", "ALTER ROLE saver SET idle_in_transaction_session_timeout = '1s'", "ALTER ROLE saver SET lock_timeout = '100ms'")
	r, _, _ := slowS3(t, 6000)
	result, err := backup.Run(context.Background(), options(r, target(t, pg.URLFor("saver", "pw", "app"))))
	if err != nil {
		t.Fatal(err)
	}
	if d := result.Manifest.Durations["dumping"]; d < 1.5 {
		t.Errorf("dumping took only %.1f s, which shows nothing", d)
	}
	if len(result.Manifest.Skipped) != 0 || len(result.Warnings) != 0 {
		t.Errorf("%+v, %v", result.Manifest.Skipped, result.Warnings)
	}
	wantNothing(t, r, 1)
}

func TestARoleWithoutRightsIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	database(t, pg, "app", 1)
	pg.Exec(t, "app", "CREATE ROLE saver LOGIN PASSWORD 'pw'", "GRANT SELECT ON small TO saver", "SELECT lo_from_bytea(4711, 'x')",
		"CREATE TABLE tenants (id int)", "ALTER TABLE tenants ENABLE ROW LEVEL SECURITY", "GRANT SELECT ON tenants TO saver")
	path := t.TempDir()
	r := inDir(t, path)
	before := tree(t, path)
	_, err := backup.Run(context.Background(), options(r, target(t, pg.URLFor("saver", "pw", "app"))))
	wantError(t, err, "GRANT SELECT ON TABLE")
	var rights *postgres.RightsError
	if !errors.As(err, &rights) {
		t.Fatalf("%v", err)
	}
	fixes := fmt.Sprint(rights.Problems)
	for _, want := range []string{"big", "counter", "GRANT SELECT ON LARGE OBJECT 4711", "BYPASSRLS"} {
		if !strings.Contains(fixes, want) {
			t.Errorf("the fixes lack %s: %s", want, fixes)
		}
	}
	if after := tree(t, path); after != before {
		t.Errorf("the repository changed:\n%s\n%s", before, after)
	}
}

func tree(t *testing.T, path string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(path, func(p string, d os.DirEntry, err error) error {
		if err == nil {
			info, statErr := d.Info()
			if statErr != nil {
				return statErr
			}
			fmt.Fprintln(&b, p, info.Size(), info.ModTime())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestAStandbyIsBackedUpWithoutItsUnloggedTables(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	database(t, pg, "app", 1)
	pg.Exec(t, "app", "CREATE UNLOGGED TABLE volatile (id int)", "INSERT INTO volatile VALUES (1)")
	standby := pg.Standby(t)
	pg.CatchUp(t, standby)
	r := inDir(t, t.TempDir())
	result, err := backup.Run(context.Background(), options(r, target(t, standby.URL("app"))))
	if err != nil {
		t.Fatal(err)
	}
	m := result.Manifest
	if !m.Server.InRecovery || m.Totals.Tables != 2 || len(m.Skipped) != 1 || !strings.Contains(m.Skipped[0].What, "volatile") || !strings.Contains(m.Skipped[0].Why, "standby") {
		t.Errorf("%+v", m)
	}
	wantNothing(t, r, 1)
}

func TestThousandsOfTablesAreBackedUpWithinTheirLockTable(t *testing.T) {
	t.Parallel()
	const tables = 5000
	pg := testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{"max_locks_per_transaction": "300"}})
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", fmt.Sprintf("DO $$ BEGIN FOR i IN 1..%d LOOP EXECUTE format('CREATE TABLE t%%s (a int)', i); EXECUTE format('INSERT INTO t%%s VALUES (1)', i); END LOOP; END $$", tables))
	r := inDir(t, t.TempDir())
	begun := time.Now()
	result, err := backup.Run(context.Background(), options(r, target(t, pg.URL("app"))))
	if err != nil {
		t.Fatal(err)
	}
	if result.Manifest.Totals.Tables != tables || result.Manifest.Totals.Rows != tables {
		t.Errorf("%+v", result.Manifest.Totals)
	}
	t.Logf("%d tables in %s: %v", tables, time.Since(begun), result.Manifest.Durations)
	wantGood(t, r)
}

func TestAReadOnlyRepositoryIsRefused(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	database(t, pg, "app", 1)
	path := smallDisk(t, 4)
	r := inDir(t, path)
	if err := syscall.Mount("", path, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	store, err := dir.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = backup.Run(context.Background(), options(place{r.Repository, store}, target(t, pg.URL("app"))))
	wantError(t, err, "read-only")
}
