package receive_test

import (
	"errors"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// A server that was set back to a snapshot has the same system identifier and timeline,
// and writes another log over the same positions. No byte of that may stand behind what
// was received before: every check would call the archive whole, and recovery end there.
func TestAServerThatWasSetBackDoesNotContinueItsArchive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		before  []string // written after the snapshot, and lost with it
		running bool     // the receiver stays at work meanwhile
	}{
		{"in the segment that was received last", []string{"INSERT INTO l SELECT 1 FROM generate_series(1, 1000)"}, false},
		{"in the segment that was received last, while it is received", []string{"INSERT INTO l SELECT 1 FROM generate_series(1, 1000)"}, true},
		{"in a segment that is stored", []string{"INSERT INTO l SELECT 1", "SELECT pg_switch_wal()"}, false},
		{"in a segment that is stored, while it is received", []string{"INSERT INTO l SELECT 1", "SELECT pg_switch_wal()"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			pg := server(t)
			r, _ := inDir(t)
			o := options(t, r, target(t, pg.URL("postgres")))
			receiver := run(t, o)
			receiver.says("the archive begins")
			pg.Exec(t, "postgres", "CREATE TABLE l (x int)", "SELECT pg_switch_wal()", "INSERT INTO l SELECT 1")
			snapshot := filepath.Join(t.TempDir(), "data")
			halt(t, pg, func() { do(t, "cp", "-a", pg.DataDir, snapshot) })
			pg.Exec(t, "postgres", c.before...)
			reaches(t, r, pg, 1, flushed(t, pg))
			if !c.running {
				if err := receiver.stop(); err != nil {
					t.Fatal(err)
				}
			}
			var whole map[string]string
			halt(t, pg, func() {
				time.Sleep(2 * time.Second) // what the server said last is stored
				whole = archivedSums(t, r)
				do(t, "rm", "-rf", pg.DataDir)
				do(t, "cp", "-a", snapshot, pg.DataDir)
			})
			pg.Exec(t, "postgres", "INSERT INTO l SELECT 2 FROM generate_series(1, 100)", "SELECT pg_switch_wal()", "INSERT INTO l SELECT 2", "SELECT pg_switch_wal()", "INSERT INTO l SELECT 2 FROM generate_series(1, 2000)")
			if !c.running {
				receiver = run(t, o)
			}
			for range 2 { // and it stays so
				if err := <-receiver.done; !errors.Is(err, repo.ErrWALDiffers) {
					t.Fatalf("it ended with %v", err)
				}
				receiver.done <- nil
				if got := archivedSums(t, r); !maps.Equal(got, whole) {
					t.Errorf("the archive is %v, before it was %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(whole)))
				}
				receiver = run(t, o)
			}
		})
	}
}

// halt stops a server, does something, and starts it again.
func halt(t *testing.T, pg *testenv.PostgresServer, meanwhile func()) {
	t.Helper()
	if err := pg.Halt(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	meanwhile()
	if err := pg.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func do(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// archivedSums are the files of the archive with the SHA-256 of their contents.
func archivedSums(t *testing.T, r *repo.Repository) map[string]string {
	t.Helper()
	sums := map[string]string{}
	archives, err := r.WALArchives(t.Context(), source)
	if err != nil || len(archives) != 1 {
		t.Fatal(archives, err)
	}
	files, err := r.ListWAL(t.Context(), archives[0], 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := r.WALInfo(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		sums[f.Key()] = info.SHA256
	}
	return sums
}
