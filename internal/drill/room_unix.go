//go:build linux || darwin

package drill

import "syscall"

// roomIn is how many bytes a plain user may still write below a directory.
func roomIn(directory string) (int64, bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(directory, &s); err != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true //nolint:gosec,unconvert // types differ by system
}
