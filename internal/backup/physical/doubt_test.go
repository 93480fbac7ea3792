package physical_test

import (
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// Nothing is rotated after a backup that is in doubt, and each of its warnings makes the
// runner end with 3.
func TestABaseBackupOfAnotherServerThanTheNewestIsInDoubtAndSaysWhatToDo(t *testing.T) {
	t.Parallel()
	r := inDir(t, t.TempDir())
	first, second := archived(t, testenv.PostgresOptions{}), archived(t, testenv.PostgresOptions{})
	for _, pg := range []*testenv.PostgresServer{first, second} {
		archive(t, pg, r, source)
	}
	for i, c := range []struct {
		pg    *testenv.PostgresServer
		doubt bool
	}{{first, false}, {first, false}, {second, true}, {second, false}, {first, true}} {
		result := run(t, options(r, target(t, c.pg.URL("postgres"))))
		if !c.doubt {
			if result.Doubt != "" || len(result.Warnings) > 0 {
				t.Errorf("base backup %d: doubt %q, warnings %q", i+1, result.Doubt, result.Warnings)
			}
			continue
		}
		for _, want := range []string{"another server", system(t, first), system(t, second), source, "--source"} {
			if !strings.Contains(result.Doubt, want) {
				t.Errorf("base backup %d: doubt %q does not say %q", i+1, result.Doubt, want)
			}
		}
		if len(result.Warnings) != 1 || !strings.Contains(result.Warnings[0], "nothing is rotated") {
			t.Errorf("base backup %d: warnings %q", i+1, result.Warnings)
		}
	}
}
