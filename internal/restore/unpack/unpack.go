// Package unpack writes what a files, config, command or globals point holds to
// the disk of this machine.
//
// What lives here: the care that nothing of a tar, which somebody may have edited,
// lands outside the directory that was named. What must not: reading and checking
// the tar (package contents), flags and printing (the faces).
package unpack

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Options of Run.
type Options struct {
	Repo      *repo.Repository
	Ref       repo.Ref
	Directory string // made when missing, refused when it is not empty
	Overwrite bool   // into one that is not: files of the same names are replaced
	NoOwner   bool   // everything belongs to who restores; as another than root it does anyway

	Log      *slog.Logger
	Progress *Progress // may be nil
}

// Progress is written by a running restore and read by whoever draws it.
type Progress struct {
	Expected atomic.Int64 // bytes in files
	Written  atomic.Int64
	Item     atomic.Pointer[string]
}

// Result of a restore.
type Result struct {
	Ref       repo.Ref
	Directory string
	Files     int64
	Bytes     int64
	Entries   int64
	Warnings  []string
}

// Errors a caller may test for.
var (
	// ErrNotEmpty: something is where the restore would write.
	ErrNotEmpty = errors.New("is not empty")
	// ErrEscapes: an entry would land outside the directory. No backup of ours has
	// one: the repository was edited.
	ErrEscapes = fmt.Errorf("%w: the entry leads out of the directory", repo.ErrDamaged)
)

// Run unpacks the tar of a point below a directory, by its relative names: what
// was /etc/app is DIRECTORY/etc/app. Each file appears when it is whole. When Run
// fails, what it has written until then stays; to unpack again needs Overwrite.
func Run(ctx context.Context, o Options) (Result, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = &Progress{}
	}
	result := Result{Ref: o.Ref, Directory: o.Directory}
	p, err := o.Repo.OpenPoint(ctx, o.Ref)
	if err != nil {
		return result, err
	}
	if !contents.IsTar(o.Ref.Kind) {
		return result, fmt.Errorf("restore %s: a point of kind %s holds no files", o.Ref, o.Ref.Kind)
	}
	if !o.Repo.Sealed() {
		o.Log.Warn("the repository is not encrypted: nothing proves that nobody edited this backup", "point", o.Ref.String())
	}
	if err := prepare(o.Directory, o.Overwrite); err != nil {
		return result, fmt.Errorf("restore %s: %w", o.Ref, err)
	}
	root, err := os.OpenRoot(o.Directory)
	if err != nil {
		return result, fmt.Errorf("restore %s: %w", o.Ref, err)
	}
	defer root.Close()
	o.Progress.Expected.Store(p.Totals.Bytes)
	u := &unpacking{ctx: ctx, Options: o, root: root, owner: !o.NoOwner && os.Geteuid() == 0}
	list, err := contents.ReadPoint(ctx, p, u.entry)
	if err == nil {
		err = u.finish()
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		return result, fmt.Errorf("restore %s into %s, which now has a part of it: %w", o.Ref, o.Directory, err)
	}
	result.Files, result.Bytes, result.Entries, result.Warnings = list.Files, list.Bytes, list.Count, u.warnings
	return result, nil
}

// prepare makes the directory, or looks that nothing is in it.
func prepare(dir string, overwrite bool) error {
	names, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return os.MkdirAll(dir, 0o700)
	case err != nil:
		return err
	case len(names) > 0 && !overwrite:
		return fmt.Errorf("directory %s %w (%s …): give another, or --overwrite to replace files of the same names", dir, ErrNotEmpty, names[0].Name())
	}
	return nil
}

// unpacking is a restore under way.
type unpacking struct {
	Options
	ctx      context.Context
	root     *os.Root
	owner    bool   // give entries to those who owned them
	parent   string // that is known to be a directory
	dirs     []dir  // whose properties are set at the end
	warnings []string
	noted    bool // extended attributes were refused: said once
}

type dir struct {
	name string
	h    *tar.Header
}

// entry writes one entry of the tar.
func (u *unpacking) entry(h *tar.Header, body io.Reader) error {
	if u.ctx.Err() != nil {
		return context.Cause(u.ctx)
	}
	name, err := safe(h.Name)
	if err != nil {
		return err
	}
	u.Progress.Item.Store(&name)
	if err := u.parents(path.Dir(name)); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeDir {
		return u.directory(name, h)
	}
	if err := u.vacant(name); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg:
		return u.file(name, h, body)
	case tar.TypeSymlink:
		return u.symlink(name, h)
	default:
		return u.hardLink(name, h)
	}
}

// safe is the name of an entry as a relative path, or ErrEscapes. Our own names are
// clean, so what is not was not written by us.
func safe(name string) (string, error) {
	clean := strings.TrimSuffix(name, "/")
	if clean == "" || clean == "." || !filepath.IsLocal(clean) || path.Clean(clean) != clean || strings.ContainsRune(clean, 0) {
		return "", fmt.Errorf("entry %q: %w", name, ErrEscapes)
	}
	return clean, nil
}

// parents holds that all above an entry are directories, and makes those that are
// missing. A symbolic link there, from the tar or from before, is never followed.
func (u *unpacking) parents(p string) error {
	if p == "." || p == u.parent {
		return nil
	}
	at := ""
	for part := range strings.SplitSeq(p, "/") {
		at = path.Join(at, part)
		info, err := u.root.Lstat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if err := u.root.Mkdir(at, 0o755); err != nil {
				return err
			}
		case err != nil:
			return err
		case !info.IsDir():
			return fmt.Errorf("entry below %q: %w: that is a %s", at, ErrEscapes, info.Mode().Type())
		}
	}
	u.parent = p
	return nil
}

// vacant holds that an entry takes nobody's place, or only that of a file that may
// be replaced.
func (u *unpacking) vacant(name string) error {
	info, err := u.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a directory there and none in the backup: move it away", name)
	case !u.Overwrite:
		return fmt.Errorf("entry %q: %w: it stands twice", name, repo.ErrDamaged)
	}
	return nil
}

func (u *unpacking) directory(name string, h *tar.Header) error {
	info, err := u.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// Nobody else's until all is in it.
		if err := u.root.Mkdir(name, 0o700); err != nil {
			return err
		}
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("entry %q: %w: that is a %s", name, ErrEscapes, info.Mode().Type())
	}
	u.dirs = append(u.dirs, dir{name, h})
	return nil
}

// file writes beside its place and then moves it there.
func (u *unpacking) file(name string, h *tar.Header, body io.Reader) (err error) {
	temporary := besides(name)
	f, err := u.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		if err != nil {
			_ = u.root.Remove(temporary) // the error that counts is known
		}
	}()
	if _, err := io.Copy(io.MultiWriter(f, counting{&u.Progress.Written}), body); err != nil {
		return err
	}
	if err := u.properties(f, h); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := u.root.Chtimes(temporary, time.Time{}, h.ModTime); err != nil {
		return err
	}
	return u.root.Rename(temporary, name)
}

func (u *unpacking) symlink(name string, h *tar.Header) error {
	// Where it leads is what was backed up, and nothing here goes through it.
	temporary := besides(name)
	if err := u.root.Symlink(h.Linkname, temporary); err != nil {
		return err
	}
	if u.owner {
		if err := u.root.Lchown(temporary, h.Uid, h.Gid); err != nil {
			return errors.Join(err, u.root.Remove(temporary))
		}
	}
	u.parent = ""
	return u.root.Rename(temporary, name)
}

func (u *unpacking) hardLink(name string, h *tar.Header) error {
	first, err := safe(h.Linkname)
	if err != nil {
		return err
	}
	if err := u.parents(path.Dir(first)); err != nil {
		return err
	}
	info, err := u.root.Lstat(first)
	if err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("entry %q: %w: it is another name of %q, which is no file", name, repo.ErrDamaged, first)
	}
	temporary := besides(name)
	if err := u.root.Link(first, temporary); err != nil {
		return err
	}
	err = u.root.Rename(temporary, name)
	// A rename between two names of one file does nothing.
	if gone := u.root.Remove(temporary); err == nil && gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		err = gone
	}
	return err
}

// finish gives directories their properties, from the inside out: their times
// would change and their rights might forbid what is written into them.
func (u *unpacking) finish() error {
	for _, d := range slices.Backward(u.dirs) {
		f, err := u.root.Open(d.name)
		if err != nil {
			return err
		}
		err = u.properties(f, d.h)
		f.Close()
		if err == nil {
			err = u.root.Chtimes(d.name, time.Time{}, d.h.ModTime)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// counting counts what is written to it.
type counting struct{ n *atomic.Int64 }

func (c counting) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}
