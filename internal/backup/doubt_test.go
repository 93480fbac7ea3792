package backup_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// A pg_dump that exits with 0 and leaves out what was asked for.
func TestADumpThatLeavesOutASelectedTableIsNoBackup(t *testing.T) {
	pg := testenv.Postgres(t)
	database(t, pg, "app", 0)
	bin := t.TempDir()
	for _, tool := range []string{"pg_restore", "pg_dumpall", "psql"} {
		if err := os.Symlink(filepath.Join(pg.Bin, tool), filepath.Join(bin, tool)); err != nil {
			t.Fatal(err)
		}
	}
	wrapper := "#!/bin/sh\nexec '" + filepath.Join(pg.Bin, "pg_dump") + "' \"$@\" \"--exclude-table-data=small\"\n"
	if err := os.WriteFile(filepath.Join(bin, "pg_dump"), []byte(wrapper), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PGBACKUP_PG_BIN", bin)
	r := inDir(t, t.TempDir())
	_, err := backup.Run(context.Background(), options(r, target(t, pg.URL("app"))))
	wantError(t, err, "left out the data of table", "small")
	wantNothing(t, r, 0)
}

func TestAnotherServerUnderTheSameSourceCastsDoubt(t *testing.T) {
	t.Parallel()
	r := inDir(t, t.TempDir())
	for i, wantDoubt := range []bool{false, true} {
		pg := testenv.Postgres(t) // a cluster of its own each time
		database(t, pg, "app", 0)
		for range 2 { // the second backup of a server is compared with its own first
			result, err := backup.Run(context.Background(), options(r, target(t, pg.URL("app"))))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(result.Doubt, "another server"); got != wantDoubt {
				t.Errorf("server %d: doubt %q, want any: %v", i+1, result.Doubt, wantDoubt)
			}
			wantDoubt = false
		}
	}
}
