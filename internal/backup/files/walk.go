package files

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
)

// walk goes through directories by their descriptors, never by path: whoever may
// write below one of them can not lead it elsewhere by putting a symbolic link in
// the way.
type walk struct {
	Options
	notes
	progress *point.Progress
	add      func(h *tar.Header, body io.Reader) error

	device uint64           // of the path being walked
	links  map[inode]string // files of several names, and the first of them
	found  int              // entries that are no directories
	kernel map[uint64]bool  // by device: what the kernel makes up on reading
}

// inode is what two names of one file have in common.
type inode struct{ device, number uint64 }

// openFlags: a FIFO must not hold us up, a symbolic link not lead us on.
const openFlags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC

// all walks all paths, in their order and each in the order of names: two backups
// of the same are the same bytes.
func (w *walk) all(ctx context.Context) error {
	w.links, w.kernel = map[inode]string{}, map[uint64]bool{}
	paths := slices.Sorted(slices.Values(w.Selection.Paths))
	for _, p := range paths {
		found, told := w.found, w.told()
		if err := w.root(ctx, p); err != nil {
			return err
		}
		if w.found == found && w.told() == told {
			w.nothing.count(p)
		}
	}
	if w.found == 0 && w.special.n > 0 {
		return fmt.Errorf("%w: %s", point.ErrEmpty, w.specialText())
	}
	if w.found == 0 {
		return fmt.Errorf("%w: there is no file in %s: is it mounted, and not excluded?", point.ErrEmpty, strings.Join(paths, ", "))
	}
	return nil
}

// root walks one path. Unlike what is below it, it has to be there.
func (w *walk) root(ctx context.Context, p string) error {
	parent, err := openDir(unix.AT_FDCWD, filepath.Dir(p), 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", filepath.Dir(p), err)
	}
	defer parent.Close()
	name := filepath.Base(p)
	if p == "/" {
		name = "."
	}
	var st unix.Stat_t
	if err := unix.Fstatat(int(parent.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("look at %s: %w", p, err)
	}
	switch kindOf(&st) {
	case unix.S_IFLNK:
		return fmt.Errorf("%s is a symbolic link, and none is followed: give the path it leads to", p)
	case unix.S_IFDIR:
		d, err := openDir(int(parent.Fd()), name, unix.O_NOFOLLOW)
		if err != nil {
			return fmt.Errorf("open %s: %w", p, err)
		}
		d.Close()
	case unix.S_IFREG:
		fd, err := openat(int(parent.Fd()), name)
		if err != nil {
			return fmt.Errorf("open %s: %w", p, err)
		}
		fd.Close()
	}
	w.device = deviceOf(&st)
	return w.entry(ctx, parent, name, p)
}

// entry stores what has the name in dir, and everything below it. p is its
// absolute path.
func (w *walk) entry(ctx context.Context, dir *os.File, name, p string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if w.excluded(p) {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return w.unread(p, err)
	}
	switch kindOf(&st) {
	case unix.S_IFDIR:
		return w.directory(ctx, dir, name, p)
	case unix.S_IFREG:
		return w.file(dir, name, p, &st)
	case unix.S_IFLNK:
		return w.symlink(dir, name, p, &st)
	case unix.S_IFSOCK:
		w.left(p, "it is a socket")
	case unix.S_IFIFO:
		w.left(p, "it is a named pipe")
	default:
		w.left(p, "it is a device")
	}
	return nil
}

// excluded holds a path against the patterns: one with a slash against all of it,
// one without against its last name. What lies below an excluded directory is
// never looked at.
func (w *walk) excluded(p string) bool {
	return slices.ContainsFunc(w.Selection.Exclude, func(pattern string) bool {
		against := path.Base(p)
		if strings.Contains(pattern, "/") {
			against = p
		}
		match, err := path.Match(pattern, against)
		return err == nil && match
	})
}

func (w *walk) directory(ctx context.Context, parent *os.File, name, p string) error {
	if w.Omit != "" && p == w.Omit {
		w.left(p, "it is the repository itself")
		return nil
	}
	d, err := openDir(int(parent.Fd()), name, unix.O_NOFOLLOW)
	if err != nil {
		return w.unread(p, err)
	}
	defer d.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(d.Fd()), &st); err != nil {
		return w.unread(p, err)
	}
	h := header(p, &st, tar.TypeDir)
	h.PAXRecords = attributes(d)
	if h.Name != "/" {
		if err := w.add(h, nil); err != nil {
			return err
		}
	}
	if w.Selection.OneFileSystem && deviceOf(&st) != w.device {
		w.left(p, "another file system is mounted there")
		return nil
	}
	if w.madeUp(d, &st) {
		w.unreal(p)
		return nil
	}
	names, err := d.Readdirnames(-1)
	if err != nil {
		return w.unread(p, err)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := w.entry(ctx, d, name, path.Join(p, name)); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) symlink(dir *os.File, name, p string, st *unix.Stat_t) error {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(dir.Fd()), name, buf)
	if err != nil {
		return w.unread(p, err)
	}
	w.found++
	h := header(p, st, tar.TypeSymlink)
	h.Linkname = string(buf[:n])
	return w.add(h, nil)
}

func (w *walk) file(dir *os.File, name, p string, seen *unix.Stat_t) error {
	id := inode{deviceOf(seen), seen.Ino}
	if first, again := w.links[id]; again && seen.Nlink > 1 {
		w.found++
		h := header(p, seen, tar.TypeLink)
		h.Linkname = first
		return w.add(h, nil)
	}
	f, err := openat(int(dir.Fd()), name)
	if err != nil {
		return w.unread(p, err)
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return w.unread(p, err)
	}
	if kindOf(&st) != unix.S_IFREG {
		w.changed(p, "it became something else while the directory was read")
		return nil
	}
	if w.madeUp(f, &st) {
		w.unreal(p)
		return nil
	}
	w.progress.Item.Store(&p)
	h := header(p, &st, tar.TypeReg)
	h.Size, h.PAXRecords = st.Size, attributes(f)
	body := &exactly{f: f, left: st.Size}
	if err := w.add(h, body); err != nil {
		return err
	}
	w.found++
	if st.Nlink > 1 {
		w.links[inode{deviceOf(&st), st.Ino}] = h.Name
	}
	var after unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &after); err != nil {
		return fmt.Errorf("look at %s: %w", p, err)
	}
	switch {
	case body.short > 0:
		w.changed(p, fmt.Sprintf("it was cut while it was read: its last %d bytes are zeros", body.short))
	case after.Size != st.Size, after.Mtim != st.Mtim, after.Ctim != st.Ctim: // whoever puts the mtime back changes the ctime
		w.changed(p, "it changed while it was read: what is stored may mix old and new")
	}
	return nil
}

// madeUp tells whether a file system holds what the kernel makes up when it is read,
// such as /proc: sizes there are no sizes, and nothing can be put back.
func (w *walk) madeUp(f *os.File, st *unix.Stat_t) bool {
	device := deviceOf(st)
	known, looked := w.kernel[device]
	if !looked {
		known = ofTheKernel(f)
		w.kernel[device] = known
	}
	return known
}

// unread notes what is there and could not be read; the backup goes on. An error
// of the disk or of the network is not about one file and ends it.
func (w *walk) unread(p string, err error) error {
	switch {
	case errors.Is(err, unix.ENOENT):
		w.vanished(p)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		w.denied(p)
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ENXIO):
		w.changed(p, "it became something else while the directory was read")
	default:
		return fmt.Errorf("read %s: %w", p, err)
	}
	return nil
}
