package deployment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

// keysTime bounds how long a plan waits for a repository.
const keysTime = 20 * time.Second

// errNoKeys: it is not known yet where the key of the repository is.
var errNoKeys = errors.New("where the key of the repository is is not known yet; key_ref says it at once")

// addKeys lets the role that is made read the repository's key. A job without
// key_ref finds it where the repository itself says, so the repository is asked,
// which is not there yet in the first plan: the error then wraps errNoKeys.
func (a awsSide) addKeys(ctx context.Context, in input, roleARN string, f *iampolicy.Facts) error {
	if roleARN != "" || !in.job.KeyRef.IsZero() || a.conn == nil {
		return nil
	}
	at, err := location.Parse(in.job.Repository)
	if err != nil || at.IsDirectory() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, keysTime)
	defer cancel()
	references, err := a.conn.KeyReferences(ctx, at)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoKeys, err)
	}
	for _, text := range references {
		// What is only on some machine's disk is no permission.
		if ref, err := secretref.Parse(text); err == nil && ref.Scheme != secretref.File && ref.Scheme != secretref.Env {
			f.References = append(f.References, ref)
		}
	}
	return nil
}

// awaited tells whether a repository is only made by the apply that is planned.
func awaited(err error) bool {
	return errors.Is(err, repo.ErrNoRepository) || errors.Is(err, objstore.ErrNoBucket)
}
