package repo

import (
	"fmt"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// The newest point of a job says with which key it runs today.
func TestTheJobsThatStillUseAKeyAreKnownByTheirPoints(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	r := newRepo(t, store, true)
	next := seal.Local{Key: seal.NewKey()}
	if err := r.AddKey(t.Context(), next, "file:/next", clock); err != nil {
		t.Fatal(err)
	}
	moved, err := Open(t.Context(), store, withKey(next))
	if err != nil {
		t.Fatal(err)
	}
	made := func(r *Repository, source, job, host string, age time.Duration) {
		t.Helper()
		w, err := r.NewPoint(source, "logical", clock.Add(-age), WriterOptions{})
		if err == nil {
			err = w.WriteStream(t.Context(), "archive", []byte("what was backed up"))
		}
		if err == nil {
			err = w.Commit(t.Context(), &Manifest{End: clock, Job: job, Host: host})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	made(r, "web@db1", "nightly", "db1", 3*time.Hour)
	made(r, "web@db2", "nightly", "db2", 3*time.Hour)
	made(moved, "web@db2", "nightly", "db2", 2*time.Hour) // has the new key since
	made(r, "web@db2", "", "laptop", time.Hour)           // by hand
	made(r, "old@db3", "weekly", "db3", 50*24*time.Hour)  // long gone
	made(r, "web@db2", "hourly", "pod-1", 4*time.Hour)    // another job of the same source
	users, err := r.KeyUsers(t.Context(), outerKey.KeyID(), clock.AddDate(0, 0, -40))
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, u := range users {
		got += fmt.Sprintf("%s on %s (%s) ", u.Job, u.Host, u.Source)
	}
	if got != "hourly on pod-1 (web@db2) nightly on db1 (web@db1) " {
		t.Error(got)
	}
	if users, err := r.KeyUsers(t.Context(), next.KeyID(), clock.AddDate(0, 0, -40)); err != nil || len(users) != 1 || users[0].Host != "db2" {
		t.Errorf("%v %v", users, err)
	}
}
