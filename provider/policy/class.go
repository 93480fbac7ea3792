package policy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// scratch is below where a class is tried, with the names that the check of a new
// store uses: no listing of the repository looks there.
const scratch = "locks/probe-"

// uploadClass is the class that new points are uploaded to, and the attribute
// that says so.
func uploadClass(d policy.Document) (class string, at path.Path) {
	tier := retention.Rules{Keep: d.Retention}.UploadTier()
	at = path.Root("storage").AtName("class")
	if d.Storage.Classes.Of(tier) != "" {
		at = path.Root("storage").AtName("classes").AtName(tier)
	}
	return d.Storage.UploadClass(tier), at
}

// tryClass finds out, where the class of new points changes, whether the server
// has it: not every one but AWS does, and without it no backup could be stored.
// Other classes are only ever reached through lifecycle rules, which the server
// judges itself.
func (w *writing) tryClass(ctx context.Context, c *change) (diags diag.Diagnostics) {
	class, at := uploadClass(c.document)
	if c.id.Repository.Endpoint == "" || class == storageclass.Standard {
		return nil
	}
	if w.state != nil && c.from == "" {
		if before := w.state.known(ctx); before != nil {
			if was, _ := uploadClass(*before); was == class {
				return nil
			}
		}
	}
	store, err := w.resource.conn.OpenStore(ctx, c.id.Repository, false)
	if err == nil {
		err = storeAs(ctx, store, class)
	}
	switch head := fmt.Sprintf("pgbackup_policy (%s): ", c.id.Name); {
	case errors.Is(err, objstore.ErrUnsupported):
		diags.AddAttributeError(at, head+"the server has no storage class "+class,
			fmt.Sprintf("%s says %s, and a tiny object could not be stored so. %s\n\nGive a class that this server has, or remove %s. Nothing was changed.", at, class, valid.Sentence(err), at))
	case err != nil:
		diags.AddAttributeWarning(at, head+"whether the server has storage class "+class+" could not be tried", valid.Sentence(err))
	}
	return diags
}

// storeAs stores a tiny object in a class and deletes it again.
func storeAs(ctx context.Context, store objstore.Store, class string) error {
	key := scratch + strings.ToLower(rand.Text()[:12])
	_, err := store.Put(ctx, key, []byte("1"), objstore.PutOptions{StorageClass: class})
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	return errors.Join(err, store.Delete(clean, key))
}
