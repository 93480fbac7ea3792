package restore_test

import (
	"context"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestAnEventTriggerThatLogsDDLDoesNotLogTheRestore(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", "CREATE TABLE ddl (tag text)", "CREATE FUNCTION ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.ddl VALUES (tg_tag); END $$",
		"CREATE EVENT TRIGGER a_log ON ddl_command_end EXECUTE FUNCTION ddl(); COMMENT ON EVENT TRIGGER a_log IS 'of DDL'; ALTER EVENT TRIGGER a_log ENABLE ALWAYS",
		// pg_restore refreshes it after it made the trigger.
		"CREATE TABLE t AS SELECT generate_series(1, 10) id; CREATE MATERIALIZED VIEW m AS SELECT * FROM t; CREATE INDEX ON t (id)")
	r := newRepository(t, nil)
	if _, err := restore.Run(context.Background(), restore.Options{Repo: r, Ref: back(t, pg, r).Manifest.Ref(), Target: target(t, pg, "again"), Jobs: 3}); err != nil {
		t.Fatal(err)
	}
	if diff := pg.SchemaDiff(t, "app", "again"); diff != "" {
		t.Error(diff)
	}
}
