package backup_test

import (
	"context"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// law 4
func TestBackupsWithinOneSecondAreOrderedByTheirIDs(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	database(t, pg, "app", 0)
	r := inDir(t, t.TempDir())
	var last string
	for range 4 {
		result, err := backup.Run(context.Background(), options(r, target(t, pg.URL("app"))))
		if err != nil {
			t.Fatal(err)
		}
		id := result.Manifest.ID
		if id[:16] <= last {
			t.Fatalf("the start in id %s is not after %s of the backup before", id, last)
		}
		last = id[:16]
		latest, err := r.Find(context.Background(), "latest", repo.Filter{})
		if err != nil || latest.ID != id {
			t.Fatalf("latest is %s (%v), the newest backup is %s", latest.ID, err, id)
		}
	}
}
