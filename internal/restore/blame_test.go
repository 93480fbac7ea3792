package restore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestOnlyWhatTheBackupIsAtFaultForIsBlamedOnIt(t *testing.T) {
	t.Parallel()
	server := func(code string) error { return fmt.Errorf("load: %w", &pgconn.PgError{Code: code}) }
	said := func(text string) error { return &postgres.ToolError{Tool: "pg_restore", ExitCode: 1, Stderr: text} }
	for name, c := range map[string]struct {
		err error
		bad bool
	}{
		"nothing":       {nil, false},
		"flipped":       {fmt.Errorf("load: %w", repo.ErrFlipped), true},
		"edited":        {seal.ErrEdited, true},
		"differs":       {restore.ErrDiffers, true},
		"constraint":    {server("23514"), true},
		"bad text":      {server("22P02"), true},
		"syntax":        {server("42601"), true},
		"rights":        {server("42501"), false},
		"no locale":     {server("22023"), false},
		"disk full":     {server("53100"), false},
		"shut down":     {server("57P01"), false},
		"wrong key":     {seal.ErrWrongKey, false},
		"cancelled":     {context.Canceled, false},
		"unique index":  {said(`pg_restore: error: could not execute query: ERROR:  could not create unique index "u"`), true},
		"a foreign key": {said(`pg_restore: error: could not execute query: ERROR:  insert or update on table "o" violates foreign key constraint "f"`), true},
		"no disk":       {said(`pg_restore: error: could not execute query: ERROR:  could not extend file "base/1": No space left on device`), false},
		"no rights":     {said(`pg_restore: error: could not execute query: ERROR:  permission denied for schema public`), false},
		"euros":         {fmt.Errorf("load: %w", &pgconn.PgError{Code: "22P02", Message: `invalid input syntax for type money: "1.234,56 €"`}), false},
		"a default":     {said(`pg_restore: error: could not execute query: ERROR:  invalid input syntax for type money: "1,00 €"`), false},
		"no connection": {fmt.Errorf("load: %w: %w", repo.ErrTruncated, objstore.ErrTransient), false},
		"both":          {&restore.Unfit{Problems: []error{restore.ErrMissingRoles}}, false},
	} {
		if got := restore.IsBadBackup(c.err); got != c.bad {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Rows that were doubled behind an index's back: a restore can not build it.
func TestABackupThatBreaksItsOwnUniqueKeyIsBad(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", "CREATE TABLE t (id int)", "INSERT INTO t VALUES (1), (1)", "CREATE UNIQUE INDEX u ON t (id) WHERE id > 1", "UPDATE pg_index SET indpred = NULL WHERE indexrelid = 'u'::regclass")
	r := newRepository(t, nil)
	o := restore.Options{Repo: r, Ref: back(t, pg, r).Manifest.Ref(), Target: target(t, pg, "again"), Isolated: true}
	_, err := restore.Run(context.Background(), o)
	if !restore.IsBadBackup(err) || exists(t, pg, "again") {
		t.Errorf("%v", err)
	}
	pg.Exec(t, "app", "DROP TABLE t")
	o.Target, o.Select = target(t, pg, "app"), restore.Selection{Tables: []string{"t"}}
	if _, err = restore.Run(context.Background(), o); !restore.IsBadBackup(err) || errors.Is(err, restore.ErrDiffers) {
		t.Errorf("%v", err)
	}
}

// refusing is a store that gives nothing out any more once that is said.
type refusing struct {
	objstore.Store
	now func() bool
}

var errRefused = errors.New("access denied")

func (r refusing) Get(ctx context.Context, key string, o objstore.GetOptions) (io.ReadCloser, objstore.Info, error) {
	if r.now() {
		return nil, objstore.Info{}, errRefused
	}
	return r.Store.Get(ctx, key, o)
}

// Credentials run out, buckets change hands: where a table begins is where that shows.
func TestAStoreThatRefusesInTheMiddleIsNoFaultOfTheBackup(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", "CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 1000) i")
	progress := &restore.Progress{}
	place, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Create(ctx, place, repo.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	r, err := repo.Open(ctx, refusing{place, func() bool { step := progress.Step.Load(); return step != nil && *step == "tables" }}, repo.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	o := restore.Options{Repo: r, Ref: back(t, pg, r).Manifest.Ref(), Target: target(t, pg, "again"), Progress: progress}
	_, err = restore.Run(ctx, o)
	if !errors.Is(err, errRefused) || restore.IsBadBackup(err) {
		t.Errorf("%v", err)
	}
}
