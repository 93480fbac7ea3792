package repo

import (
	"errors"
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// notFound makes a store's not-found this package's.
func notFound(err error) error {
	if errors.Is(err, objstore.ErrNotFound) {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return err
}

// missing is for an object that a manifest promises: its absence is damage, but in a
// copy that may lag behind.
func (r *Repository) missing(err error) error {
	switch {
	case !errors.Is(err, objstore.ErrNotFound):
		return err
	case r.copied:
		return fmt.Errorf("%w: the manifest names it: %w", ErrNotCopied, err)
	}
	return fmt.Errorf("%w: the manifest names it but it is gone: %w", ErrDamaged, err)
}
