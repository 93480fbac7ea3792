// Package spool opens the directories of this machine in which the commands of WAL keep
// things: notes on what is stored already, segments that were fetched ahead, and what was
// received and is not stored yet.
//
// What lives here: where such a directory is, and that nobody else can have written
// into it. What must not: what is kept in it.
package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// ErrUnsafe: somebody else could write into the directory, or put another in its place.
// What is read from there would be believed: a note that a segment is stored makes a
// server remove it.
var ErrUnsafe = errors.New("not safe")

// Default is the directory where none is said: below the state directory of the user
// who runs this, or below the system's temporary one for a user without a home.
func Default() string {
	for _, home := range []struct{ variable, below string }{{"XDG_STATE_HOME", "pgbackup"}, {"HOME", ".local/state/pgbackup"}} {
		if at := os.Getenv(home.variable); filepath.IsAbs(at) && writable(at) {
			return filepath.Join(at, home.below)
		}
	}
	return filepath.Join(os.TempDir(), "pgbackup-"+strconv.Itoa(os.Geteuid()))
}

// Open opens the directory name in the spool at path, and makes both where they are not
// there. ErrUnsafe when either is a symbolic link, is not owned by this user, or may be
// written by others; the inner one is closed to all others.
func Open(path, name string) (*os.Root, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("the spool %q is no absolute path: give --spool /directory", path)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make the spool: %w", err)
	}
	outer, err := open(path, 0o022)
	if err != nil {
		return nil, err
	}
	defer func() { _ = outer.Close() }()
	if err := outer.MkdirAll(name, 0o700); err != nil {
		return nil, fmt.Errorf("make the spool %s: %w", filepath.Join(path, name), err)
	}
	return open(filepath.Join(path, name), 0o077)
}

// open opens a directory that is this user's, and of which others have none of the
// rights. What is looked at is the directory that was opened, whatever has its name by
// now.
func open(path string, others os.FileMode) (*os.Root, error) {
	named, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("open the spool: %w", err)
	}
	if !named.IsDir() {
		return nil, fmt.Errorf("the spool %s is %w: it is no directory (%s); remove it, or name the directory itself", path, ErrUnsafe, named.Mode().Type())
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("open the spool: %w", err)
	}
	info, err := root.Stat(".")
	switch {
	case err != nil:
		err = fmt.Errorf("open the spool %s: %w", path, err)
	case !os.SameFile(named, info):
		err = fmt.Errorf("the spool %s is %w: it was replaced at this moment", path, ErrUnsafe)
	case !ours(info):
		err = fmt.Errorf("the spool %s is %w: it belongs to another user than the one who runs this (uid %d); give another directory, or chown it", path, ErrUnsafe, os.Geteuid())
	case info.Mode().Perm()&others != 0:
		err = fmt.Errorf("the spool %s is %w: its mode is %04o, which lets other users in; run: chmod 0700 %[1]s, after a look at what is in it", path, ErrUnsafe, info.Mode().Perm())
	}
	if err != nil {
		_ = root.Close()
		return nil, err
	}
	return root, nil
}
