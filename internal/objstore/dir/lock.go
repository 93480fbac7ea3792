package dir

import (
	"context"
	"errors"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// lockStripes is how many lock files all keys share: few enough to leave no
// litter, enough that writers of different keys seldom meet.
const lockStripes = 64

// lock keeps other writers and deleters of key out, in this process and in
// others. It is held for a rename, never while data moves. Where the file system
// has no locks it fails if they are needed (compare-and-swap) and does without
// otherwise.
func (s *Store) lock(ctx context.Context, key string, needed bool) (unlock func(), err error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	stripe := h.Sum32() % lockStripes

	// First among ourselves, so that a process polls its file only once.
	mine := s.stripes[stripe]
	select {
	case mine <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() {
		if err != nil {
			<-mine
		}
	}()
	f, err := s.lockFile(stripe)
	if err != nil {
		return nil, err
	}
	for wait := time.Millisecond; ; wait = min(2*wait, 20*time.Millisecond) {
		held, err := tryLock(f)
		if held || err != nil && !needed {
			return func() { _ = f.Close(); <-mine }, nil
		}
		if err != nil {
			_ = f.Close()
			return nil, noLocks(err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			_ = f.Close()
			return nil, ctx.Err()
		}
	}
}

func (s *Store) lockFile(stripe uint32) (*os.File, error) {
	folder := filepath.Join(reserved, "locks")
	name := filepath.Join(folder, strconv.Itoa(int(stripe)))
	f, err := s.root.OpenFile(name, os.O_RDWR|os.O_CREATE, fileMode)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	for _, d := range []string{reserved, folder} {
		if err := s.root.Mkdir(d, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	return s.root.OpenFile(name, os.O_RDWR|os.O_CREATE, fileMode)
}
