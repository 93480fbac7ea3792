package objstore

import (
	"context"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
)

// Archive is what a store says of an object that may be in an archive: bytes in one
// can be listed and described, and are read only once a copy was brought back. The
// zero value is an object that can be read at once.
type Archive struct {
	// In: the object lies in an archive. Whether it can be read is for Readable to say.
	In bool
	// Thawing: somebody asked for a copy, and it is not there yet.
	Thawing bool
	// Until is when the copy goes away again; zero while there is none.
	Until time.Time
}

// Readable reports whether the bytes can be read at a moment.
func (a Archive) Readable(now time.Time) bool { return !a.In || !a.Thawing && a.Until.After(now) }

// ThawOptions of Thaw.
type ThawOptions struct {
	// Days for which the copy can be read once it is there, from 1. 0 is for objects
	// of INTELLIGENT_TIERING, which come back for good.
	Days int
	// Tier is one of package storageclass, such as storageclass.TierBulk; "" is the
	// standard one.
	Tier string
}

// CheckThaw refuses options that no store understands. Adapters call it before they
// ask.
func CheckThaw(opts ThawOptions) error {
	if tier, err := storageclass.ParseTier(opts.Tier); err != nil || opts.Tier != "" && tier != opts.Tier {
		return fmt.Errorf("%w: the tier %.64q of a retrieval", ErrUnsupported, opts.Tier)
	}
	if opts.Days < 0 || opts.Days > 36500 {
		return fmt.Errorf("%w: a copy for %d days", ErrUnsupported, opts.Days)
	}
	return nil
}

// Thawer is what a Store offers that has archives. Ask for it with a type assertion;
// Retry and RateLimit offer it where the store inside does.
type Thawer interface {
	// Thaw asks for a readable copy of a version, "" for the current one. It does not
	// wait: Head tells when the copy is there. Asking again for one that is on its way
	// changes nothing, for one that is there sets its days anew from now, and for an
	// object that is in no archive does nothing; none of them is an error.
	// ErrNotFound when there is no such object, ErrUnsupported when the store does not
	// do it in that tier, or not now.
	Thaw(ctx context.Context, key, versionID string, opts ThawOptions) error
}

// retriedThawer tries again what a Thawer failed to do.
type retriedThawer struct {
	retry *retryStore
	inner Thawer
}

func (r retriedThawer) Thaw(ctx context.Context, key, versionID string, opts ThawOptions) error {
	return r.retry.do(ctx, "thaw", key, func() error { return r.inner.Thaw(ctx, key, versionID, opts) })
}
