package receive_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/receive"
)

func TestArchiveIsWhatTheServerWrote(t *testing.T) {
	t.Parallel()
	pg := server(t)
	r, _ := inDir(t)
	o := options(t, r, target(t, pg.URL("postgres")))
	receiver := run(t, o)
	receiver.says("the archive begins")
	if err := pg.PgBench(context.Background(), "postgres", 2); err != nil {
		t.Fatal(err)
	}
	stop := pgbench(t, pg, 2)
	time.Sleep(2 * time.Second)
	stop()
	pg.Exec(t, "postgres", "SELECT pg_switch_wal()", "CREATE TABLE after_switch AS SELECT 1 AS x")
	end := flushed(t, pg)
	reaches(t, r, pg, 1, end)

	// What is stored is confirmed, and nothing else.
	eventually(t, "the slot is where the archive is", func() error {
		var restart string
		err := pg.Connect(t, "postgres").QueryRow(t.Context(), "SELECT restart_lsn::text FROM pg_replication_slots WHERE slot_name = $1", receive.SlotName(source)).Scan(&restart)
		if err == nil && restart != end.String() && flushed(t, pg) == end {
			err = fmt.Errorf("slot at %s, archive to %s", restart, end)
		}
		return err
	})
	eventually(t, "the report is right", func() error {
		s := receiver.state.Load()
		if s == nil || s.Stored < end || s.Received < s.Stored || s.Lag != 0 || s.Retained < 0 || !s.Connected || s.Archive.Source != source || s.Timeline != 1 {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})

	// A segment that fills slowly stays in few pieces, and what was in them goes when it
	// is whole.
	for i := range 12 {
		pg.Exec(t, "postgres", fmt.Sprintf("INSERT INTO after_switch SELECT g FROM generate_series(1, %d) g", 100+i))
		time.Sleep(200 * time.Millisecond)
	}
	if n := pieces(t, r); n == 0 || n > 8 {
		t.Errorf("%d pieces", n)
	}
	pg.Exec(t, "postgres", "SELECT pg_switch_wal()")
	eventually(t, "the pieces of whole segments go", func() error {
		if n := pieces(t, r); n > 1 {
			return fmt.Errorf("%d pieces", n)
		}
		return nil
	})

	// Another run goes on where this one ended.
	if err := receiver.stop(); err != nil {
		t.Fatal(err)
	}
	extents(t, r, pg)
	pg.Exec(t, "postgres", "INSERT INTO after_switch SELECT g FROM generate_series(1, 300000) g")
	again := run(t, o)
	again.says("the archive is continued")
	reaches(t, r, pg, 1, flushed(t, pg))
}

func pieces(t testing.TB, r *repo.Repository) int {
	t.Helper()
	archives, err := r.WALArchives(t.Context(), source)
	if err != nil || len(archives) != 1 {
		t.Fatalf("%v, %v", archives, err)
	}
	files, err := r.ListWAL(t.Context(), archives[0], 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range files {
		if f.Kind() == pgwal.PieceFile {
			n++
		}
	}
	return n
}
