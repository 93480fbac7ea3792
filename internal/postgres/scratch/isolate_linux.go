package scratch

import (
	"os"
	"syscall"
)

// isolations are the ways to a network namespace that has no interface but a
// loopback that is down. With the capability it takes no more than asking; others
// need a user namespace around it, in which the server's user is the only one.
// Sockets in the file system, such as the server's own, are reached all the same.
func isolations(a account) []isolation {
	const said = "it has a network namespace of its own without any interface"
	ways := []isolation{{true, said, func(attr *syscall.SysProcAttr) {
		attr.Cloneflags |= syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: int(a.uid), HostID: int(a.uid), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: int(a.gid), HostID: int(a.gid), Size: 1}}
	}}}
	if os.Getuid() == 0 {
		ways = append([]isolation{{true, said, func(attr *syscall.SysProcAttr) { attr.Cloneflags |= syscall.CLONE_NEWNET }}}, ways...)
	}
	return ways
}

// dieWithParent has the kernel signal a child when the thread that started it
// ends.
func dieWithParent(attr *syscall.SysProcAttr, sig syscall.Signal) { attr.Pdeathsig = sig }
