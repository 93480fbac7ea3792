package rotate

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// law 3
func TestAPointWithoutItsDataIsNoReasonToDeleteAnother(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(path string) error{
		"gone":      os.Remove,
		"truncated": func(path string) error { return os.Truncate(path, 10) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			refs := f.points("app", 1, 2)
			other := f.points("other", 1, 2)
			if err := harm(filepath.Join(f.dir, filepath.FromSlash(refs[0].DataPrefix()), "archive.0000")); err != nil {
				t.Fatal(err)
			}
			out, err := Run(t.Context(), f.options(retention.Keep{KeepLast: 1}))
			if err != nil {
				t.Fatal(err)
			}
			if len(out.Delete) != 1 || out.Delete[0].ID != other[1].ID {
				t.Errorf("deleted %v, want only %s", out.Delete, other[1])
			}
			if len(out.Warnings) != 1 || !strings.Contains(out.Warnings[0], refs[0].ID) {
				t.Errorf("warnings %q do not name %s", out.Warnings, refs[0])
			}
		})
	}
}

func TestAnEncryptedRepositoryIsNotRotatedWithoutItsKey(t *testing.T) {
	t.Parallel()
	store, err := dir.Create(filepath.Join(t.TempDir(), "repo"))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := repo.Create(t.Context(), store, repo.CreateOptions{Now: now, Key: seal.Local{Key: seal.NewKey()}})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{sealed, "", t}
	f.points("app", 1, 2, 3)
	if f.Repository, err = repo.Open(t.Context(), store, repo.OpenOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := Plan(t.Context(), f.options(retention.Keep{KeepLast: 1})); err != nil {
		t.Errorf("a plan needs no key: %v", err)
	}
	if _, err := Run(t.Context(), f.options(retention.Keep{KeepLast: 1})); !errors.Is(err, repo.ErrNoKey) {
		t.Errorf("%v, want ErrNoKey", err)
	}
	if left := f.ids(); len(left) != 3 {
		t.Errorf("%d points are left of 3", len(left))
	}
}

func TestNothingIsDeletedWhileTheClocksOfMachineAndStoreDisagree(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.points("app", 1, 2, 3)
	lock := filepath.Join(f.dir, "locks", "app.json")
	lease, ctx, err := f.TakeLease(t.Context(), "app", repo.LeaseOptions{What: "test", Self: repo.Self()})
	if err != nil {
		t.Fatal(err)
	}
	if err := checkClock(ctx, lease); err != nil {
		t.Errorf("with one clock: %v", err)
	}
	year := time.Now().AddDate(-1, 0, 0)
	if err := os.Chtimes(lock, year, year); err != nil {
		t.Fatal(err)
	}
	if err := checkClock(ctx, lease); !errors.Is(err, ErrUnsafe) || !strings.Contains(err.Error(), "clocks") {
		t.Errorf("a year apart: %v, want ErrUnsafe", err)
	}
	if err := lease.Release(); err != nil {
		t.Error(err)
	}
}
