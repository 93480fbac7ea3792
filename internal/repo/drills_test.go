package repo

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

func drillReport(drill, source string, at time.Time) drillreport.Report {
	return drillreport.Report{
		Format: drillreport.Format, ID: NewID(at), Drill: drill, Start: at, End: at.Add(time.Minute), Outcome: drillreport.Proven,
		Point: drillreport.Point{Source: source, Chosen: "latest", From: "primary"}, Phases: []drillreport.Phase{},
	}
}

// putReports stores reports of two drills, two sources and three days.
func putReports(t *testing.T, r *Repository) []drillreport.Report {
	t.Helper()
	var all []drillreport.Report
	for day := range 3 {
		for _, drill := range []string{"weekly", "daily"} {
			for _, source := range []string{"app@db1", "a b/c~d%@db1"} {
				report := drillReport(drill, source, clock.AddDate(0, 0, day))
				if err := r.PutDrillReport(t.Context(), report); err != nil {
					t.Fatal(err)
				}
				all = append(all, report)
			}
		}
	}
	return all
}

func TestDrillReportsAreListedByDrillAndSourceNewestFirst(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, r *Repository) {
		all := putReports(t, r)
		for name, c := range map[string]struct {
			filter DrillFilter
			want   int
		}{
			"all": {DrillFilter{}, 12}, "a drill": {DrillFilter{Drill: "weekly"}, 6}, "a source": {DrillFilter{Source: "a b/c~d%@db1"}, 6},
			"both": {DrillFilter{Drill: "daily", Source: "app@db1"}, 3}, "the newest of each": {DrillFilter{Newest: 1}, 4},
			"the newest two of a drill": {DrillFilter{Drill: "weekly", Newest: 2}, 4}, "another": {DrillFilter{Drill: "week"}, 0},
		} {
			got, err := r.DrillReports(t.Context(), c.filter)
			if err != nil || len(got) != c.want {
				t.Errorf("%s: %d reports, %v", name, len(got), err)
			}
			if !slices.IsSortedFunc(got, func(a, b DrillListed) int { return strings.Compare(b.ID, a.ID) }) {
				t.Errorf("%s: not the newest first", name)
			}
			for _, d := range got {
				i := slices.IndexFunc(all, func(r drillreport.Report) bool { return r.ID == d.ID })
				if d.Problem != nil || i < 0 || cmp.Diff(all[i], *d.Report) != "" {
					t.Errorf("%s: %+v", name, d)
				}
				if day := 2; c.filter.Newest == 1 && d.Report.Start != clock.AddDate(0, 0, day) {
					t.Errorf("%s: %s is not the newest", name, d.ID)
				}
			}
		}
	})
}

func TestADrillReportIsWrittenOnce(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	report := drillReport("weekly", "app@db1", clock)
	if err := r.PutDrillReport(t.Context(), report); err != nil {
		t.Fatal(err)
	}
	report.Outcome = drillreport.BadBackup
	if err := r.PutDrillReport(t.Context(), report); !errors.Is(err, objstore.ErrPrecondition) {
		t.Errorf("a second one: %v", err)
	}
	got, err := r.DrillReports(t.Context(), DrillFilter{})
	if err != nil || len(got) != 1 || got[0].Report.Outcome != drillreport.Proven {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestADrillReportThatCouldNotBeFoundAgainIsRefused(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	for name, change := range map[string]func(*drillreport.Report){
		"drill":  func(d *drillreport.Report) { d.Drill = "../weekly" },
		"id":     func(d *drillreport.Report) { d.ID = "today" },
		"source": func(d *drillreport.Report) { d.Point.Source = "" },
	} {
		report := drillReport("weekly", "app@db1", clock)
		change(&report)
		if err := r.PutDrillReport(t.Context(), report); err == nil || !strings.Contains(err.Error(), "store the report of drill") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if keys := keysOf(t, r.store, drillsPrefix); len(keys) > 0 {
		t.Errorf("stored %v", keys)
	}
}

// rewrite puts another content under a key, as somebody may who can write to the
// store.
func rewrite(t *testing.T, r *Repository, key string, data []byte) {
	t.Helper()
	if err := r.store.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if _, err := r.store.Put(t.Context(), key, data, objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

// forge makes a report that says proven, with a right checksum, as whoever has no
// key can.
func forge(t *testing.T, report drillreport.Report) []byte {
	t.Helper()
	other := newRepo(t, newStore(t), false) // of somebody who has no key at all
	if err := other.PutDrillReport(t.Context(), report); err != nil {
		t.Fatal(err)
	}
	data, err := readSmall(t.Context(), other.store, drillKey(report.Drill, report.Point.Source, report.ID), maxRecord)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestASealedRepositoryRefusesAForgedReport(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), true)
	bad := drillReport("weekly", "app@db1", clock)
	bad.Outcome = drillreport.BadBackup
	if err := r.PutDrillReport(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	key := drillKey(bad.Drill, bad.Point.Source, bad.ID)
	genuine, err := readSmall(t.Context(), r.store, key, maxRecord)
	if err != nil {
		t.Fatal(err)
	}
	good := bad
	good.Outcome = drillreport.Proven
	var stored record
	if err := json.Unmarshal(genuine, &stored); err != nil {
		t.Fatal(err)
	}
	var forged record
	if err := json.Unmarshal(forge(t, good), &forged); err != nil {
		t.Fatal(err)
	}
	encode := func(s record) []byte {
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	// The genuine report of another day, put where this one should be.
	other := drillReport("weekly", "app@db1", clock.AddDate(0, 0, 7))
	if err := r.PutDrillReport(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	moved, err := readSmall(t.Context(), r.store, drillKey("weekly", "app@db1", other.ID), maxRecord)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"without a MAC":           encode(forged),
		"with the MAC of another": encode(record{forged.Record, forged.SHA256, stored.HMAC}),
		"moved":                   moved,
	} {
		rewrite(t, r, key, data)
		got, err := r.DrillReports(t.Context(), DrillFilter{Newest: 0})
		if err != nil || len(got) != 2 {
			t.Fatalf("%s: %v, %v", name, got, err)
		}
		if got[1].Report != nil || !errors.Is(got[1].Problem, ErrDamaged) || got[1].ID != bad.ID || got[0].Report == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	// Whoever has no key reads what is there, as with manifests.
	without, err := Open(t.Context(), r.store, OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := without.DrillReports(t.Context(), DrillFilter{}); err != nil || len(got) != 2 || got[0].Report == nil {
		t.Errorf("without the key: %+v, %v", got, err)
	}
	if err := without.PutDrillReport(t.Context(), good); !errors.Is(err, ErrNoKey) {
		t.Errorf("written without the key: %v", err)
	}
}

func TestDamagedReportsAreListedWithTheirProblem(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, r *Repository) {
		report := drillReport("weekly", "app@db1", clock)
		if err := r.PutDrillReport(t.Context(), report); err != nil {
			t.Fatal(err)
		}
		key := drillKey("weekly", "app@db1", report.ID)
		data, err := readSmall(t.Context(), r.store, key, maxRecord)
		if err != nil {
			t.Fatal(err)
		}
		newer, err := json.Marshal(map[string]any{"format": drillreport.Format + 1})
		if err != nil {
			t.Fatal(err)
		}
		for name, damage := range map[string][]byte{
			"cut": data[:len(data)/2], "empty": {}, "no JSON": []byte("hello"), "another document": []byte(`{"a":1}`),
			"changed": []byte(strings.Replace(string(data), `"proven"`, `"PROVEN"`, 1)), "more behind it": append(slices.Clone(data), "{}"...),
		} {
			rewrite(t, r, key, damage)
			got, err := r.DrillReports(t.Context(), DrillFilter{})
			if err != nil || len(got) != 1 || got[0].Report != nil || !errors.Is(got[0].Problem, ErrDamaged) || !strings.Contains(got[0].Problem.Error(), key) {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
		// What a newer program wrote is not damaged, and not read either.
		if err := r.store.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if err := r.putRecord(t.Context(), key, json.RawMessage(newer)); err != nil {
			t.Fatal(err)
		}
		got, err := r.DrillReports(t.Context(), DrillFilter{})
		if err != nil || len(got) != 1 || got[0].Problem == nil || errors.Is(got[0].Problem, ErrDamaged) {
			t.Errorf("a newer format: %+v, %v", got, err)
		}
		// A genuine one of another drill: in an unsealed repository only its own words tell.
		if err := r.store.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if err := r.putRecord(t.Context(), key, drillReport("daily", "app@db1", clock)); err != nil {
			t.Fatal(err)
		}
		if got, err := r.DrillReports(t.Context(), DrillFilter{}); err != nil || len(got) != 1 || !errors.Is(got[0].Problem, ErrDamaged) {
			t.Errorf("of another drill: %+v, %v", got, err)
		}
	})
}

func TestKeysThatAreNoReportsAreNotListed(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	for _, key := range []string{"drills/1", "drills/weekly/app/readme.txt", "drills/weekly/app/today.json", "drills/Weekly/app/" + NewID(clock) + ".json", "drills/weekly/" + NewID(clock) + ".json"} {
		if _, err := r.store.Put(t.Context(), key, []byte("{}"), objstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := r.DrillReports(t.Context(), DrillFilter{}); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestARecordThatIsTooLargeToBeReadBackIsNotWritten(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	report := drillReport("weekly", "app@db1", clock)
	report.Reason = strings.Repeat("x", maxRecord)
	if err := r.PutDrillReport(t.Context(), report); err == nil || !strings.Contains(err.Error(), "can be read back") {
		t.Errorf("%v", err)
	}
}

func TestDestroyRemovesReportsAndTheAuditLogAndNothingOfOthers(t *testing.T) {
	t.Parallel()
	r, _ := destroyable(t)
	putReports(t, r)
	if _, err := r.PutAudit(t.Context(), AuditEntry{What: "restore", By: "ada", Outcome: "done"}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.store.Put(t.Context(), "drills/photos/1.jpg", []byte("not ours"), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Destroy(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if left := keysOf(t, r.store, ""); !slices.Equal(left, []string{"drills/photos/1.jpg", "notes.txt"}) {
		t.Errorf("left are %v", left)
	}
}

func TestACopiedRepositoryHasItsReportsAndItsAuditLog(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, r *Repository) {
		all := putReports(t, r)
		id, err := r.PutAudit(t.Context(), AuditEntry{What: "restore", By: "ada", Outcome: "done", At: clock})
		if err != nil {
			t.Fatal(err)
		}
		to := newStore(t)
		copyStore(t, r.store, to)
		copied, err := Open(t.Context(), to, withKey(outerKey))
		if err != nil {
			t.Fatal(err)
		}
		got, err := copied.DrillReports(t.Context(), DrillFilter{})
		if err != nil || len(got) != len(all) || slices.ContainsFunc(got, func(d DrillListed) bool { return d.Report == nil }) {
			t.Errorf("%d reports, %v", len(got), err)
		}
		log, err := copied.AuditLog(t.Context(), time.Time{})
		if err != nil || len(log) != 1 || log[0].ID != id || log[0].Problem != nil || log[0].By != "ada" {
			t.Errorf("%+v, %v", log, err)
		}
	})
}
