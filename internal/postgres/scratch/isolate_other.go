//go:build !linux

package scratch

import "syscall"

// isolations: network namespaces are Linux's.
func isolations(account) []isolation { return nil }

// dieWithParent: no other system tells a child. Sweep ends what is left.
func dieWithParent(*syscall.SysProcAttr, syscall.Signal) {}
