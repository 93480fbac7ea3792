package verify

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// errOutside: a part of the point is where this program does not look.
var errOutside = errors.New("its data is in RDS, which this program does not reach from here")

// outside checks what of a point is not in the repository. A deletion that died on
// the way may have taken that away already: the next rotation finishes it, and the
// point is not bad for it.
func (opts Options) outside(ctx context.Context, m *repo.Manifest) error {
	if opts.Outside == nil {
		return errOutside
	}
	err := opts.Outside(ctx, m)
	if errors.Is(err, repo.ErrDamaged) {
		if t, buried := opts.Repo.Tombstone(ctx, m.Ref()); buried == nil {
			return fmt.Errorf("its deletion began on %s and was not finished; the next rotation does that", t.Deleted.Format("2006-01-02"))
		}
	}
	return err
}
