package repo

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

func ofWAL(op, key string) bool {
	return (op == "put" || op == "complete") && strings.HasPrefix(key, walPrefix)
}

// Who archives must know: after success the server removes the only other copy.
func TestALostAnswerOfTheStoreIsSettledByReadingBack(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, r *Repository) {
		for name, size := range map[string]int{"in one request": walSize, "in parts": 64 << 20} {
			for when, m := range map[string]*meddler{
				"after it was done":   {after: func(op, key string) error { return only(ofWAL(op, key), errReset) }},
				"taken for another's": {after: func(op, key string) error { return only(ofWAL(op, key), objstore.ErrPrecondition) }},
			} {
				m.Store = newStore(t)
				r := newRepo(t, m.Store, r.Sealed()).over(m)
				info := segmentInfo("000000010000000000000001")
				info.SegmentSize = uint64(size)
				data := make([]byte, size)
				already, err := r.PutWAL(t.Context(), shop, info, data)
				if err != nil || already {
					t.Errorf("%s, %s: %v %v", name, when, already, err)
				}
			}
		}
	})
}

func only(is bool, err error) error {
	if is {
		return err
	}
	return nil
}

func TestAStoreThatFailsOnceIsAskedAgainAndOneThatAlwaysFailsIsReported(t *testing.T) {
	t.Parallel()
	base := newStore(t)
	r := newRepo(t, base, true)
	var failures atomic.Int32
	m := &meddler{Store: base, before: func(op, key string) error {
		return only(ofWAL(op, key) && failures.Add(-1) >= 0, errReset)
	}}
	failures.Store(2)
	putWAL(t, r.over(m), shop, segmentInfo(third), make([]byte, walSize))
	failures.Store(1000)
	if already, err := r.over(m).PutWAL(t.Context(), shop, segmentInfo("000000010000000000000004"), make([]byte, walSize)); already || !errors.Is(err, objstore.ErrTransient) {
		t.Errorf("%v %v", already, err)
	}
	if _, err := r.OpenWAL(t.Context(), shop, "000000010000000000000004"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	m.before = func(op, key string) error { return only(ofWAL(op, key), objstore.ErrNoSpace) }
	if _, err := r.over(m).PutWAL(t.Context(), shop, segmentInfo("000000010000000000000004"), make([]byte, walSize)); !errors.Is(err, objstore.ErrNoSpace) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.PutWAL(ctx, shop, segmentInfo("000000010000000000000004"), make([]byte, walSize)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A store that has other bytes than were sent must not keep them: nothing is ever
// overwritten, and they would keep the right ones out.
func TestAFileThatTheStoreChangedIsNotConfirmed(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	if _, err := r.over(liar{r.store}).PutWAL(t.Context(), shop, segmentInfo(third), make([]byte, walSize)); !errors.Is(err, objstore.ErrChecksum) {
		t.Error(err)
	}
	putWAL(t, r, shop, segmentInfo(third), make([]byte, walSize))
}

func TestOfManyWritersOfOneFileOneWritesItAndAllHaveIt(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, r *Repository) {
		var wg sync.WaitGroup
		var wrote, differ atomic.Int32
		for i := range 8 {
			wg.Go(func() {
				data := make([]byte, walSize)
				if i%2 == 1 {
					data[0] = 1
				}
				info := segmentInfo(third)
				info.Host = string(rune('a' + i))
				already, err := r.PutWAL(t.Context(), shop, info, data)
				switch {
				case errors.Is(err, ErrWALDiffers):
					differ.Add(1)
				case err != nil:
					t.Error(err)
				case !already:
					wrote.Add(1)
				}
			})
		}
		wg.Wait()
		if wrote.Load() != 1 || differ.Load() != 4 {
			t.Errorf("%d wrote it, %d were told that theirs differs", wrote.Load(), differ.Load())
		}
	})
}

// S6
func TestTheLogIsLockedUnderProtectionAndPiecesAreNot(t *testing.T) {
	t.Parallel()
	store := lockedBucket(t)
	r := newRepo(t, store, false)
	protect(t, r, week)
	putWAL(t, r, shop, segmentInfo(third), make([]byte, walSize))
	piece := segmentInfo("000000010000000000000004")
	piece.PieceTo = 8192
	putWAL(t, r, shop, piece, make([]byte, 8192))
	files, err := r.ListWAL(t.Context(), shop, 0)
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	wantLocked(t, store, files[0].Key(), clock)
	if err := r.DeleteWAL(t.Context(), files); !errors.Is(err, ErrRetained) {
		t.Errorf("a locked segment is deleted: %v", err)
	}
	left, err := r.ListWAL(t.Context(), shop, 0)
	if err != nil || len(left) != 1 || left[0].Name != third {
		t.Errorf("%v %v", left, err)
	}
}

func TestTheLogLivesInABucketAsInADirectory(t *testing.T) {
	t.Parallel()
	r := newRepo(t, bucket(t), true)
	content := pseudorandom(1, walSize)
	putWAL(t, r, shop, segmentInfo(third), content)
	if already, err := r.PutWAL(t.Context(), shop, segmentInfo(third), content); err != nil || !already {
		t.Error(already, err)
	}
	content[0] ^= 1
	if _, err := r.PutWAL(t.Context(), shop, segmentInfo(third), content); !errors.Is(err, ErrWALDiffers) {
		t.Error(err)
	}
	large := segmentInfo("000000010000000000000001")
	large.SegmentSize = 64 << 20
	data := pseudorandom(2, 64<<20)
	putWAL(t, r, shop, large, data)
	if already, err := r.PutWAL(t.Context(), shop, large, data); err != nil || !already {
		t.Error(already, err)
	}
	if all, err := r.WALArchives(t.Context(), ""); err != nil || len(all) != 1 || all[0] != shop {
		t.Error(all, err)
	}
	if files, err := r.ListWAL(t.Context(), shop, 1); err != nil || len(files) != 2 {
		t.Error(files, err)
	}
}
