package objstore

import (
	"context"
	"fmt"
	"time"
)

// Tagger is what a Store offers that keeps tags with its objects. Ask for it with
// a type assertion; Retry and RateLimit offer it where the store inside does.
type Tagger interface {
	// SetTags gives the object these tags; tags of other names that it has stay.
	// ErrNotFound when there is no object.
	SetTags(ctx context.Context, key string, tags map[string]string) error
	// Tags reads the tags of an object, empty for none.
	Tags(ctx context.Context, key string) (map[string]string, error)
	// TagsRefused says why objects are written without the tags of PutOptions, and
	// SetTags is not even tried: the server refused tags since this store was
	// opened. nil as long as it did not.
	TagsRefused() error
}

// FolderLister is what a Store offers that can look into one folder without
// listing what is below, so that a large listing can be shared out among several
// workers. Ask for it with a type assertion; Retry and RateLimit offer it where
// the store inside does.
type FolderLister interface {
	// Folders returns what lies directly below prefix, which is empty or ends in a
	// slash, in byte order: folders with a slash at their end ("points/app/"), and
	// the keys of objects. Listing every folder and adding those objects gives
	// exactly what List of the prefix does.
	Folders(ctx context.Context, prefix string) ([]string, error)
}

// How firmly an object is locked, in the words of S3 Object Lock.
const (
	Governance = "GOVERNANCE" // until its time, unless somebody has the right to lift it
	Compliance = "COMPLIANCE" // until its time, by nobody at all
)

// Locker is what a Store offers that can lock versions of objects: a locked one can
// not be removed before its time, whatever a Delete of its key says. Ask for it with
// a type assertion; Retry and RateLimit offer it where the store inside does. A
// bucket that was made without Object Lock answers ErrUnsupported. versionID "" is
// the current version. No method ever shortens or lifts a lock.
type Locker interface {
	// Lock keeps a version until a moment, to the second. One that is locked for at
	// least so long already is left as it is. ErrNotFound when there is no such
	// version.
	Lock(ctx context.Context, key, versionID string, until time.Time, mode string) error
	// LockedUntil tells mode and end of a version's lock; "" and zero for none, or
	// one that ended. ErrLockUnknown where the answer leaves that open.
	LockedUntil(ctx context.Context, key, versionID string) (mode string, until time.Time, err error)
	// LegalHold keeps a version without an end, until it is taken back with on =
	// false. It is independent of Lock.
	LegalHold(ctx context.Context, key, versionID string, on bool) error
}

// CheckLock refuses options that ask for a lock that is none. Adapters that lock
// call it before they write.
func CheckLock(until time.Time, mode string) error {
	switch {
	case until.IsZero() && mode == "":
		return nil
	case until.IsZero() || mode != Governance && mode != Compliance:
		return fmt.Errorf("%w: a lock has an end and the mode %s or %s, not %q", ErrUnsupported, Governance, Compliance, mode)
	}
	return nil
}

// CheckFolder refuses a prefix that is not one of a folder.
func CheckFolder(prefix string) error {
	if prefix == "" || prefix[len(prefix)-1] == '/' && ValidKey(prefix[:len(prefix)-1]) == nil {
		return nil
	}
	return fmt.Errorf("%w %q: not the name of a folder, which ends in a slash", ErrInvalidKey, prefix)
}

// retriedTagger tries again what a Tagger failed to do.
type retriedTagger struct {
	retry *retryStore
	inner Tagger
}

func (r retriedTagger) SetTags(ctx context.Context, key string, tags map[string]string) error {
	return r.retry.do(ctx, "tag", key, func() error { return r.inner.SetTags(ctx, key, tags) })
}

func (r retriedTagger) Tags(ctx context.Context, key string) (tags map[string]string, err error) {
	err = r.retry.do(ctx, "read tags of", key, func() (err error) {
		tags, err = r.inner.Tags(ctx, key)
		return err
	})
	return tags, err
}

func (r retriedTagger) TagsRefused() error { return r.inner.TagsRefused() }

// retriedFolders tries again what a FolderLister failed to do.
type retriedFolders struct {
	retry *retryStore
	inner FolderLister
}

func (r retriedFolders) Folders(ctx context.Context, prefix string) (names []string, err error) {
	err = r.retry.do(ctx, "list folders", prefix, func() (err error) {
		names, err = r.inner.Folders(ctx, prefix)
		return err
	})
	return names, err
}

// retriedLocker tries again what a Locker failed to do.
type retriedLocker struct {
	retry *retryStore
	inner Locker
}

func (r retriedLocker) Lock(ctx context.Context, key, versionID string, until time.Time, mode string) error {
	return r.retry.do(ctx, "lock", key, func() error { return r.inner.Lock(ctx, key, versionID, until, mode) })
}

func (r retriedLocker) LockedUntil(ctx context.Context, key, versionID string) (mode string, until time.Time, err error) {
	err = r.retry.do(ctx, "read the lock of", key, func() (err error) {
		mode, until, err = r.inner.LockedUntil(ctx, key, versionID)
		return err
	})
	return mode, until, err
}

func (r retriedLocker) LegalHold(ctx context.Context, key, versionID string, on bool) error {
	return r.retry.do(ctx, "hold", key, func() error { return r.inner.LegalHold(ctx, key, versionID, on) })
}
