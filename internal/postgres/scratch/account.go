package scratch

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the user of the operating system that the server runs as.
type account struct {
	name       string
	uid, gid   uint32
	credential *syscall.Credential // nil = this process's
	said       string              // about what this user can reach
}

// accounts lists whom a server may run as when this process is root, which a
// server refuses to run as; nil for all others.
func accounts() []account {
	if os.Getuid() != 0 {
		return nil
	}
	var list []account
	// nobody first: what is restored can run programs as this user, and a server that
	// runs as postgres, wherever its socket is, takes postgres for its administrator.
	for _, name := range []string{"nobody", "postgres"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if errors.Join(uidErr, gidErr) != nil || uid == 0 {
			continue
		}
		list = append(list, account{
			name: name, uid: uint32(uid), gid: uint32(gid),
			credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)},
		})
	}
	return list
}

// chooseAccount prefers a user that no server of this machine runs as: such a
// server usually takes that user for its administrator when it comes through the
// socket (peer authentication), and what is restored could do so.
func chooseAccount() (account, error) {
	if os.Getuid() != 0 {
		return account{uid: uint32(os.Getuid()), gid: uint32(os.Getgid())}.about(), nil
	}
	list := accounts()
	if len(list) == 0 {
		return account{}, errors.New("start a scratch server: PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody; make one: useradd --system postgres")
	}
	for _, a := range list {
		if neighbour(a.uid) == "" {
			return a.about(), nil
		}
	}
	return list[0].about(), nil
}

func (a account) about() account {
	if a.name != "" {
		a.said = "it runs as user " + a.name
	}
	if socket := neighbour(a.uid); socket != "" {
		a.said = fmt.Sprintf("it runs as the user of another server of this machine, and could reach that through its socket %s", socket)
	}
	return a
}

// neighbour is the socket of another server that runs as a user, where servers
// put it by default.
func neighbour(uid uint32) string {
	for _, dir := range []string{"/run/postgresql", "/var/run/postgresql", "/tmp"} {
		sockets, _ := filepath.Glob(filepath.Join(dir, ".s.PGSQL.*")) // only fails for a bad pattern
		for _, socket := range sockets {
			if info, err := os.Lstat(socket); err != nil || info.Mode()&os.ModeSocket == 0 {
				continue
			}
			if owner, ok := ownerOf(socket); ok && owner == uid {
				return socket
			}
		}
	}
	return ""
}

// own gives a file or directory to the account.
func (a account) own(path string) error {
	if a.credential == nil {
		return nil
	}
	if err := os.Chown(path, int(a.uid), int(a.gid)); err != nil {
		return fmt.Errorf("give %s to user %s: %w", path, a.name, err)
	}
	return nil
}

// reaches holds that the account may enter a directory and all above it.
func (a account) reaches(dir string) error {
	if a.credential == nil {
		return nil
	}
	for d := dir; ; d = filepath.Dir(d) {
		info, err := os.Stat(d)
		if err != nil {
			return err
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		mode := info.Mode().Perm()
		enters := mode&0o001 != 0 || ok && (stat.Uid == a.uid && mode&0o100 != 0 || stat.Uid != a.uid && stat.Gid == a.gid && mode&0o010 != 0)
		if !enters {
			return fmt.Errorf("the server runs as user %s, who may not enter %s; name a directory that everybody may enter, or chmod o+x it", a.name, d)
		}
		if d == filepath.Dir(d) {
			return nil
		}
	}
}
