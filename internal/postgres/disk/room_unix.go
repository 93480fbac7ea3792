//go:build linux || darwin

package disk

import "syscall"

// Room is how many bytes a plain user may still write below a directory, and which file
// system that is; false where that can not be told.
func Room(directory string) (free int64, device uint64, ok bool) {
	var s syscall.Statfs_t
	var d syscall.Stat_t
	if syscall.Statfs(directory, &s) != nil || syscall.Stat(directory, &d) != nil {
		return 0, 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), uint64(d.Dev), true //nolint:gosec,unconvert // types differ by system
}
