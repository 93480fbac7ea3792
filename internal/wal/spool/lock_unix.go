//go:build unix

package spool

import (
	"os"

	"golang.org/x/sys/unix"
)

// Lock takes what one process at a time may do in the directory; false when another has
// it. It is given back when the file is closed, by a process that dies too.
func Lock(root *os.Root) (held *os.File, ok bool) {
	f, err := root.OpenFile("lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, false
	}
	return f, true
}
