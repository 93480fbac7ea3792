package postgres

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// childAttributes: a group of its own, so that Ctrl-C on a terminal reaches it
// through us only, and SIGTERM when we die without a word.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// widenPipe asks for 1 MiB instead of 64 KiB: fewer switches between the two
// sides. Where the limit for users is lower the pipe stays as it is.
func widenPipe(f *os.File) {
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	// Not through f.Fd(), which would make the file blocking.
	_ = raw.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, 1<<20) })
}
