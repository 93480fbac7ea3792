package receive

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/spool"
)

// store is the directory of this machine in which segments of one source lie until
// they are in the repository. Files are named as the server names them, and have what
// was received of the segment.
type store struct {
	root *os.Root
	lock *os.File
}

// lockName is the file whose lock says that a receiver uses the directory.
const lockName = "lock"

// errInUse: a receiver that lost the lease has not noticed yet.
var errInUse = errors.New("another receiver on this machine uses it")

// openStore opens the spool of a source, for one receiver at a time.
func openStore(path, source string) (*store, error) {
	root, err := spool.Open(path, "receive-"+SlotName(source))
	if err != nil {
		return nil, err
	}
	lock, err := root.OpenFile(lockName, os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = lockFile(lock)
	}
	if err != nil {
		_ = root.Close()
		return nil, fmt.Errorf("use the spool %s: %w", root.Name(), err)
	}
	return &store{root: root, lock: lock}, nil
}

func (s *store) close() {
	_ = s.lock.Close()
	_ = s.root.Close()
}

// create makes the file of a segment, empty.
func (s *store) create(name string) (*os.File, error) {
	f, err := s.root.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("spool WAL: %w", err)
	}
	return f, nil
}

// remove forgets a segment. What can not be removed is found again, and stored again.
func (s *store) remove(name string) error {
	if err := s.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("spool WAL: %w", err)
	}
	return nil
}

// sync makes the names of new files durable.
func (s *store) sync() error {
	dir, err := s.root.Open(".")
	if err != nil {
		return fmt.Errorf("spool WAL: %w", err)
	}
	defer func() { _ = dir.Close() }()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("spool WAL in %s: %w", s.root.Name(), err)
	}
	return nil
}

// names of the segments in the spool, in order.
func (s *store) names() ([]string, error) {
	entries, err := fs.ReadDir(s.root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("read the spool: %w", err)
	}
	var names []string
	for _, e := range entries {
		if kind, _ := pgwal.KindOfFile(e.Name()); kind == pgwal.SegmentFile && e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// open opens what an earlier run left of a segment, and scans it. scan.End is how far
// it can be believed: a machine that lost power may have written less than it says.
func (s *store) open(name string) (f *os.File, scan *pgwal.Scanner, size int64, err error) {
	fail := func(err error) (*os.File, *pgwal.Scanner, int64, error) {
		if f != nil {
			_ = f.Close()
		}
		return nil, nil, 0, fmt.Errorf("read %s in the spool: %w", name, err)
	}
	if f, err = s.root.OpenFile(name, os.O_RDWR, 0); err != nil {
		return fail(err)
	}
	scan = pgwal.NewScanner(nil)
	if size, err = io.CopyBuffer(struct{ io.Writer }{scan}, struct{ io.Reader }{f}, make([]byte, 256<<10)); err != nil {
		return fail(err)
	}
	return f, scan, size, nil
}
