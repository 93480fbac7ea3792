package scratch

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// memory is what this process may use, in bytes: the machine's, or the limit of
// its control group. 0 = unknown.
func memory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	total := int64(uint64(info.Totalram) * uint64(info.Unit)) //nolint:unconvert // their types differ by architecture
	// Inside a container these are the container's own: versions 2 and 1.
	for _, name := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		if limit, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && limit > 0 {
			total = min(total, limit)
		}
	}
	return total
}

// roomyShm tells whether /dev/shm has room for parallel index builds, which
// share their memory there. Docker gives a container 64 MiB of it.
func roomyShm() bool {
	var fs unix.Statfs_t
	if err := unix.Statfs("/dev/shm", &fs); err != nil {
		return false
	}
	const needed = 1 << 30
	return uint64(fs.Bsize)*fs.Bavail >= needed
}

// commandLine is how a process was started, arguments separated by spaces; "" for
// one that does not run.
func commandLine(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return ""
	}
	return string(bytes.ReplaceAll(b, []byte{0}, []byte{' '}))
}
