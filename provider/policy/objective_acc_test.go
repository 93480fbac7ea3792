package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

func TestAccPolicy_anObjectiveThatBackupsAloneDoNotReachIsWarnedOf(t *testing.T) {
	t.Parallel()
	const summary = "pgbackup_policy (prod): at most %s may be lost, and no rule keeps WAL: backups alone, however often, do not reach that"
	dir := t.TempDir()
	config := func(rpo, retention string) string {
		return providertest.Repository(dir) + fmt.Sprintf(`
resource "pgbackup_policy" "prod" {
  name       = "prod"
  repository = pgbackup_repository.main.id
  objectives = { rpo = %q }
  retention  = { %s }
}
`, rpo, retention)
	}
	w := providertest.NewWorkspace(t, config("59m", "keep_daily = 30"))
	for _, r := range []providertest.Result{w.Plan(), w.MustApply()} {
		if warned := strings.Join(r.Warnings(), "\n"); !strings.Contains(warned, fmt.Sprintf(summary, "59m")) || !strings.Contains(r.String(), `such as wal = "7d"`) {
			t.Errorf("a new policy: %s", r)
		}
	}
	w.Configure(config("5m", `keep_within = "3m"`))
	titles := w.Plan().Warnings()
	slices.Sort(titles)
	if want := []string{fmt.Sprintf(summary, "5m"), `pgbackup_policy (prod): keep_within is 3m, less than an hour: 3m are minutes, as many months would be "3mo"`}; !slices.Equal(titles, want) {
		t.Errorf("titles %q, want %q", titles, want)
	}
	w.Configure(config("59m", "keep_daily = 30"))
	if r := w.Plan(); len(r.Warnings()) > 0 {
		t.Errorf("nothing changes: %s", r)
	}
	for _, c := range []struct{ rpo, retention, warned string }{
		{"1h", "keep_daily = 30", ""},
		{"30s", "keep_hourly = 24", "30s"},
		{"30s", "keep_hourly = 24, wal = \"7d\"", ""},
		{"24h", "keep_daily = 30", ""},
	} {
		w.Configure(config(c.rpo, c.retention))
		r := w.Plan()
		warned := strings.Join(r.Warnings(), "\n")
		if has := strings.Contains(warned, "no rule keeps WAL"); has != (c.warned != "") || has && !strings.Contains(warned, fmt.Sprintf(summary, c.warned)) {
			t.Errorf("rpo %s with %s: %s", c.rpo, c.retention, r)
		}
	}
}
