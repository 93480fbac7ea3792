package drill

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

func TestBadBackupsAreFoundCondemnedAndNeverChosenAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make func(t *testing.T, f *fixture, good content) repo.Ref
		says string
	}{
		"an archive whose rows differ from their record": {func(t *testing.T, f *fixture, good content) repo.Ref {
			server.Exec(t, f.database, "UPDATE orders SET customer = 'somebody else' WHERE id = 17")
			changed := f.content(f.backup().Ref())
			changed.tables, changed.manifest.Totals = good.tables, good.manifest.Totals
			return f.write(changed)
		}, "public.orders"},
		"one table's data missing": {func(t *testing.T, f *fixture, good content) repo.Ref {
			server.Exec(t, f.database, "TRUNCATE customers")
			empty := f.content(f.backup().Ref())
			empty.tables, empty.manifest.Totals = good.tables, good.manifest.Totals
			return f.write(empty)
		}, "public.customers"},
		// What fills the view sets the sequence back when it is restored.
		"a sequence behind": {func(t *testing.T, f *fixture, _ content) repo.Ref {
			server.Exec(t, f.database, "CREATE MATERIALIZED VIEW back AS SELECT setval('public.orders_id_seq', 3)",
				"SELECT setval('public.orders_id_seq', 5000)")
			return f.backup().Ref()
		}, "orders_id_seq"},
		"a flipped bit": {func(t *testing.T, f *fixture, _ content) repo.Ref {
			m := f.backup()
			path := filepath.Join(f.dir, m.Ref().DataPrefix()+m.Objects[0].Name)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			data[len(data)/2] ^= 1
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			return m.Ref()
		}, "damaged"},
		"a manifest that somebody edited": {func(t *testing.T, f *fixture, _ content) repo.Ref {
			m := f.backup()
			path := filepath.Join(f.dir, m.Ref().ManifestKey())
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(strings.Replace(string(data), `"rows":`, `"rows":1`, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			return m.Ref()
		}, "manifest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			first := f.backup()
			bad := c.make(t, f, f.content(first.Ref()))
			// Those that were only taken to make the bad one of are not asked for.
			points, err := f.List(t.Context(), repo.Filter{})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range points {
				if p.ID != first.ID && p.ID != bad.ID {
					if err := f.Delete(t.Context(), p.Ref, repo.Tombstone{Deleted: time.Now(), Reasons: []string{"a test"}}); err != nil {
						t.Fatal(err)
					}
				}
			}
			r := f.drill(f.options(), drillreport.BadBackup)
			if r.Point.ID != bad.ID || !strings.Contains(r.Reason, c.says) {
				t.Errorf("%s of %s: %s", r.Point.ID, bad.ID, r.Reason)
			}
			if !f.listed(bad).Condemned {
				t.Error("it is not condemned")
			}
			if latest, err := f.Find(t.Context(), "latest", repo.Filter{}); err != nil || latest.ID != first.ID {
				t.Errorf("latest is %s, %v", latest.ID, err)
			}
			point := strings.TrimSuffix(strings.TrimPrefix(bad.ManifestKey(), "manifests/"), ".json")
			mark, err := os.ReadFile(filepath.Join(f.dir, "condemned", point, "000001-condemned.json"))
			if err != nil || !strings.Contains(string(mark), r.ID) {
				t.Errorf("the mark does not name the report: %s, %v", mark, err)
			}
			again := f.drill(f.options(), drillreport.Proven)
			if again.Point.ID != first.ID {
				t.Errorf("the next drill took %s", again.Point.ID)
			}
			// By name it is drilled, and stays what it is.
			o := f.options()
			o.Point = bad.ID
			if named := f.drill(o, drillreport.BadBackup); named.Point.Chosen != "named" || len(named.Warnings) == 0 {
				t.Errorf("%+v", named)
			}
		})
	}
}

func TestABadCopyInTheReplicaDoesNotCondemnThePrimarys(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	good := f.content(f.backup().Ref())
	server.Exec(t, f.database, "DELETE FROM customers")
	changed := f.content(f.backup().Ref())
	changed.tables, changed.manifest.Totals = good.tables, good.manifest.Totals
	bad := f.write(changed)
	primary := newFixture(t)
	o := f.options()
	o.Reports, o.Drill.From = primary.Repository, job.FromReplica
	behind := 12.5
	o.Lag = &behind
	r, err := Run(t.Context(), o)
	if err != nil || r.Outcome != drillreport.BadBackup || r.Point.ID != bad.ID || r.Point.From != "replica" || *r.Point.Lag != behind {
		t.Fatalf("%+v, %v", r, err)
	}
	if f.listed(bad).Condemned {
		t.Error("it was condemned")
	}
	if !slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "primary's copy") }) {
		t.Errorf("%q", r.Warnings)
	}
	if len(f.reports()) != 0 || len(primary.reports()) != 1 {
		t.Errorf("%d reports in the replica, %d in the primary", len(f.reports()), len(primary.reports()))
	}
}
