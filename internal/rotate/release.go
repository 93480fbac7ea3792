package rotate

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// ErrElsewhere: a point has data outside the repository that nobody here can remove.
var ErrElsewhere = errors.New("its data is in AWS, which this program does not reach from here: nothing is deleted, so that it is not forgotten")

// delete deletes one point, with what of it lies elsewhere, which its manifest
// says.
func (opts Options) delete(ctx context.Context, d Decision, t repo.Tombstone) error {
	if d.Kind != repo.KindRDSSnapshot {
		return opts.Repo.Delete(ctx, d.ref, t)
	}
	m, err := opts.Repo.Manifest(ctx, d.ref)
	if err != nil {
		return fmt.Errorf("delete %s: %w", d.ref, err)
	}
	return opts.Repo.DeleteAfter(ctx, d.ref, t, func(ctx context.Context) error {
		if opts.Release == nil || opts.Standing == nil {
			return ErrElsewhere
		}
		return opts.Release(ctx, m)
	})
}
