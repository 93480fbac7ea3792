package restore_test

import (
	"context"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// The names of roles are kept as the bytes that the database they were made in has
// for them, and a backup writes them in its own encoding.
func TestRolesOfAServerOfAnotherEncodingComeBackUnderTheirNames(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	latin := testenv.PostgresOptions{Encoding: "LATIN1", Locale: "C"}
	pg, other := testenv.Postgres(t, latin), testenv.Postgres(t, latin)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", `CREATE ROLE "Müller"`, `CREATE TABLE "Größe" (v text)`, `INSERT INTO "Größe" VALUES ('é')`, `ALTER TABLE "Größe" OWNER TO "Müller"`)
	r := newRepository(t, nil)
	ref := back(t, pg, r).Manifest.Ref()
	for range 2 { // the second time the role is there
		if _, err := restore.Run(ctx, restore.Options{Repo: r, Ref: ref, Target: target(t, other, "app"), Globals: true}); err != nil {
			t.Fatal(err)
		}
		if diff, err := testenv.CompareDatabases(ctx, pg, "app", other, "app"); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
		other.Exec(t, "postgres", "DROP DATABASE app")
	}
	// A server that holds no such name does not make it a bad backup.
	if _, err := restore.Run(ctx, restore.Options{Repo: r, Ref: ref, Target: target(t, testenv.Postgres(t), "app"), Globals: true}); err == nil || restore.IsBadBackup(err) {
		t.Errorf("%v", err)
	}
}
