package rotate

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// keptListings is a store that remembers what was listed, so that the history of
// all points and then that of each source and kind come from one and the same
// listing, which is read once.
type keptListings struct {
	objstore.Store

	mu    sync.Mutex
	infos []objstore.Info
	whole bool // everything was listed: from now on nothing is asked of the store
}

// keepListings wraps a store; listings of one that can list folders can do so too.
func keepListings(s objstore.Store) (objstore.Store, *keptListings) {
	kept := &keptListings{Store: s}
	if folders, ok := s.(objstore.FolderLister); ok {
		return struct {
			*keptListings
			objstore.FolderLister
		}{kept, folders}, kept
	}
	return kept, kept
}

// List implements objstore.Store.
func (k *keptListings) List(ctx context.Context, prefix string) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		if k.whole {
			k.yield(prefix, yield)
			return
		}
		var read []objstore.Info
		for info, err := range k.Store.List(ctx, prefix) {
			if err == nil {
				read = append(read, info)
			}
			if !yield(info, err) {
				break
			}
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		k.infos = append(k.infos, read...)
	}
}

// complete ends the reading: listings are answered from what was read.
func (k *keptListings) complete() {
	slices.SortFunc(k.infos, func(a, b objstore.Info) int { return cmp.Compare(a.Key, b.Key) })
	k.infos = slices.CompactFunc(k.infos, func(a, b objstore.Info) bool { return a.Key == b.Key })
	k.whole = true
}

func (k *keptListings) yield(prefix string, yield func(objstore.Info, error) bool) {
	first, _ := slices.BinarySearchFunc(k.infos, prefix, func(info objstore.Info, prefix string) int { return cmp.Compare(info.Key, prefix) })
	for _, info := range k.infos[first:] {
		if !strings.HasPrefix(info.Key, prefix) || !yield(info, nil) {
			return
		}
	}
}
