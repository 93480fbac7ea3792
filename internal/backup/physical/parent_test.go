package physical_test

import (
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestAServerThatKnowsNoIncrementalBackupsIsBackedUpInFullWithAWarning(t *testing.T) {
	t.Parallel()
	pg := archived(t, testenv.PostgresOptions{})
	if pg.Major >= 17 {
		t.Fatalf("the PostgreSQL in %s is %d, and this test needs one older than 17: set PGBACKUP_PG_BIN to the programs of one", pg.Bin, pg.Major)
	}
	r := inDir(t, t.TempDir())
	archive(t, pg, r, source)
	o := options(r, target(t, pg.URL("postgres")))
	o.What.Incremental = &job.Incremental{}
	got := run(t, o)
	if len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "incremental backups begin with 17") || got.Manifest.Parent != "" {
		t.Errorf("it builds on %q and warns %q", got.Manifest.Parent, got.Warnings)
	}
}
