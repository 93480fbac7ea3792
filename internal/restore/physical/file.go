package physical

import (
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/basemanifest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// file is one that is being written, in parts and by several workers where it is
// large. It is open from its first part to its last.
type file struct {
	entry
	tree *tree
	held []byte       // of a file that is written last: its bytes instead
	left atomic.Int32 // parts that are not written yet, and one while parts are added

	mu     sync.Mutex
	f      *os.File
	failed error
	parts  []part
}

// part of a file with its checksum.
type part struct {
	at, size int64
	crc      uint32
}

// piece is what a worker writes of a file, by its place in the plain stream.
type piece struct {
	file     *file
	from, to int64
}

// open makes the file once.
func (f *file) open() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.f == nil && f.failed == nil && f.held == nil {
		f.f, f.failed = f.tree.create(f.path, fileMode(f.mode))
	}
	return f.failed
}

// writeAt writes bytes of the file at their place in it.
func (f *file) writeAt(b []byte, at int64) error {
	if f.held != nil {
		copy(f.held[at:], b)
		return nil
	}
	_, err := f.f.WriteAt(b, at)
	return err
}

// wrote tells of a part that is written.
func (f *file) wrote(at, size int64, crc uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.parts = append(f.parts, part{at, size, crc})
}

// release ends the use of one part; with the last the file is closed, and has to have
// the checksum that the server gave it.
func (f *file) release() error {
	if f.left.Add(-1) > 0 {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.f != nil {
		if err := f.f.Close(); err != nil {
			return fmt.Errorf("write %s: %w", f.path, err)
		}
	}
	slices.SortFunc(f.parts, func(a, b part) int { return cmp.Compare(a.at, b.at) })
	sum, size := uint32(0), int64(0)
	for _, p := range f.parts {
		if p.at != size {
			return fmt.Errorf("write %s: a part is missing at byte %d", f.path, size)
		}
		sum, size = joined(sum, p.crc, p.size), size+p.size
	}
	if crc := basemanifest.CRC32C(sum); size != f.size || crc != f.crc {
		return fmt.Errorf("%w: file %s has CRC-32C %s in %d bytes, the server said %s in %d", repo.ErrDamaged, f.path, crc, size, f.crc, f.size)
	}
	return nil
}

// abandon closes the file of a restore that failed.
func (f *file) abandon() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.f != nil {
		_ = f.f.Close() // the error that counts is known
	}
	f.failed = errors.Join(f.failed, errAbandoned)
}

var errAbandoned = errors.New("the restore failed")

// crcWriter sums up what goes to a place of a file.
type crcWriter struct {
	file *file
	at   int64
	sum  uint32
}

func (w *crcWriter) Write(b []byte) (int, error) {
	if err := w.file.writeAt(b, w.at); err != nil {
		return 0, err
	}
	w.sum = crc32.Update(w.sum, castagnoli, b)
	w.at += int64(len(b))
	return len(b), nil
}
