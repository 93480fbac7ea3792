//go:build !linux

package physical

import "syscall"

// dieWithParent: no other system tells a child.
func dieWithParent(*syscall.SysProcAttr) {}
