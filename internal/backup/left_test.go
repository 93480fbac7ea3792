package backup_test

import (
	"context"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestAForeignFileAmongTheManifestsIsSaidAndTheBackupIsTaken(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	database(t, pg, "app", 0)
	r := inDir(t, t.TempDir())
	if _, err := r.store.Put(context.Background(), "manifests/app/logical/notes.txt", []byte("x"), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	result, err := backup.Run(context.Background(), options(r, target(t, pg.URL("app"))))
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Warnings) != 1 || !strings.Contains(result.Warnings[0], "notes.txt") {
		t.Errorf("warnings %q do not name the file", result.Warnings)
	}
}
