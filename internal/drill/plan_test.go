package drill

import (
	"errors"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/scratch"
)

func TestAPlanSaysWhatADrillWouldDoAndChangesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.backup()
	o := f.options()
	o.Drill.Source, o.Drill.Seed, o.Drill.AmCheck = job.DrillRandom, 42, true
	o.Drill.Checks = []job.DrillCheck{{Name: "orders", SQL: "select true"}}
	for name, c := range map[string]struct {
		options Options
		says    []string
	}{
		"a cluster":  {o, []string{"random of 1 with seed 42", "scratch server of PostgreSQL", "of 2 tables", "pg_amcheck", `check "orders"`, "mark the point as bad"}},
		"a database": {f.into(o), []string{"into a new database " + databasePrefix}},
	} {
		p, err := Plan(t.Context(), c.options)
		said := strings.Join(p.Steps, "\n")
		if err != nil || p.Point.ID != m.ID {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
		for _, want := range c.says {
			if !strings.Contains(said, want) {
				t.Errorf("%s: %q is not in\n%s", name, want, said)
			}
		}
	}
	if list := f.reports(); len(list) > 0 {
		t.Errorf("a plan stored %+v", list)
	}
	// What could not run is known before.
	c := f.content(m.Ref())
	c.manifest.Server.Major = 99
	o.Point = f.write(c).ID
	if _, err := Plan(t.Context(), o); !errors.Is(err, scratch.ErrNoServer) {
		t.Errorf("without programs: %v", err)
	}
	o = f.into(f.options())
	o.Connect = nil
	if _, err := Plan(t.Context(), o); err == nil {
		t.Error("without a server")
	}
	o.Source = "nobody@db1"
	if _, err := Plan(t.Context(), o); !errors.Is(err, ErrNothing) {
		t.Errorf("without points: %v", err)
	}
}
