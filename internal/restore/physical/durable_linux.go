package physical

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// syncFileSystem syncs the file system of a root. false: this kernel is older than
// 5.8, whose syncfs does not tell of data that could not be written.
func syncFileSystem(root *os.Root) (bool, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil || !atLeast(unix.ByteSliceToString(name.Release[:]), 5, 8) {
		return false, err
	}
	d, err := root.Open(".")
	if err != nil {
		return false, err
	}
	defer d.Close()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return false, &os.PathError{Op: "syncfs", Path: root.Name(), Err: err}
	}
	return true, nil
}

// atLeast compares the version of a kernel, such as 6.1.0-13-amd64.
func atLeast(release string, major, minor int) bool {
	parts := strings.FieldsFunc(release, func(r rune) bool { return r < '0' || r > '9' })
	if len(parts) < 2 {
		return false
	}
	a, errA := strconv.Atoi(parts[0])
	b, errB := strconv.Atoi(parts[1])
	return errA == nil && errB == nil && (a > major || a == major && b >= minor)
}
