package rds_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// copied is the repository as it is now, at another place.
func (w *world) copied() *repo.Repository {
	w.t.Helper()
	to := filepath.Join(w.t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(strings.TrimPrefix(w.repo.URL(), "file://"))); err != nil {
		w.t.Fatal(err)
	}
	store, err := dir.Open(to)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := repo.Open(w.t.Context(), store, repo.OpenOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	if r.ID() != w.repo.ID() || r.URL() == w.repo.URL() {
		w.t.Fatalf("%s is no copy of %s", r.URL(), w.repo.URL())
	}
	return r
}

func TestACopyOfARepositoryDeletesNoSnapshotOfTheOriginal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.take().Manifest
	w.take()
	replica := w.copied()
	third := w.take().Manifest // which the copy knows nothing of
	out, err := w.rotate(1, replica)
	if !errors.Is(err, rds.ErrOtherPlace) || len(out.Delete) != 0 || len(w.snapshots()) != 3 {
		t.Fatalf("%+v, %v; there are %v", out.Delete, err, w.snapshots())
	}
	if text := err.Error(); !strings.Contains(text, "--from "+w.repo.URL()) || !strings.Contains(text, "--repository "+replica.URL()) {
		t.Errorf("it does not say what to do: %v", err)
	}
	if _, err := replica.Manifest(t.Context(), first.Ref()); err != nil {
		t.Errorf("the copy forgot its point: %v", err)
	}
	// Nor does it take what it has no point of for one that a crash left.
	if got := w.take(func(o *rds.Options) { o.Repo = replica }); len(got.Adopted) != 0 {
		t.Errorf("the copy took %+v", got.Adopted)
	}
	if s, err := w.api.Snapshot(t.Context(), third.RDS.Snapshot, false); err != nil || s.Tags[rds.TagPoint] != third.ID {
		t.Errorf("%v, %v", s.Tags, err)
	}
	if out, err := w.rotate(1, w.repo); err != nil || len(out.Delete) != 2 || len(w.snapshots()) != 2 {
		t.Errorf("the original: %+v, %v", out.Delete, err)
	}
}

func TestARepositoryThatWasMovedTakesItsSnapshotsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.take()
	w.take()
	left := w.leave()
	theirs := w.take(func(o *rds.Options) { o.Repo = w.newRepository() }).Snapshot.Name
	moved := w.copied()
	o := rds.RetagOptions{Repo: moved, Clients: w.clients, From: w.repo.URL(), DryRun: true}
	if got, err := rds.Retag(t.Context(), o); err != nil || len(got) != 3 {
		t.Fatalf("%v, %v", got, err)
	}
	if _, err := w.rotate(1, moved); !errors.Is(err, rds.ErrOtherPlace) {
		t.Errorf("a dry run changed something: %v", err)
	}
	o.DryRun, o.From = false, "file:///never/was/there"
	if got, err := rds.Retag(t.Context(), o); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	o.From = moved.URL()
	if _, err := rds.Retag(t.Context(), o); err == nil {
		t.Error("it was moved to where it is")
	}
	o.From = w.repo.URL()
	w.front.set("AddTagsToResource", "AccessDenied")
	if got, err := rds.Retag(t.Context(), o); !errors.Is(err, awsapi.ErrDenied) || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	w.front.set("AddTagsToResource", "")
	if got, err := rds.Retag(t.Context(), o); err != nil || len(got) != 3 {
		t.Fatalf("%v, %v", got, err)
	}
	// The old place deletes nothing now; the new one does, and finishes what was left.
	if _, err := w.rotate(1, w.repo); !errors.Is(err, rds.ErrOtherPlace) {
		t.Errorf("the old place: %v", err)
	}
	if got := w.take(func(o *rds.Options) { o.Repo = moved }); len(got.Adopted) != 1 || got.Adopted[0].RDS.Snapshot != left {
		t.Errorf("%+v", got.Adopted)
	}
	out, err := w.rotate(1, moved)
	if err != nil || len(out.Delete) != 3 || len(w.snapshots()) != 2 || !slices.Contains(w.snapshots(), theirs) {
		t.Errorf("%+v, %v; there are %v", out.Delete, err, w.snapshots())
	}
}
