package repo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// Tombstone is what is left of a deleted point: that it was, why it went, and
// under which rules.
type Tombstone struct {
	Format int    `json:"format"`
	ID     string `json:"id"`
	Source string `json:"source"`
	Kind   string `json:"kind"`
	Parent string `json:"parent,omitempty"`
	// System identifier of the server that it was a backup of, as its manifest said.
	System string    `json:"system_identifier,omitempty"`
	Start  time.Time `json:"start"`
	// End is when the backup ended, as its manifest said, which the rule wal goes by;
	// zero where that was not known.
	End time.Time `json:"end,omitzero"`
	// Committed is when the point became visible, by the store's clock: from then on
	// it counts among those that were there. Zero where that was not known.
	Committed      time.Time `json:"committed,omitzero"`
	Bytes          int64     `json:"bytes"` // stored bytes
	Deleted        time.Time `json:"deleted"`
	By             string    `json:"by,omitempty"`
	Reasons        []string  `json:"reasons"`
	Policy         string    `json:"policy,omitempty"`
	PolicyRevision int       `json:"policy_revision,omitempty"`
	// MadeUnder is the policy that the point was made under, as its manifest said,
	// which may be another than the one it was deleted by.
	MadeUnder string `json:"made_under,omitempty"`
}

func (r Ref) tombstoneKey() string { return tombstonesPrefix + r.path() + ".json" }

// Tombstone reads what is left of a deleted point. ErrNotFound when it has none.
func (r *Repository) Tombstone(ctx context.Context, ref Ref) (Tombstone, error) {
	data, err := readSmall(ctx, r.store, ref.tombstoneKey(), maxTombstone)
	if err != nil {
		return Tombstone{}, fmt.Errorf("read the tombstone of %s: %w", ref, notFound(err))
	}
	var t Tombstone
	if err := decodeOne(data, &t); err != nil {
		return Tombstone{}, fmt.Errorf("read %s: %w: %w", ref.tombstoneKey(), ErrDamaged, err)
	}
	if t.ID != ref.ID || t.Source != ref.Source || t.Kind != ref.Kind {
		return Tombstone{}, fmt.Errorf("read %s: %w: it says it is of %s/%s/%s", ref.tombstoneKey(), ErrDamaged, t.Source, t.Kind, t.ID)
	}
	return t, nil
}

// maxTombstone bounds a tombstone in bytes: reasons are a few sentences.
const maxTombstone = 1 << 20

// ErrHeld: a point that is held is not deleted.
var ErrHeld = errors.New("it is held")

// Delete removes a point: tombstone, then the manifest (from here on there is
// no point), then the data. A run that dies in between is finished by the next
// Sweep. The caller holds the source's lease and has decided with reasons; a
// hold that came meanwhile is honoured: Delete writes the tombstone and then
// looks for holds, Hold writes its mark and then looks for a tombstone, so at
// least one of two that meet sees the other. A point that the store locks is
// ErrRetained.
func (r *Repository) Delete(ctx context.Context, ref Ref, t Tombstone) error {
	return r.DeleteAfter(ctx, ref, t, nil)
}

// DeleteAfter is Delete of a point whose data is not in the repository alone:
// release removes the rest, after the tombstone and before the manifest goes, so
// that whatever dies in between is still listed and deleted again. When release
// fails the point stays as it was.
func (r *Repository) DeleteAfter(ctx context.Context, ref Ref, t Tombstone, release func(context.Context) error) error {
	if err := r.refuseHeld(ctx, ref); err != nil {
		return err
	}
	if err := r.refuseRetained(ctx, ref); err != nil {
		return err
	}
	start, err := ParseID(ref.ID)
	if err != nil {
		return err
	}
	t.Format, t.ID, t.Source, t.Kind, t.Parent, t.Start = 1, ref.ID, ref.Source, ref.Kind, ref.Parent, start
	if err := r.bury(ctx, ref, t); err != nil {
		return fmt.Errorf("delete %s: write tombstone: %w", ref, err)
	}
	if err := r.refuseHeld(ctx, ref); err != nil {
		// Nothing was removed, and the tombstone must not say otherwise.
		return errors.Join(err, r.store.Delete(context.WithoutCancel(ctx), ref.tombstoneKey()))
	}
	if release != nil {
		if err := release(ctx); err != nil {
			return fmt.Errorf("delete %s: %w", ref, errors.Join(err, r.store.Delete(context.WithoutCancel(ctx), ref.tombstoneKey())))
		}
	}
	if err := r.store.Delete(ctx, ref.ManifestKey()); err != nil {
		return fmt.Errorf("delete %s: %w", ref, err)
	}
	return r.deleteData(ctx, ref)
}

// bury writes the tombstone. One that is there while the manifest still is, is of a
// deletion that was killed: what really happens is this one, so it is replaced, and
// its time with it.
func (r *Repository) bury(ctx context.Context, ref Ref, t Tombstone) error {
	err := r.putOnce(ctx, ref.tombstoneKey(), t)
	if !errors.Is(err, objstore.ErrPrecondition) {
		return err
	}
	if _, err := r.store.Head(ctx, ref.ManifestKey(), ""); err != nil {
		return ignoreNotFound(err) // gone already: the tombstone there tells why
	}
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	_, err = r.store.Put(ctx, ref.tombstoneKey(), data, objstore.PutOptions{ContentType: "application/json"})
	return err
}

func ignoreNotFound(err error) error {
	if errors.Is(notFound(err), ErrNotFound) {
		return nil
	}
	return err
}

func (r *Repository) refuseHeld(ctx context.Context, ref Ref) error {
	held, err := r.Held(ctx, ref)
	if err == nil && held {
		err = ErrHeld
	}
	if err != nil {
		return fmt.Errorf("delete %s: %w", ref, err)
	}
	return nil
}

// deleteData removes a point's data objects and unfinished uploads, and before
// them its tier marks, which say nothing without the data. Holds and
// condemnations stay: they are facts about what was.
func (r *Repository) deleteData(ctx context.Context, ref Ref) error {
	if _, err := r.store.AbortUploads(ctx, ref.DataPrefix()); err != nil {
		return fmt.Errorf("abort uploads of %s: %w", ref, err)
	}
	for _, prefix := range []string{tiersPrefix + ref.path() + "/", ref.DataPrefix()} {
		var keys []string
		for info, err := range r.store.List(ctx, prefix) {
			if err != nil {
				return fmt.Errorf("list data of %s: %w", ref, err)
			}
			keys = append(keys, info.Key)
		}
		if len(keys) == 0 {
			continue
		}
		if err := r.store.Delete(ctx, keys...); err != nil {
			return fmt.Errorf("delete data of %s: %w", ref, err)
		}
	}
	return nil
}
