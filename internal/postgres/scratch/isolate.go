package scratch

import (
	"context"
	"errors"
	"os/exec"
	"syscall"
)

// isolation is a way to keep a process off the network.
type isolation struct {
	network bool // it does
	said    string
	change  func(*syscall.SysProcAttr)
}

func (i isolation) apply(attr *syscall.SysProcAttr) {
	if i.change != nil {
		i.change(attr)
	}
}

// chooseIsolation takes the first way that this system lets us go. Containers
// without privileges forbid them all; then that is said.
func (c *Cluster) chooseIsolation(ctx context.Context, ways []isolation) isolation {
	why := "this system offers no network namespaces"
	for _, way := range ways {
		cmd := c.command(ctx, "postgres", "--version")
		way.apply(cmd.SysProcAttr)
		err := cmd.Run()
		if err == nil {
			return way
		}
		why = "a network namespace of its own was refused: " + reasonOf(err)
	}
	return isolation{said: "nothing keeps it off the network (" + why + "): what is restored could open connections"}
}

// reasonOf leaves out which program could not be started: it is not its fault.
func reasonOf(err error) string {
	var errno syscall.Errno
	var exit *exec.ExitError
	switch {
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &exit):
		return exit.String()
	}
	return err.Error()
}
