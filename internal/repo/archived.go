package repo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
)

// ErrArchived: a point, or a part of it, is in an archive class of the store, and
// has to be brought back before it can be read. It says nothing about whether the
// backup is good.
var ErrArchived = objstore.ErrArchived

// Archived is what of a point lies in an archive class of the store. The zero value
// is a point that can be read at once.
type Archived struct {
	Class   string // of these objects; of several, the one that is slowest to read
	Objects int    // of the point that lie in an archive class, readable or not
	Bytes   int64  // of these
	Thawing int    // of these: a copy was asked for and is not there yet
	Thawed  int    // of these: a copy can be read
	// Until is when the first of the copies goes away again; zero while there are none.
	Until time.Time

	Frozen      int   // of these: nobody has asked for a copy
	FrozenBytes int64 // of the same
	ThawedBytes int64 // of those that can be read
}

// Readable reports whether the whole point can be read.
func (a Archived) Readable() bool { return a.Thawed == a.Objects }

// held is a data object of a point as the store describes it.
type held struct {
	object  Object
	version string // under which it was found; "" for the current one
	info    objstore.Info
}

// Archived asks for the state of every data object of a point, by the versions that
// its manifest names. An object that is gone is ErrDamaged: who pays for bringing
// back the others should know. Where a store has no archives it asks nothing.
func (r *Repository) Archived(ctx context.Context, m *Manifest) (Archived, error) {
	var a Archived
	all, err := r.heldObjects(ctx, m)
	if err != nil {
		return a, err
	}
	now := time.Now()
	for _, h := range all {
		if h.info.Archive.In {
			a.add(h, now)
		}
	}
	return a, nil
}

func (a *Archived) add(h held, now time.Time) {
	a.Class = storageclass.Lower(a.Class, h.info.StorageClass)
	a.Objects++
	a.Bytes += h.info.Size
	switch state := h.info.Archive; {
	case state.Readable(now):
		a.Thawed++
		a.ThawedBytes += h.info.Size
		if a.Until.IsZero() || state.Until.Before(a.Until) {
			a.Until = state.Until
		}
	case state.Thawing:
		a.Thawing++
	default:
		a.Frozen++
		a.FrozenBytes += h.info.Size
	}
}

// heldObjects describes the data objects of a point, several at once; none where the
// store has no archives.
func (r *Repository) heldObjects(ctx context.Context, m *Manifest) ([]held, error) {
	if _, can := r.store.(objstore.Thawer); !can {
		return nil, nil
	}
	var mu sync.Mutex
	var all []held
	err := parallel.Each(ctx, loaders, len(m.Objects), func(ctx context.Context, i int) error {
		h, err := r.headObject(ctx, m.Ref(), m.Objects[i])
		if err != nil {
			return fmt.Errorf("look at object %s of %s: %w", m.Objects[i].Name, m.Ref(), r.missing(err))
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, h)
		return nil
	})
	return all, err
}

// headObject describes an object of a point by the version that getObject reads.
func (r *Repository) headObject(ctx context.Context, ref Ref, o Object) (held, error) {
	key := ref.DataPrefix() + o.Name
	info, err := r.store.Head(ctx, key, o.VersionID)
	if o.VersionID != "" && errors.Is(err, objstore.ErrNotFound) {
		info, err = r.store.Head(ctx, key, "")
		return held{object: o, info: info}, err
	}
	return held{object: o, version: o.VersionID, info: info}, err
}

// ThawOptions of Thaw.
type ThawOptions struct {
	Tier string // one of package storageclass; "" is the standard one
	Days int    // for which the copies can be read; 0 is DefaultThawDays
}

// DefaultThawDays is for how many days what was brought back can be read.
const DefaultThawDays = 3

// extendBelow: a copy that goes away so soon is asked for anew, so that it does not
// vanish while the others are waited for or read.
const extendBelow = 24 * time.Hour

// Thaw asks the store for readable copies of what of a point is archived, several
// objects at once, and does not wait for them: Archived tells how far it is. It may
// be repeated at any time; what was asked for already is not asked for again. After
// an error part of the copies may have been asked for.
func (r *Repository) Thaw(ctx context.Context, m *Manifest, opts ThawOptions) error {
	all, err := r.heldObjects(ctx, m)
	if err != nil {
		return err
	}
	thawer, _ := r.store.(objstore.Thawer) // without it all is empty
	now := time.Now()
	return parallel.Each(ctx, loaders, len(all), func(ctx context.Context, i int) error {
		h := all[i]
		state := h.info.Archive
		if !state.In || state.Thawing || state.Until.After(now.Add(extendBelow)) {
			return nil
		}
		ask := objstore.ThawOptions{Tier: opts.Tier, Days: cmp.Or(opts.Days, DefaultThawDays)}
		if h.info.StorageClass == storageclass.IntelligentTiering {
			ask.Days = 0 // these come back for good, and S3 refuses a number of days
		}
		key := m.Ref().DataPrefix() + h.object.Name
		if err := thawer.Thaw(ctx, key, h.version, ask); err != nil {
			return fmt.Errorf("bring back object %s of %s: %w", h.object.Name, m.Ref(), err)
		}
		return nil
	})
}
