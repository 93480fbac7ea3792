package scratch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	dirPrefix    = "pgbackup-scratch-"
	socketPrefix = "pgbackup-socket-"
	// lockName is a file that a living runner has locked. The kernel releases the
	// lock when the runner dies, whatever it dies of.
	lockName = "runner.lock"
	// maxSocketPath bounds the path of a Unix socket in bytes: 108 with the final
	// zero on Linux, 104 elsewhere.
	maxSocketPath = 103
)

// makeDirectories makes the server's directory below parent, locked as ours, and
// one for the socket, which may have to be elsewhere.
func (c *Cluster) makeDirectories(parent string) (err error) {
	if parent == "" {
		parent = os.TempDir()
	}
	if parent, err = filepath.Abs(parent); err != nil {
		return err
	}
	if err := c.user.reaches(parent); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.removeDirectories())
		}
	}()
	if c.dir, err = os.MkdirTemp(parent, dirPrefix); err != nil {
		return err
	}
	if c.lock, err = takeLock(c.dir); err != nil {
		return err
	}
	if err := os.Mkdir(c.data(), 0o700); err != nil {
		return err
	}
	if err := c.user.own(c.data()); err != nil {
		return err
	}
	if c.socketDir, err = c.makeSocketDir(); err != nil {
		return err
	}
	return c.user.own(c.dir)
}

// makeSocketDir makes the directory of the socket: in the server's own, or where
// that has too long a name in a place with a short one, under a name that Sweep
// can tell from the server's directory.
func (c *Cluster) makeSocketDir() (string, error) {
	own := filepath.Join(c.dir, "s")
	if fits(own) {
		if err := os.Mkdir(own, 0o700); err != nil {
			return "", err
		}
		return own, c.user.own(own)
	}
	var errs []error
	for _, dir := range socketDirsElsewhere(c.dir) {
		if !fits(dir) {
			continue
		}
		if err := errors.Join(c.user.reaches(filepath.Dir(dir)), os.Mkdir(dir, 0o700)); err != nil {
			errs = append(errs, err)
			continue
		}
		return dir, c.user.own(dir)
	}
	return "", fmt.Errorf("the path of a Unix socket may have %d bytes, %s is too long for one, and no shorter directory would do: %w", maxSocketPath, own, errors.Join(errs...))
}

func fits(socketDir string) bool {
	return len(filepath.Join(socketDir, fmt.Sprintf(".s.PGSQL.%d.lock", port))) <= maxSocketPath
}

// socketDirsElsewhere lists where the socket of the server in dir may be.
func socketDirsElsewhere(dir string) []string {
	name := socketPrefix + strings.TrimPrefix(filepath.Base(dir), dirPrefix)
	var dirs []string
	for _, place := range []string{os.TempDir(), "/tmp", "/var/tmp", "/dev/shm"} {
		dirs = append(dirs, filepath.Join(place, name))
	}
	return dirs
}

// takeLock locks a directory as this process's until it ends. The file is locked
// before it gets its name: nobody ever sees it unlocked.
func takeLock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName+".new"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, lockName)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// abandoned tells whether the runner that made a directory is gone. A directory
// without a lock file is being made, or was made by something else: hold of it is
// never taken. The file that is returned keeps other sweepers away.
func abandoned(dir string) (*os.File, bool) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, false
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // somebody else has it
		return nil, false
	}
	return f, true
}
