package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// List walks the folders. Memory is bounded by the entries of the folders on one
// path. Infos have no ETag: it would need reading every file.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		if err := s.rootGone(); err != nil {
			yield(objstore.Info{}, s.fail("list", prefix, err))
			return
		}
		start := "." // the deepest folder that holds all of prefix
		if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
			start = prefix[:i]
			if objstore.ValidKey(start) != nil || start == reserved || strings.HasPrefix(start, reserved+"/") {
				return // no object can have such a key
			}
		}
		w := walk{ctx: ctx, prefix: prefix, yield: yield}
		if err := w.folder(s.root, start, start); err != nil && !errors.Is(err, errStop) {
			yield(objstore.Info{}, s.fail("list", prefix, err))
		}
	}
}

// Folders lists one folder. Empty folders, which deletions may leave, are in it.
func (s *Store) Folders(ctx context.Context, prefix string) ([]string, error) {
	if err := objstore.CheckFolder(prefix); err != nil {
		return nil, fmt.Errorf("list folders: %w", err)
	}
	if err := s.rootGone(); err != nil {
		return nil, s.fail("list folders", prefix, err)
	}
	at := path.Clean(prefix) // "." for all
	if at == reserved || strings.HasPrefix(prefix, reserved+"/") {
		return nil, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, s.fail("list folders", prefix, err)
	}
	here, err := openFolder(s.root, at)
	if here == nil {
		if err != nil {
			err = s.fail("list folders", prefix, err)
		}
		return nil, err
	}
	defer func() { _ = here.Close() }()
	names, err := entries(here)
	if errors.Is(err, fs.ErrNotExist) && at != "." {
		return nil, nil // it was empty and was removed since it was opened
	}
	if err != nil {
		return nil, s.fail("list folders", prefix, err)
	}
	below := make([]string, 0, len(names))
	for _, name := range names {
		base := strings.TrimSuffix(name, "/")
		if !foreign(path.Join(at, base), base) {
			below = append(below, prefix+name)
		}
	}
	return below, nil
}

// errStop: the reader of the listing has had enough.
var errStop = errors.New("stop")

type walk struct {
	ctx    context.Context
	prefix string
	yield  func(objstore.Info, error) bool
}

// folder lists the folder called name inside parent; at is its path from the
// store's root.
func (w *walk) folder(parent *os.Root, name, at string) error {
	here, err := openFolder(parent, name)
	if here == nil {
		return err
	}
	defer func() { _ = here.Close() }()
	names, err := entries(here)
	if errors.Is(err, fs.ErrNotExist) && at != "." {
		return nil // it was empty and was removed since it was opened
	}
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := w.entry(here, n, at); err != nil {
			return err
		}
	}
	return nil
}

// openFolder opens a folder inside parent; nil without an error when there is none:
// it is gone since we read of it, or a file, and no keys are below.
func openFolder(parent *os.Root, name string) (*os.Root, error) {
	here, err := parent.OpenRoot(filepath.FromSlash(name))
	if err == nil {
		return here, nil
	}
	if errors.Is(err, fs.ErrNotExist) && name != "." {
		return nil, nil // whatever is there a moment later
	}
	st, serr := parent.Stat(filepath.FromSlash(name))
	if errors.Is(serr, fs.ErrNotExist) || errors.Is(serr, syscall.ENOTDIR) || serr == nil && !st.IsDir() {
		return nil, nil
	}
	return nil, err
}

// entries returns a folder's names, subfolders with a slash behind, sorted so
// that walking them gives full keys in byte order: "a-b" comes before "a/b".
func entries(here *os.Root) ([]string, error) {
	f, err := here.Open(".")
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	list, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(list))
	for _, e := range list {
		switch {
		case e.IsDir():
			names = append(names, e.Name()+"/")
		case e.Type().IsRegular():
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

func (w *walk) entry(here *os.Root, name, at string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	base, isDir := strings.CutSuffix(name, "/")
	key := path.Join(at, base)
	if foreign(key, base) {
		return nil
	}
	if isDir {
		if !strings.HasPrefix(key+"/", w.prefix) && !strings.HasPrefix(w.prefix, key+"/") {
			return nil
		}
		return w.folder(here, base, key)
	}
	if !strings.HasPrefix(key, w.prefix) {
		return nil
	}
	st, err := here.Lstat(base)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !w.yield(plain(key, st), nil) {
		return errStop
	}
	return nil
}

// foreign names are no objects: our own folder, what ext4 and NFS put into
// directories, and names that no key can have.
func foreign(key, base string) bool {
	return key == reserved || key == "lost+found" || strings.HasPrefix(base, ".nfs") || objstore.ValidKey(key) != nil
}
