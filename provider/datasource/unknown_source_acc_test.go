package datasource_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

func TestAccDataSources_warnOfASourceThatIsNotThere(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.days("shop", 1, 3)
	for kind, rules := range map[string]string{"pgbackup_recovery_points": "", "pgbackup_retention_preview": "\n  retention = { keep_last = 1 }"} {
		ask := func(source string) []string {
			w := providertest.NewWorkspace(t, data(kind, fmt.Sprintf("repository = %q\n  source = %q%s", f.url(), source, rules)))
			r := w.Plan()
			if r.Failed {
				t.Fatalf("%s: %s", kind, r)
			}
			return append(r.Warnings(), r.String())
		}
		if got := strings.Join(ask("shpo"), "\n"); !strings.Contains(got, kind+`: there is no recovery point of source "shpo"`) || !strings.Contains(got, `did you mean "shop"?`) {
			t.Errorf("%s: %s", kind, got)
		}
		if got := ask("shop"); len(got) != 1 {
			t.Errorf("%s: a source that is there: %q", kind, got)
		}
	}
}
