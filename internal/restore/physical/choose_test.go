package physical_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/physical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestARestorePointIsRecoveredFromTheBaseBackupBeforeItOrRefusedWithTheNearestName(t *testing.T) {
	t.Parallel()
	p := protect(t, testenv.PostgresOptions{})
	p.Exec(t, "postgres", ledger, "SELECT pg_create_restore_point('before all')")
	first := p.backup(t)
	p.mark(t, 1)
	p.Exec(t, "postgres", "SELECT pg_create_restore_point('release 42')")
	p.mark(t, 2)
	second := p.backup(t)
	p.mark(t, 3)
	p.Exec(t, "postgres", "SELECT pg_create_restore_point('release 43')")
	p.switched(t)
	examine := func(name, point string) (physical.Plan, error) {
		o := p.options(t, filepath.Join(folder(t), "data"))
		o.Target, o.Point = archive.Target{Name: name, Inclusive: true}, point
		return physical.Examine(t.Context(), o)
	}
	for name, want := range map[string]string{"release 42": first.ID, "release 43": second.ID} {
		if plan, err := examine(name, ""); err != nil || plan.Point.ID != want {
			t.Errorf("%s: from %s, not %s: %v", name, plan.Point, want, err)
		}
	}
	if plan, err := examine("release 43", first.ID); err != nil || plan.Point.ID != first.ID {
		t.Errorf("the older base backup was named and %s taken: %v", plan.Point, err)
	}
	for _, x := range []struct{ name, point, says string }{
		{"release 42", second.ID, "oldest base backup that can be recovered"},
		{"relase 42", "", `did you mean "release 42"?`},
		{"something else", "", `its restore points are "release 43", "release 42"`},
	} {
		var none *archive.Unreachable
		if _, err := examine(x.name, x.point); !errors.As(err, &none) || !strings.Contains(err.Error(), x.says) || !strings.Contains(err.Error(), "Recoverable on timeline 00000001: ") {
			t.Errorf("%s of %q does not say %q: %v", x.name, x.point, x.says, err)
		}
	}
}

func TestTheLatestBeforeAGapIsWarnedOfInThePlanToo(t *testing.T) {
	t.Parallel()
	p := protect(t, testenv.PostgresOptions{})
	p.Exec(t, "postgres", ledger)
	p.backup(t)
	p.mark(t, 1)
	p.switched(t)
	o := p.options(t, filepath.Join(folder(t), "data"))
	if plan, err := physical.Examine(t.Context(), o); err != nil || len(plan.Warnings) > 0 {
		t.Fatalf("%q %v", plan.Warnings, err)
	}
	var name string
	p.ask(t, "SELECT pg_walfile_name(pg_current_wal_insert_lsn())", &name)
	p.mu.Lock()
	p.lose[name] = true
	p.mu.Unlock()
	p.mark(t, 2)
	p.switched(t)
	p.mark(t, 3)
	p.switched(t)
	said := func(warnings []string) bool {
		return strings.Contains(strings.Join(warnings, "\n"), "this is NOT the newest that was archived: WAL is missing from ")
	}
	if plan, err := physical.Examine(t.Context(), o); err != nil || !said(plan.Warnings) {
		t.Errorf("the plan says %q: %v", plan.Warnings, err)
	}
	if result := p.run(t, o); !said(result.Warnings) {
		t.Errorf("the restore says %q", result.Warnings)
	}
}
