package physical

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const privatePrefix = "pgbackup-recover-"

// privateDirectory makes the directory of a private server. It is locked for as long as
// this process lives: one that can be locked is of a process that was killed.
func privateDirectory() (dir string, unlock func(), err error) {
	const tries = 10
	for range tries {
		if dir, err = os.MkdirTemp("", privatePrefix); err != nil {
			return "", nil, err
		}
		// Until it is locked another restore may take it for one that was left.
		unlock, free, err := lock(dir)
		if err == nil && free {
			if _, err = os.Lstat(dir); err == nil {
				return dir, unlock, nil
			}
			unlock()
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	return "", nil, fmt.Errorf("directories that are made in %s are taken away at once", os.TempDir())
}

// remove takes the directory away.
func (p *private) remove() error {
	err := os.RemoveAll(p.dir)
	p.unlock()
	return err
}

// clearPrivate removes the directories of private servers whose processes were killed.
// Others may write into the folder of temporary files too: only what is this user's, or
// the server's, and no link is taken. What does not work is left to the next time.
func (r *restore) clearPrivate() {
	found, err := filepath.Glob(filepath.Join(os.TempDir(), privatePrefix+"*"))
	if err != nil || !canLock {
		return
	}
	for _, dir := range found {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || !r.ours(info) {
			continue
		}
		unlock, free, err := lock(dir)
		if err != nil || !free {
			continue
		}
		// Where nothing ends a server with its parent, it may still run.
		if !listening(filepath.Join(dir, socketName(privatePort))) {
			if err := os.RemoveAll(dir); err == nil {
				r.Log.Info("removed what a restore left that was killed", "directory", dir)
			}
		}
		unlock()
	}
}

// ours tells whether a file is this user's, or the restored server's.
func (r *restore) ours(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && (int(stat.Uid) == os.Geteuid() || r.owner != nil && int(stat.Uid) == r.owner.uid)
}

// socketName is the file of a server's socket in its directory.
func socketName(port int) string { return ".s.PGSQL." + strconv.Itoa(port) }

// listening tells whether somebody takes connections at a socket.
func listening(socket string) bool {
	conn, err := net.DialTimeout("unix", socket, 5*time.Second)
	if err != nil {
		return errors.Is(err, syscall.EACCES) || errors.Is(err, os.ErrDeadlineExceeded)
	}
	_ = conn.Close() // nothing was said
	return true
}
