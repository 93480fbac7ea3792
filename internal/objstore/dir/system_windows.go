package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

const nonblock = 0

// tryLock takes the file's lock if nobody has it. It ends when f is closed or
// the process dies.
func tryLock(f *os.File) (bool, error) {
	err := windows.LockFileEx(windows.Handle(f.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &windows.Overlapped{})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}

func noLocks(err error) error {
	return fmt.Errorf("%w: the file system has no file locks, which compare-and-swap needs (%w)", objstore.ErrUnsupported, err)
}

// syncFolder does nothing: NTFS journals its folders and offers no other way.
func syncFolder(*os.File) error { return nil }

func inode(fs.FileInfo) uint64 { return 0 }
