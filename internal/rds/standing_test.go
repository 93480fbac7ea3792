package rds_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rotate"
)

// somebodyDeletes deletes the snapshot of a point in RDS.
func (w *world) somebodyDeletes(m *repo.Manifest) {
	w.t.Helper()
	s, err := w.api.Snapshot(w.t.Context(), m.RDS.Snapshot, m.RDS.Cluster)
	if err == nil {
		err = w.api.DeleteSnapshot(w.t.Context(), s)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// as gives snapshots of these names another status.
func (w *world) as(status string, names ...string) {
	w.front.change("DescribeDBSnapshots", func(body string) string {
		parts := strings.SplitAfter(body, "</DBSnapshot>")
		for i, p := range parts {
			if slices.ContainsFunc(names, func(n string) bool { return strings.Contains(p, n) }) {
				parts[i] = strings.ReplaceAll(p, "<Status>available</Status>", "<Status>"+status+"</Status>")
			}
		}
		return strings.Join(parts, "")
	})
}

// law 3
func TestASnapshotThatIsGoneOrFailedIsNoReasonToDeleteAnother(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(*world, *repo.Manifest){
		"gone":     (*world).somebodyDeletes,
		"failed":   func(w *world, m *repo.Manifest) { w.as("failed", m.RDS.Snapshot) },
		"deleting": func(w *world, m *repo.Manifest) { w.as("deleting", m.RDS.Snapshot) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			first, second := w.take().Manifest, w.take().Manifest
			harm(w, second)
			out, err := w.rotate(1, w.repo)
			if err != nil || len(out.Delete) != 0 || !slices.Contains(w.snapshots(), first.RDS.Snapshot) {
				t.Fatalf("deleted %+v, %v; there are %v", out.Delete, err, w.snapshots())
			}
			if len(out.Warnings) != 1 || !strings.Contains(out.Warnings[0], "pgbackup-runner verify "+second.ID) {
				t.Errorf("warnings %q", out.Warnings)
			}
			i := slices.IndexFunc(out.Keep, func(d rotate.Decision) bool { return d.ID == second.ID })
			if i < 0 || !strings.Contains(out.Keep[i].Reasons[0], second.RDS.Snapshot) || out.Keep[i].Restorable {
				t.Errorf("%+v", out.Keep)
			}
		})
	}
}

func TestASnapshotThatIsGoneTakesNoSlotAndOneSearchTellsAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var points []*repo.Manifest
	for range 5 {
		points = append(points, w.take().Manifest)
	}
	w.somebodyDeletes(points[4])
	w.somebodyDeletes(points[3])
	w.somebodyDeletes(points[0]) // goes anyway
	rules := retention.Rules{}
	rules.KeepLast = 1
	before := w.front.count("DescribeDBSnapshots")
	out, err := rotate.Plan(t.Context(), rotate.Options{Repo: w.repo, Rules: rules, Now: time.Now(), Release: rds.Release(w.clients, w.repo, nil), Standing: rds.Standing(w.clients)})
	if n := w.front.count("DescribeDBSnapshots") - before; err != nil || n != 1 {
		t.Errorf("%d searches, %v", n, err)
	}
	if len(out.Delete) != 2 || len(out.Warnings) != 2 {
		t.Errorf("%+v", out)
	}
	if out, err = w.rotate(1, w.repo); err != nil || len(out.Delete) != 2 {
		t.Errorf("%+v, %v", out.Delete, err)
	}
	if names := w.snapshots(); len(names) != 1 || names[0] != points[2].RDS.Snapshot {
		t.Errorf("left are %v, the last good is %s", names, points[2].RDS.Snapshot)
	}
}

func TestWhatCannotBeSeenInRDSDeletesNoSnapshot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.take()
	second := w.take().Manifest
	w.front.set("DescribeDBSnapshots", "AccessDenied")
	out, err := w.rotate(1, w.repo)
	if err != nil || len(out.Delete) != 0 || len(out.Warnings) != 1 || !strings.Contains(out.Warnings[0], "rds:DescribeDBSnapshots") {
		t.Errorf("%+v, %v", out, err)
	}
	w.front.set("DescribeDBSnapshots", "")
	// With another account's credentials nothing is found, which says nothing.
	w.somebodyDeletes(second)
	w.front.change("GetCallerIdentity", func(body string) string { return strings.ReplaceAll(body, "123456789012", "999999999999") })
	if out, err := w.rotate(1, w.repo); err != nil || len(out.Delete) != 0 || len(out.Warnings) != 1 || !strings.Contains(out.Warnings[0], rds.ErrOtherAccount.Error()) {
		t.Errorf("%+v, %v", out, err)
	}
	if len(w.snapshots()) != 1 || len(w.points()) != 2 {
		t.Errorf("%v", w.snapshots())
	}
}
