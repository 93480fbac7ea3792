package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// publishTries bounds the fight with Deletes that remove a folder between our
// making it and our using it; losing even twice is rare.
const publishTries = 200

// publish makes the temporary file the object, durably, if cond holds.
func (s *Store) publish(ctx context.Context, t *temp, key string, cond objstore.Condition) (objstore.Info, error) {
	if err := t.file.Sync(); err != nil {
		return objstore.Info{}, err
	}
	info, err := describe(key, t.file)
	if err != nil {
		return objstore.Info{}, err
	}
	unlock, err := s.lock(ctx, key, cond.IfMatch != "")
	if err != nil {
		return objstore.Info{}, err
	}
	defer unlock()
	if cond.IfMatch != "" {
		if err := s.matches(key, cond.IfMatch); err != nil {
			return objstore.Info{}, err
		}
	}
	for range publishTries {
		if err = ctx.Err(); err != nil {
			return objstore.Info{}, err
		}
		err = s.place(t, key, cond)
		if !errors.Is(err, errAgain) {
			break
		}
	}
	if err != nil {
		return objstore.Info{}, err
	}
	// Its folder gone means that the object was deleted again already.
	if err := s.syncDir(path.Dir(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return objstore.Info{}, err
	}
	return info, nil
}

// errAgain: a folder appeared or vanished beside us; the same step may work now.
var errAgain = errors.New("folders keep changing; try again")

// place makes the folders and gives the file its name, once.
func (s *Store) place(t *temp, key string, cond objstore.Condition) error {
	if err := s.makeDirs(key); err != nil {
		return err
	}
	from, to := t.name(dataSuffix), filepath.FromSlash(key)
	var err error
	if cond.IfAbsent {
		err = s.root.Link(from, to)
	} else {
		err = s.root.Rename(from, to)
	}
	switch {
	case err == nil:
		t.gone = !cond.IfAbsent // a link leaves the old name, which discard removes
		return nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return s.vanished(t, key)
	case errors.Is(err, fs.ErrExist), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENOTEMPTY):
		return s.occupied(key, cond)
	case cond.IfAbsent && (errors.Is(err, syscall.EPERM) || errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EMLINK)):
		return fmt.Errorf("%w: the file system has no hard links, which writing only-if-absent needs; use ext4, xfs, NFS or the like (%w)",
			objstore.ErrUnsupported, reason(err))
	}
	return err
}

// vanished tells a folder removed by a concurrent Delete from a temporary file
// taken away by an AbortUploads.
func (s *Store) vanished(t *temp, key string) error {
	if _, err := s.root.Lstat(t.name(dataSuffix)); err != nil {
		return fmt.Errorf("the unfinished upload of %s was aborted by another process", key)
	}
	for _, d := range parents(key) {
		s.synced.Delete(d)
	}
	return errAgain
}

// occupied finds out what holds the name.
func (s *Store) occupied(key string, cond objstore.Condition) error {
	st, err := s.root.Lstat(filepath.FromSlash(key))
	if errors.Is(err, fs.ErrNotExist) {
		return errAgain
	}
	if err != nil {
		return err
	}
	if !st.IsDir() {
		if cond.IfAbsent {
			return objstore.ErrPrecondition
		}
		return errAgain
	}
	// An empty folder is what a crash or a Delete in progress leaves.
	if err := s.root.Remove(filepath.FromSlash(key)); err == nil || errors.Is(err, fs.ErrNotExist) {
		s.synced.Delete(key)
		return errAgain
	}
	return fmt.Errorf("%w %q: there are objects below %q, and a directory can not hold both", objstore.ErrInvalidKey, key, key+"/")
}

// matches holds the object's ETag against the one wanted; under the lock.
func (s *Store) matches(key, etag string) error {
	f, err := s.root.OpenFile(filepath.FromSlash(key), os.O_RDONLY|nonblock, 0)
	if err == nil {
		defer func() { _ = f.Close() }()
		var info objstore.Info
		if info, err = describe(key, f); err == nil && info.ETag == etag {
			return nil
		}
	}
	if err == nil || errors.Is(classify(err), objstore.ErrNotFound) {
		return objstore.ErrPrecondition
	}
	return err
}

// makeDirs makes the folders of key and makes their entries durable.
func (s *Store) makeDirs(key string) error {
	dirs := parents(key)
	if len(dirs) == 0 {
		return nil
	}
	if _, ok := s.synced.Load(dirs[0]); ok {
		return nil // a Delete elsewhere may have removed it: place notices
	}
	for _, d := range slices.Backward(dirs) {
		err := s.root.Mkdir(filepath.FromSlash(d), dirMode)
		switch {
		case err == nil:
		case errors.Is(err, fs.ErrNotExist):
			return errAgain
		case errors.Is(err, fs.ErrExist):
			st, serr := s.root.Stat(filepath.FromSlash(d))
			if errors.Is(serr, fs.ErrNotExist) {
				return errAgain
			}
			if serr == nil && !st.IsDir() {
				err = syscall.ENOTDIR
			} else {
				err = serr
			}
		}
		if errors.Is(err, syscall.ENOTDIR) {
			return fmt.Errorf("%w %q: %q is an object, and a directory can not hold objects below it", objstore.ErrInvalidKey, key, d)
		}
		if err != nil {
			return err
		}
		// Synced also when it was there: its maker may not have come so far yet.
		if _, ok := s.synced.Load(d); ok {
			continue
		}
		if err := s.syncDir(path.Dir(d)); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return errAgain
			}
			return err
		}
		s.synced.Store(d, true)
	}
	return nil
}

func (s *Store) syncDir(d string) error {
	f, err := s.root.Open(filepath.FromSlash(d))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return syncFolder(f)
}

// Delete removes files and the folders that are empty then.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	var failed []error
	touched := map[string]bool{}
	for _, key := range keys {
		if err := s.check(ctx, "delete", key); err != nil {
			failed = append(failed, err)
			continue
		}
		if err := s.remove(ctx, key); err != nil {
			failed = append(failed, s.fail("delete", key, err))
			continue
		}
		for _, d := range append(parents(key), ".") {
			touched[d] = true
		}
	}
	// Durable too: a deleted manifest must not come back after its data went.
	// A folder that is gone was synced by its parent, which is touched as well.
	for d := range touched {
		if err := s.syncDir(d); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			failed = append(failed, s.fail("delete in", d, err))
		}
	}
	return errors.Join(failed...)
}

func (s *Store) remove(ctx context.Context, key string) error {
	unlock, err := s.lock(ctx, key, false)
	if err != nil {
		return err
	}
	defer unlock()
	name := filepath.FromSlash(key)
	st, err := s.root.Lstat(name)
	if err != nil {
		if errors.Is(classify(err), objstore.ErrNotFound) {
			return s.rootGone()
		}
		return err
	}
	if st.IsDir() {
		return nil // no object has this key
	}
	if err := s.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, d := range parents(key) {
		// Fails when it is not empty, which is the answer. A Put that wanted it
		// makes it again.
		if err := s.root.Remove(filepath.FromSlash(d)); err != nil {
			break
		}
		s.synced.Delete(d)
	}
	return nil
}

// rootGone is an error when the whole directory is missing.
func (s *Store) rootGone() error {
	if _, err := os.Stat(s.path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s is gone; mount or create it", objstore.ErrNoBucket, s.path)
	}
	return nil
}
