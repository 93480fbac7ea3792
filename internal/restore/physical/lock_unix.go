//go:build linux || darwin

package physical

import (
	"errors"
	"os"
	"syscall"
)

// canLock: what lock says can be relied on.
const canLock = true

// lock keeps a directory from a second restore, for as long as this process lives or
// until it is given back. A file system that knows no locks has none.
func lock(dir string) (unlock func(), free bool, err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, false, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, false, f.Close()
	}
	return func() { _ = f.Close() }, true, nil
}
