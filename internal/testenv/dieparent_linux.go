package testenv

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel end the child when the test binary dies without
// running its cleanups (a panic in another goroutine, a timeout, Ctrl-C twice).
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
