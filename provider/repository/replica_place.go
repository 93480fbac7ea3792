package repository

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// replicaKey is the mark among the copies that says of which repository they are.
// S3 copies under the same keys: two repositories of the same prefix would overwrite
// each other's copies in one bucket. The mark is written before anything is copied.
const replicaKey = "replica-of.json"

// replicaMark is its content.
type replicaMark struct {
	Format int    `json:"format"`
	Of     string `json:"of"` // the repository, without region and endpoint
}

// maxReplicaMark bounds it in bytes.
const maxReplicaMark = 1 << 12

// errReplicaTaken: the copies at a place are those of another repository.
var errReplicaTaken = errors.New("its place is taken")

// replicaOf reads the mark; "" when there is none.
func replicaOf(ctx context.Context, store objstore.Store) (string, error) {
	body, _, err := store.Get(ctx, replicaKey, objstore.GetOptions{})
	if errors.Is(err, objstore.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = body.Close() }()
	data, err := io.ReadAll(io.LimitReader(body, maxReplicaMark))
	if err != nil {
		return "", err
	}
	var mark replicaMark
	if err := json.Unmarshal(data, &mark); err != nil || mark.Of == "" {
		return "", fmt.Errorf("%s in %s, which says whose copies are there, cannot be read: remove it if nothing is copied there", replicaKey, store.URL())
	}
	return mark.Of, nil
}

// copies is what there is at the place of a replica.
type copies struct {
	of string // the repository that the mark names; "" for none
	id string // of the repository whose repository.json is there; "" for none
}

// foreign says how the copies are known to be another repository's; nil when nothing
// says so. id is "" for a repository that is only being made.
func (c copies) foreign(at, replica location.Location, id string) error {
	switch mine := metric.Repository(at); {
	case c.of != "" && c.of != mine:
		return fmt.Errorf("%w: %s has the copies of %s, and those of %s would have the same keys: give replica.bucket another bucket, or the repository another prefix", errReplicaTaken, replica, c.of, mine)
	case c.id != "" && c.id != id:
		return fmt.Errorf("%w: at %s is the repository %s, or a copy of it, which copies of this one would overwrite: give replica.bucket another bucket, or move away what is there", errReplicaTaken, replica, c.id)
	}
	return nil
}

func (r *Resource) copies(ctx context.Context, replica location.Location) (c copies, err error) {
	store, err := r.conn.OpenStore(ctx, replica, false)
	if err != nil {
		return c, err
	}
	if c.of, err = replicaOf(ctx, store); err != nil {
		return c, err
	}
	there, err := repo.Open(ctx, store, repo.OpenOptions{})
	if errors.Is(err, repo.ErrNoRepository) {
		return c, nil
	}
	if err == nil {
		c.id = there.ID()
	}
	return c, err
}

// refuseReplica is errReplicaTaken where the copies would mix with what is another
// repository's. A bucket that is still to be made has nothing.
func (r *Resource) refuseReplica(ctx context.Context, at location.Location, w wish, id string) error {
	if w.replica == nil {
		return nil
	}
	c, err := r.copies(ctx, w.replica.at)
	switch {
	case errors.Is(err, objstore.ErrNoBucket):
		return nil
	case err == nil:
		err = c.foreign(at, w.replica.at, id)
	}
	if err != nil {
		return fmt.Errorf("the replica: %w", err)
	}
	return nil
}

// claimReplica marks the place of the copies. Of two repositories that claim one at
// the same time, one gets it.
func (r *Resource) claimReplica(ctx context.Context, at location.Location, w wish) error {
	store, err := r.conn.OpenStore(ctx, w.replica.at, false)
	if err != nil {
		return err
	}
	data, err := json.Marshal(replicaMark{Format: 1, Of: metric.Repository(at)})
	if err != nil {
		return err
	}
	_, err = store.Put(ctx, replicaKey, data, objstore.PutOptions{Condition: objstore.Condition{IfAbsent: true}, ContentType: "application/json"})
	if err != nil && !errors.Is(err, objstore.ErrPrecondition) {
		return fmt.Errorf("mark whose copies are there: %w", err)
	}
	of, err := replicaOf(ctx, store)
	if err != nil {
		return err
	}
	return copies{of: of}.foreign(at, w.replica.at, "")
}

// clearReplica removes the copies, as far as it is known that they are of this
// repository.
func (r *Resource) clearReplica(ctx context.Context, at location.Location, w wish, id string, force bool, diags *diag.Diagnostics) error {
	replica := w.replica.at
	c, err := r.copies(ctx, replica)
	if errors.Is(err, objstore.ErrNoBucket) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("whose copies are in the replica: %w", err)
	}
	doubt := c.foreign(at, replica, id)
	if doubt == nil && c == (copies{}) {
		b, _, err := r.conn.Bucket(ctx, replica)
		if err != nil {
			return err
		}
		some, err := b.Any(ctx, keyPrefix(replica), belowPrefix(replica, repo.Owns))
		if err != nil {
			return gone(err)
		}
		if some {
			doubt = fmt.Errorf("neither repository.json nor %s is there to say whose they are", replicaKey)
		}
	}
	if doubt != nil {
		diags.AddWarning(fmt.Sprintf("pgbackup_repository (%s) is deleted; what is at %s stays", at, replica),
			fmt.Sprintf("Only what is known to be a copy of this repository is removed with it: %s. Nothing more is done with it here.", doubt))
		return nil
	}
	return r.clear(ctx, replica, w.replica.create, force, replicaKey, diags)
}
