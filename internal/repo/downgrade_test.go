package repo

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// S5
func TestARepositoryKnownToBeSealedIsNotOpenedWhenItsHeaderSaysOtherwise(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	key := seal.Local{Key: seal.NewKey()}
	r, err := Create(t.Context(), store, CreateOptions{Key: key, Reference: "env:KEY", Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	opts := withKey(key)
	opts.Sealed = true
	if _, err := Open(t.Context(), store, opts); err != nil {
		t.Fatalf("a sealed repository: %v", err)
	}
	forged := r.header
	forged.Sealed = false
	forged.Check = forged.digest() // it is no secret how
	data, err := json.Marshal(forged)
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, store, repositoryKey, data)
	if opened, err := Open(t.Context(), store, opts); !errors.Is(err, ErrNotSealed) {
		t.Errorf("with a key and a forged header it opens as %v: %v", opened, err)
	}
}
