package repo

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

func TestTheAuditLogSaysWhoDidWhatWhenNewestFirst(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, r *Repository) {
		var ids []string
		for day := range 4 {
			e := AuditEntry{At: clock.AddDate(0, 0, day), By: "ada@db1", What: "restore", Of: "app/logical/x", To: "app", Outcome: "begun", Approval: "RESTORE-PROD-20260301", Detail: map[string]string{"replace": "true"}, Runner: "1.2.3"}
			if day > 0 {
				e.Begun, e.Outcome = ids[0], "done"
			}
			id, err := r.PutAudit(t.Context(), e)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		all, err := r.AuditLog(t.Context(), time.Time{})
		if err != nil || len(all) != 4 {
			t.Fatalf("%+v, %v", all, err)
		}
		slices.Reverse(all)
		for day, e := range all {
			if e.Problem != nil || e.ID != ids[day] || !e.At.Equal(clock.AddDate(0, 0, day)) || e.By != "ada@db1" || e.Approval != "RESTORE-PROD-20260301" || e.Detail["replace"] != "true" || e.Format != AuditFormat {
				t.Errorf("day %d: %+v", day, e)
			}
			if day > 0 && e.Begun != ids[0] {
				t.Errorf("day %d: begun as %q", day, e.Begun)
			}
		}
		for since, want := range map[time.Duration]int{0: 4, 25 * time.Hour: 2, 72 * time.Hour: 1, 72*time.Hour + time.Second: 0} {
			if got, err := r.AuditLog(t.Context(), clock.Add(since)); err != nil || len(got) != want {
				t.Errorf("since %s: %d entries, %v", since, len(got), err)
			}
		}
	})
}

func TestAnEntryWithoutATimeIsOfNow(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	if _, err := r.PutAudit(t.Context(), AuditEntry{What: "import", Outcome: "done"}); err != nil {
		t.Fatal(err)
	}
	log, err := r.AuditLog(t.Context(), time.Now().Add(-time.Minute))
	if err != nil || len(log) != 1 || time.Since(log[0].At) > time.Minute {
		t.Errorf("%+v, %v", log, err)
	}
}

func TestEntriesThatWereChangedAreListedWithTheirProblem(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, r *Repository) {
		id, err := r.PutAudit(t.Context(), AuditEntry{At: clock, By: "mallory", What: "restore", Outcome: "done"})
		if err != nil {
			t.Fatal(err)
		}
		key := auditPrefix + id + ".json"
		data, err := readSmall(t.Context(), r.store, key, maxRecord)
		if err != nil {
			t.Fatal(err)
		}
		changes := map[string][]byte{"changed": []byte(strings.Replace(string(data), "mallory", "ada", 1)), "cut": data[:20], "empty": {}}
		for name, damage := range changes {
			rewrite(t, r, key, damage)
			log, err := r.AuditLog(t.Context(), time.Time{})
			if err != nil || len(log) != 1 || !errors.Is(log[0].Problem, ErrDamaged) || log[0].ID != id || log[0].By != "" {
				t.Errorf("%s: %+v, %v", name, log, err)
			}
		}
		// A genuine entry, at another time.
		second := NewID(clock.AddDate(0, 0, 1))
		if _, err := r.store.Put(t.Context(), auditPrefix+second+".json", data, objstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		log, err := r.AuditLog(t.Context(), clock.AddDate(0, 0, 1))
		if err != nil || len(log) != 1 || !errors.Is(log[0].Problem, ErrDamaged) {
			t.Errorf("moved: %+v, %v", log, err)
		}
	})
}
