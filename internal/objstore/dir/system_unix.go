//go:build !windows

package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// nonblock keeps an open from hanging on a named pipe somebody put there.
const nonblock = syscall.O_NONBLOCK

// tryLock takes the file's lock if nobody has it. It ends when f is closed or
// the process dies.
func tryLock(f *os.File) (bool, error) {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		default:
			return false, err
		}
	}
}

func noLocks(err error) error {
	return fmt.Errorf("%w: the file system has no file locks, which compare-and-swap needs; mount the share with locking (%w)",
		objstore.ErrUnsupported, err)
}

// syncFolder makes the entries of a folder durable. Some network file systems
// can not and say EINVAL: there the server is in charge.
func syncFolder(f *os.File) error {
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}

func inode(st fs.FileInfo) uint64 {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return sys.Ino
	}
	return 0
}
