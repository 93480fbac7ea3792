//go:build unix

package foreign

import (
	"os"

	"golang.org/x/sys/unix"
)

// room is how many bytes a folder has room for, a tenth left free.
func room(dir string) (int64, error) {
	if dir == "" {
		dir = os.TempDir()
	}
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return int64(s.Bavail) * int64(s.Bsize) / 10 * 9, nil //nolint:unconvert // Bsize differs between systems
}
