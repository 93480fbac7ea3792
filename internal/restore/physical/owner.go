package physical

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// owner is the user of the operating system whose data directory it is to be.
type owner struct{ uid, gid int }

func (o *owner) has(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == o.uid && int(stat.Gid) == o.gid
}

// credential is how a program is run as the owner; nil for this process's user.
func (o *owner) credential() *syscall.Credential {
	if o == nil {
		return nil
	}
	return &syscall.Credential{Uid: uint32(o.uid), Gid: uint32(o.gid)} //nolint:gosec // ids of users fit
}

// ownerFor is who a data directory is to belong to when this process is root, whom a
// server refuses to run as: the owner of the directory, or of the one it is made in,
// else the user postgres. For all others it is nil: what they make is theirs.
func ownerFor(dir string) (*owner, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, d := range []string{dir, filepath.Dir(dir)} {
		info, err := os.Stat(d)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		// What everybody may write into, such as /tmp, says nothing.
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 {
			return &owner{int(stat.Uid), int(stat.Gid)}, nil
		}
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("%w: directory %s is to be made by root, whom no server runs as, and there is no user postgres to give it to: make it first for the user that the server runs as (install -d -m 0700 -o USER %s)", ErrOptions, dir, dir)
	}
	uid, uidErr := strconv.Atoi(u.Uid)
	gid, gidErr := strconv.Atoi(u.Gid)
	return &owner{uid, gid}, errors.Join(uidErr, gidErr)
}

// make makes a directory that a server takes, with those above it that are missing, and
// gives all that it makes to the owner. One that is there gets its owner and mode.
func (o *owner) make(dir string) error {
	var missing []string
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, d)
	}
	for _, d := range slices.Backward(missing) {
		if err := os.Mkdir(d, 0o700); err != nil {
			return err
		}
		if o != nil {
			if err := os.Chown(d, o.uid, o.gid); err != nil {
				return err
			}
		}
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if o != nil && !o.has(info) {
		if err := os.Chown(dir, o.uid, o.gid); err != nil {
			return err
		}
	}
	if mode := info.Mode().Perm(); mode != 0o700 && mode != 0o750 {
		return os.Chmod(dir, 0o700)
	}
	return nil
}

// own gives a file or directory to the owner.
func (o *owner) own(path string) error {
	if o == nil {
		return nil
	}
	return os.Chown(path, o.uid, o.gid)
}
