package hook

import (
	"os/exec"
	"runtime"
	"syscall"
)

// attributes: a group of its own, so that all of it can be ended, and SIGTERM when
// we die without a word.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// start runs the command to its end on one thread: the kernel's "parent died" means
// the thread that started it.
func start(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return cmd.Run()
}
