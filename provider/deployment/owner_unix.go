//go:build unix

package deployment

import (
	"io/fs"
	"strconv"
	"syscall"
)

// owner of a file, by the numbers of user and group.
func owner(st fs.FileInfo) (uid, gid string, known bool) {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return "", "", false
	}
	return strconv.FormatUint(uint64(sys.Uid), 10), strconv.FormatUint(uint64(sys.Gid), 10), true
}
