// Package dir keeps objects as files below one directory: an object's key is its
// path. It is the store for a local disk or a mounted share.
//
// What lives here: the directory adapter of objstore.Store. What must not:
// anything that knows what the objects mean.
//
// Promises and how they are kept:
//   - Durable: file, folder and every new parent folder are fsynced before a
//     write returns.
//   - Atomic: bytes go to a temporary file in the reserved folder .uploads and
//     are published by one link (if absent) or one rename.
//   - Compare-and-swap holds between processes by flock, which the kernel
//     releases when a process dies.
//   - Contained: os.Root resolves every path, so neither a key nor a symbolic
//     link leads out of the directory.
//
// The file system needs hard links. Folders are 0700, files 0600.
package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/checksum"
)

// reserved is the folder for unfinished uploads and locks. It is never listed,
// and no key may begin with it.
const reserved = ".uploads"

const (
	dirMode  = 0o700
	fileMode = 0o600
)

// Store is a directory that keeps objects.
type Store struct {
	path    string // absolute
	root    *os.Root
	stripes [lockStripes]chan struct{} // one token each; see lock
	synced  sync.Map                   // folder -> true: its entry in its parent is durable
}

var (
	_ objstore.Store        = (*Store)(nil)
	_ objstore.FolderLister = (*Store)(nil)
)

// Open opens the directory at root, which must exist; see Create.
func Open(root string) (*Store, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("open directory %s: %w", root, err)
	}
	st, err := os.Stat(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("open directory %s: %w: create it (mkdir -p -m 700) or mount it", abs, objstore.ErrNoBucket)
	case err != nil:
		return nil, fmt.Errorf("open directory %s: %w", abs, classify(err))
	case !st.IsDir():
		return nil, fmt.Errorf("open directory %s: %w: there is a file of that name; name a directory", abs, objstore.ErrNoBucket)
	}
	r, err := os.OpenRoot(abs)
	if err != nil {
		return nil, fmt.Errorf("open directory %s: %w", abs, classify(err))
	}
	s := &Store{path: abs, root: r}
	for i := range s.stripes {
		s.stripes[i] = make(chan struct{}, 1)
	}
	return s, nil
}

// Create makes the directory at root, with its parents, durably unless it is
// there, and opens it.
func Create(root string) (*Store, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("create directory %s: %w", root, err)
	}
	var missing []string
	for d := abs; ; d = filepath.Dir(d) {
		if _, err := os.Lstat(d); err == nil || d == filepath.Dir(d) {
			break
		}
		missing = append(missing, d)
	}
	if err := os.MkdirAll(abs, dirMode); err != nil {
		return nil, fmt.Errorf("create directory %s: %w", abs, classify(err))
	}
	for _, d := range missing {
		if err := syncPath(filepath.Dir(d)); err != nil {
			return nil, fmt.Errorf("create directory %s: %w", abs, classify(err))
		}
	}
	return Open(abs)
}

func syncPath(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return syncFolder(f)
}

// Close releases the directory. Uploads and readers that are still open stay
// usable.
func (s *Store) Close() error { return s.root.Close() }

// URL is file:// and the absolute path.
func (s *Store) URL() string { return urlOf(s.path) }

// errNoLock: a file can be removed by whoever may write beside it.
var errNoLock = fmt.Errorf("%w: files can not be locked; only a bucket with S3 Object Lock does that", objstore.ErrUnsupported)

// Put writes data as one file. StorageClass, ContentType and Tags are ignored.
func (s *Store) Put(ctx context.Context, key string, data []byte, opts objstore.PutOptions) (objstore.Info, error) {
	if err := s.check(ctx, "put", key); err != nil {
		return objstore.Info{}, err
	}
	if !opts.LockUntil.IsZero() {
		return objstore.Info{}, s.fail("put", key, errNoLock)
	}
	if len(data) > objstore.MaxPut {
		return objstore.Info{}, fmt.Errorf("put %s: %d bytes are too many for one piece; upload it in parts", key, len(data))
	}
	tmp, err := s.newTemp(key)
	if err != nil {
		return objstore.Info{}, s.fail("put", key, err)
	}
	defer func() { _ = tmp.discard() }() // what stays is AbortUploads' litter
	if _, err := tmp.file.Write(data); err != nil {
		return objstore.Info{}, s.fail("put", key, err)
	}
	info, err := s.publish(ctx, tmp, key, opts.Condition)
	if err != nil {
		return objstore.Info{}, s.fail("put", key, err)
	}
	crc := checksum.CRC64NVME(data)
	info.CRC64NVME = &crc
	return info, nil
}

// Get opens the file. VersionID must be empty: a directory keeps no versions.
func (s *Store) Get(ctx context.Context, key string, opts objstore.GetOptions) (io.ReadCloser, objstore.Info, error) {
	f, info, err := s.open(ctx, "get", key, opts.VersionID)
	if err != nil {
		return nil, objstore.Info{}, err
	}
	if opts.Offset < 0 || opts.Length < 0 {
		_ = f.Close()
		return nil, objstore.Info{}, fmt.Errorf("get %s: a range from %d of %d bytes is not possible", key, opts.Offset, opts.Length)
	}
	n := max(info.Size-opts.Offset, 0)
	if opts.Length > 0 {
		n = min(n, opts.Length)
	}
	return &reader{ctx: ctx, key: key, file: f, offset: opts.Offset, left: n}, info, nil
}

// Head describes the file.
func (s *Store) Head(ctx context.Context, key string, versionID string) (objstore.Info, error) {
	f, info, err := s.open(ctx, "head", key, versionID)
	if err != nil {
		return objstore.Info{}, err
	}
	return info, f.Close()
}

// open finds the object's file; the caller closes it.
func (s *Store) open(ctx context.Context, op, key, versionID string) (*os.File, objstore.Info, error) {
	if err := s.check(ctx, op, key); err != nil {
		return nil, objstore.Info{}, err
	}
	if versionID != "" {
		return nil, objstore.Info{}, fmt.Errorf("%s %s version %s: %w: a directory keeps no versions", op, key, versionID, objstore.ErrNotFound)
	}
	f, err := s.root.OpenFile(filepath.FromSlash(key), os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, objstore.Info{}, s.fail(op, key, err)
	}
	info, err := describe(key, f)
	if err != nil {
		_ = f.Close()
		return nil, objstore.Info{}, s.fail(op, key, err)
	}
	return f, info, nil
}

// reader reads a range of a file and fails where the file turns out shorter.
type reader struct {
	ctx    context.Context
	key    string
	file   *os.File
	offset int64
	left   int64
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, fmt.Errorf("read %s: %w", r.key, err)
	}
	if r.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > r.left {
		p = p[:r.left]
	}
	n, err := r.file.ReadAt(p, r.offset)
	r.offset += int64(n)
	r.left -= int64(n)
	switch {
	case err == io.EOF && r.left > 0:
		return n, fmt.Errorf("read %s: %w: %d bytes are missing at the end", r.key, io.ErrUnexpectedEOF, r.left)
	case err == io.EOF:
		return n, nil
	case err != nil:
		return n, fmt.Errorf("read %s: %w", r.key, classify(err))
	}
	return n, nil
}

func (r *reader) Close() error { return r.file.Close() }

// check refuses what must not reach the file system.
func (s *Store) check(ctx context.Context, op, key string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s %s: %w", op, key, err)
	}
	if err := objstore.ValidKey(key); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if first, _, _ := strings.Cut(key, "/"); first == reserved {
		return fmt.Errorf("%s: %w %q: %s is the store's own folder", op, objstore.ErrInvalidKey, key, reserved)
	}
	return nil
}

// parents of a key, innermost first, without the root.
func parents(key string) []string {
	var dirs []string
	for d := path.Dir(key); d != "."; d = path.Dir(d) {
		dirs = append(dirs, d)
	}
	return dirs
}
