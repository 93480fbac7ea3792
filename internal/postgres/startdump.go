package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"
)

// StartDump opens a snapshot and starts pg_dump in it, and returns when pg_dump
// has its own locks and begins to write: Snapshot.Release may be called once the
// table of contents has arrived.
//
// Between the two, a TRUNCATE or ALTER of another session waits for the
// snapshot's lock, and pg_dump's lock request waits behind that one: a knot
// that the server's deadlock detection can not see, since the snapshot's session
// is idle. Letting go of the snapshot's locks would undo it by losing rows. So
// pg_dump's wait is short (DumpOptions.LockWait, here 5 s unless set), and then
// everything starts over with a new snapshot, after the other session had its turn.
//
// d.SnapshotID, Selection, ServerMajor and Encoding are filled in.
func StartDump(ctx context.Context, tools Tools, t Target, sel Selection, o SnapshotOptions, d DumpOptions) (*Snapshot, *Process, error) {
	if o.Attempts <= 0 {
		o.Attempts = 5
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	for attempt := 1; ; attempt++ {
		s, err := OpenSnapshot(ctx, t, sel, o)
		if err != nil {
			return nil, nil, err
		}
		d.SnapshotID, d.Selection, d.ServerMajor, d.Encoding = s.ID, sel, s.Server.Major, s.Server.Encoding
		p, err := Dump(ctx, tools, t, d)
		if err == nil {
			if err = p.waitOutput(); err == nil {
				return s, p, nil
			}
		}
		if lost := s.Release(); lost != nil {
			err = fmt.Errorf("%w: %w", lost, err) // then pg_dump only says that it knows no such snapshot
		}
		if !errors.Is(err, ErrLockTimeout) || attempt == o.Attempts || ctx.Err() != nil {
			return nil, nil, fmt.Errorf("dump of %s: %w", t, err)
		}
		o.Logger.InfoContext(ctx, "another session wants a table exclusively, starting over behind it", "attempt", attempt)
	}
}

// waitOutput returns nil when Stdout has something to read. When the program
// ends without a word it returns what Wait does; Stdout is then closed.
func (p *Process) waitOutput() error {
	f, ok := p.Stdout.(*os.File)
	if !ok {
		return errors.New("wait for output: not a pipe")
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return fmt.Errorf("wait for output of %s: %w", p.tool, err)
	}
	readable := false
	err = raw.Read(func(fd uintptr) bool {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, 0)
		readable = n > 0 && poll[0].Revents&unix.POLLIN != 0
		return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
	})
	if err == nil && readable {
		return nil
	}
	_ = p.Stdout.Close()
	if waitErr := p.Wait(); waitErr != nil {
		return waitErr
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%s wrote nothing: %w", p.tool, err)
}
