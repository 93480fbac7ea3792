package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// fail words an error of operation op on key and gives it its type.
func (s *Store) fail(op, key string, err error) error {
	err = classify(err)
	// A missing file may mean that the whole directory went away: an unmounted
	// disk must not pass for an empty repository.
	if errors.Is(err, objstore.ErrNotFound) {
		if _, serr := os.Stat(s.path); errors.Is(serr, fs.ErrNotExist) {
			return fmt.Errorf("%s %s: %w: %s is gone; mount or create it", op, key, objstore.ErrNoBucket, s.path)
		}
	}
	where := " in " + s.path
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		where = ""
	}
	return fmt.Errorf("%s %s%s: %w", op, key, where, err)
}

// classify puts the port's error in front of what the system said.
func classify(err error) error {
	for _, c := range []struct {
		is   error
		kind error
		hint string
	}{
		{syscall.ENOSPC, objstore.ErrNoSpace, "free some space or point the repository at a larger disk"},
		{syscall.EDQUOT, objstore.ErrNoSpace, "raise the quota of the user that runs this"},
		{syscall.EFBIG, objstore.ErrNoSpace, "raise the file size limit (ulimit -f)"},
		{syscall.EROFS, objstore.ErrDenied, "the file system is mounted read-only"},
		{fs.ErrPermission, objstore.ErrDenied, "give the user that runs this read and write permission"},
		{syscall.ESTALE, objstore.ErrTransient, "the network share changed under us"},
		{syscall.EINTR, objstore.ErrTransient, "interrupted"},
		{fs.ErrNotExist, objstore.ErrNotFound, ""},
		{syscall.ENOTDIR, objstore.ErrNotFound, ""},
		{errIsFolder, objstore.ErrNotFound, ""},
	} {
		if !errors.Is(err, c.is) || errors.Is(err, c.kind) {
			continue
		}
		if c.hint == "" {
			return c.kind // "no such file" says nothing more
		}
		return fmt.Errorf("%w: %s (%w)", c.kind, c.hint, reason(err))
	}
	return err
}

// reason strips the file names of temporary files from a system error.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	var l *os.LinkError
	if errors.As(err, &l) {
		return l.Err
	}
	return err
}
