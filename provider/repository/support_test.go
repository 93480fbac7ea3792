package repository_test

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secret"
)

func mark() repo.Mark { return repo.Mark{At: time.Now(), By: "the test"} }

// only gives the one recovery point of a repository.
func only(t *testing.T, r *repo.Repository) repo.Ref {
	t.Helper()
	points, err := r.List(t.Context(), repo.Filter{})
	if err != nil || len(points) != 1 {
		t.Fatalf("%d points, %v", len(points), err)
	}
	return points[0].Ref
}

// openWithKey opens a sealed repository as a runner would, key included.
func openWithKey(t *testing.T, id, ref string) error {
	t.Helper()
	at, err := location.Parse(id)
	if err != nil {
		return err
	}
	store, err := location.Open(context.Background(), at, location.OpenOptions{})
	if err != nil {
		return err
	}
	_, err = repo.Open(context.Background(), store, repo.OpenOptions{Key: secret.Source{}.KeySource(ref, nil)})
	return err
}

// checked is a look at the world after a step, in the place of one at the state.
type checked func() error

func (c checked) CheckState(_ context.Context, _ statecheck.CheckStateRequest, resp *statecheck.CheckStateResponse) {
	resp.Error = c()
}

// removePoint deletes a recovery point as retention does.
func removePoint(t *testing.T, r *repo.Repository, ref repo.Ref) {
	t.Helper()
	if err := r.Delete(t.Context(), ref, repo.Tombstone{Reasons: []string{"the test wants it gone"}}); err != nil {
		t.Fatal(err)
	}
}
