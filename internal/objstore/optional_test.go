package objstore_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// noting keeps the tags it was given in memory; the first call of each kind fails.
type noting struct {
	objstore.Store
	tags           map[string]string
	set, got, told int
}

func (n *noting) SetTags(_ context.Context, _ string, tags map[string]string) error {
	if n.set++; n.set == 1 {
		return errLost
	}
	maps.Copy(n.tags, tags)
	return nil
}

func (n *noting) Tags(context.Context, string) (map[string]string, error) {
	if n.got++; n.got == 1 {
		return nil, errLost
	}
	return n.tags, nil
}

func (n *noting) TagsRefused() error { return nil }

func (n *noting) Folders(context.Context, string) ([]string, error) {
	if n.told++; n.told == 1 {
		return nil, errLost
	}
	return []string{"a/"}, nil
}

func TestDecoratorsOfferWhatTheStoreInsideDoesAndNoMore(t *testing.T) {
	t.Parallel()
	plain := newShaky(t) // hides what a directory offers
	type tagger struct {
		objstore.Store
		objstore.Tagger
	}
	type folders struct {
		objstore.Store
		objstore.FolderLister
	}
	full := &noting{Store: plain, tags: map[string]string{}}
	for name, c := range map[string]struct {
		inner             objstore.Store
		tagger, folderist bool
	}{
		"neither": {plain, false, false}, "tags": {tagger{plain, full}, true, false},
		"folders": {folders{plain, full}, false, true}, "both": {full, true, true},
	} {
		for with, s := range map[string]objstore.Store{
			"retry": objstore.Retry(c.inner, objstore.RetryOptions{}), "rate limit": objstore.RateLimit(c.inner, 1<<20),
			"no limit": objstore.RateLimit(c.inner, 0),
			"both":     objstore.Retry(objstore.RateLimit(c.inner, 1<<20), objstore.RetryOptions{}),
		} {
			if _, ok := s.(objstore.Tagger); ok != c.tagger {
				t.Errorf("%s behind %s: tags %v, want %v", name, with, ok, c.tagger)
			}
			if _, ok := s.(objstore.FolderLister); ok != c.folderist {
				t.Errorf("%s behind %s: folders %v, want %v", name, with, ok, c.folderist)
			}
		}
	}
}

func TestRetryRepeatsWhatStoresOfferBesideToo(t *testing.T) {
	t.Parallel()
	inner := &noting{Store: newShaky(t), tags: map[string]string{}}
	s := objstore.Retry(inner, objstore.RetryOptions{Base: time.Millisecond})
	tags := s.(objstore.Tagger)
	if err := tags.SetTags(t.Context(), "k", map[string]string{"tier": "daily"}); err != nil {
		t.Error(err)
	}
	if got, err := tags.Tags(t.Context(), "k"); err != nil || got["tier"] != "daily" {
		t.Errorf("tags %v, %v", got, err)
	}
	if got, err := s.(objstore.FolderLister).Folders(t.Context(), ""); err != nil || !slices.Equal(got, []string{"a/"}) {
		t.Errorf("folders %q, %v", got, err)
	}
	if inner.set != 2 || inner.got != 2 || inner.told != 2 {
		t.Errorf("calls %d %d %d, want two of each", inner.set, inner.got, inner.told)
	}
}

func TestAFolderEndsInASlash(t *testing.T) {
	t.Parallel()
	for prefix, good := range map[string]bool{"": true, "a/": true, "a/b/": true, "a": false, "/": false, "a//": false, "../": false} {
		if err := objstore.CheckFolder(prefix); (err == nil) != good || err != nil && !errors.Is(err, objstore.ErrInvalidKey) {
			t.Errorf("%q: %v", prefix, err)
		}
	}
}

// locking notes that it was asked, and fails the first time.
type locking struct {
	objstore.Store
	calls int
}

func (l *locking) again() error {
	if l.calls++; l.calls%2 == 1 {
		return errLost
	}
	return nil
}

func (l *locking) Lock(context.Context, string, string, time.Time, string) error { return l.again() }
func (l *locking) LegalHold(context.Context, string, string, bool) error         { return l.again() }
func (l *locking) LockedUntil(context.Context, string, string) (string, time.Time, error) {
	return objstore.Governance, time.Unix(1, 0), l.again()
}

func TestDecoratorsOfferLocksWhereTheStoreInsideDoesAndTryThemAgain(t *testing.T) {
	t.Parallel()
	plain := newShaky(t)
	tags := &noting{Store: plain, tags: map[string]string{}}
	locks := &locking{Store: plain}
	type lockerAndTagger struct {
		objstore.Store
		objstore.Tagger
		objstore.Locker
	}
	type lockerAndFolders struct {
		objstore.Store
		objstore.FolderLister
		objstore.Locker
	}
	type all struct {
		objstore.Store
		objstore.Tagger
		objstore.FolderLister
		objstore.Locker
	}
	for name, inner := range map[string]objstore.Store{
		"nothing": plain, "no locks": tags, "locks": locks, "locks and tags": lockerAndTagger{plain, tags, locks},
		"locks and folders": lockerAndFolders{plain, tags, locks}, "all": all{plain, tags, tags, locks},
	} {
		_, wantTags := inner.(objstore.Tagger)
		_, wantFolders := inner.(objstore.FolderLister)
		_, wantLocks := inner.(objstore.Locker)
		s := objstore.Retry(objstore.RateLimit(inner, 1<<20), objstore.RetryOptions{Base: time.Millisecond})
		_, hasTags := s.(objstore.Tagger)
		_, hasFolders := s.(objstore.FolderLister)
		locker, hasLocks := s.(objstore.Locker)
		if hasTags != wantTags || hasFolders != wantFolders || hasLocks != wantLocks {
			t.Errorf("%s: tags %t, folders %t, locks %t; the store inside has %t, %t, %t", name, hasTags, hasFolders, hasLocks, wantTags, wantFolders, wantLocks)
		}
		if !hasLocks {
			continue
		}
		if err := errors.Join(locker.Lock(t.Context(), "k", "", time.Unix(1, 0), objstore.Governance), locker.LegalHold(t.Context(), "k", "", true)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if mode, until, err := locker.LockedUntil(t.Context(), "k", ""); mode != objstore.Governance || until.Unix() != 1 || err != nil {
			t.Errorf("%s: %q, %s, %v", name, mode, until, err)
		}
	}
}

// thawing notes that it was asked, and fails the first time.
type thawing struct {
	objstore.Store
	asked []objstore.ThawOptions
}

func (a *thawing) Thaw(_ context.Context, _, _ string, opts objstore.ThawOptions) error {
	if a.asked = append(a.asked, opts); len(a.asked)%2 == 1 {
		return errLost
	}
	return nil
}

// All sixteen: a set that is forgotten would hide, in some store, all it offers.
func TestDecoratorsOfferEverySetOfWhatAStoreMayOffer(t *testing.T) {
	t.Parallel()
	plain := newShaky(t)
	tags, locks, frost := &noting{Store: plain, tags: map[string]string{}}, &locking{Store: plain}, &thawing{Store: plain}
	for set := range 16 {
		var tagger objstore.Tagger
		var folders objstore.FolderLister
		var locker objstore.Locker
		var thawer objstore.Thawer
		if set&1 != 0 {
			tagger = tags
		}
		if set&2 != 0 {
			folders = tags
		}
		if set&4 != 0 {
			locker = locks
		}
		if set&8 != 0 {
			thawer = frost
		}
		inner := objstore.Offering(plain, tagger, folders, locker, thawer)
		s := objstore.Retry(objstore.RateLimit(inner, 1<<20), objstore.RetryOptions{Base: time.Millisecond})
		_, hasTags := s.(objstore.Tagger)
		_, hasFolders := s.(objstore.FolderLister)
		_, hasLocks := s.(objstore.Locker)
		thaws, hasThaws := s.(objstore.Thawer)
		if hasTags != (set&1 != 0) || hasFolders != (set&2 != 0) || hasLocks != (set&4 != 0) || hasThaws != (set&8 != 0) {
			t.Errorf("set %04b: tags %t, folders %t, locks %t, thaws %t", set, hasTags, hasFolders, hasLocks, hasThaws)
		}
		if hasThaws {
			if err := thaws.Thaw(t.Context(), "k", "", objstore.ThawOptions{Days: set}); err != nil {
				t.Errorf("set %04b: %v", set, err)
			}
		}
	}
	if n := len(frost.asked); n != 16 || frost.asked[n-1].Days != 15 {
		t.Errorf("asked %d times: %+v", n, frost.asked)
	}
}
