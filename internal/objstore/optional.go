package objstore

import (
	"context"
	"fmt"
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

// CheckFolder refuses a prefix that is not one of a folder.
func CheckFolder(prefix string) error {
	if prefix == "" || prefix[len(prefix)-1] == '/' && ValidKey(prefix[:len(prefix)-1]) == nil {
		return nil
	}
	return fmt.Errorf("%w %q: not the name of a folder, which ends in a slash", ErrInvalidKey, prefix)
}

// offering gives a decorator the optional interfaces that are not nil.
func offering(s Store, t Tagger, f FolderLister) Store {
	switch {
	case t != nil && f != nil:
		return struct {
			Store
			Tagger
			FolderLister
		}{s, t, f}
	case t != nil:
		return struct {
			Store
			Tagger
		}{s, t}
	case f != nil:
		return struct {
			Store
			FolderLister
		}{s, f}
	}
	return s
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
