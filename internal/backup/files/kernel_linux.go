package files

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// madeByTheKernel are the types of file systems in which nothing is stored, see
// statfs(2).
var madeByTheKernel = []uint32{
	unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC, unix.DEBUGFS_MAGIC,
	unix.TRACEFS_MAGIC, unix.SECURITYFS_MAGIC, unix.BPF_FS_MAGIC, unix.PSTOREFS_MAGIC,
}

func ofTheKernel(f *os.File) bool {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return false // what can be read is read
	}
	return slices.Contains(madeByTheKernel, uint32(st.Type))
}
