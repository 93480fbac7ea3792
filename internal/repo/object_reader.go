package repo

import (
	"context"
	"errors"
	"io"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// getObject opens an object of a point, or a range of it, by the version that the
// manifest names: a rotation then cannot pull it from under a running restore.
//
// A repository that was copied, by hand or to a store without versions, has other
// versions of the same bytes. Then the current one is read; that it is the right
// one is for the hashes to say.
func (r *Repository) getObject(ctx context.Context, ref Ref, o Object, opts objstore.GetOptions) (io.ReadCloser, objstore.Info, error) {
	key := ref.DataPrefix() + o.Name
	opts.VersionID = o.VersionID
	body, info, err := r.store.Get(ctx, key, opts)
	if o.VersionID != "" && errors.Is(err, objstore.ErrNotFound) {
		opts.VersionID = ""
		return r.store.Get(ctx, key, opts)
	}
	return body, info, err
}
