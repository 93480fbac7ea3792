//go:build unix

package spool

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ours tells whether a file belongs to the user who runs this.
func ours(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Uid == uint32(os.Geteuid())
}

// writable tells whether this user may make something in a directory.
func writable(path string) bool { return unix.Access(path, unix.W_OK|unix.X_OK) == nil }
