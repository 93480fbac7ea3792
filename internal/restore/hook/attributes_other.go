//go:build unix && !linux

package hook

import (
	"os/exec"
	"syscall"
)

// attributes: a group of its own, so that all of it can be ended.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

func start(cmd *exec.Cmd) error { return cmd.Run() }
