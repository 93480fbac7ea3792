package dir

import (
	"os"

	"golang.org/x/sys/unix"
)

// writeback starts writing a range to disk without waiting, so that the fsync
// of a large object does not find all of it still in memory. It is a hint: the
// fsync is what reports errors.
func writeback(f *os.File, offset, length int64) {
	_ = unix.SyncFileRange(int(f.Fd()), offset, length, unix.SYNC_FILE_RANGE_WRITE)
}
