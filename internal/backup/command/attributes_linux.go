package command

import "syscall"

// attributes: a group of its own, so that all of it can be ended, and SIGTERM when
// we die without a word.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
