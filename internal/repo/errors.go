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

// missing is for an object that a manifest promises: its absence is damage.
func missing(err error) error {
	if errors.Is(err, objstore.ErrNotFound) {
		return fmt.Errorf("%w: the manifest names it but it is gone: %w", ErrDamaged, err)
	}
	return err
}
