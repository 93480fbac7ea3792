package unpack

import (
	"archive/tar"
	"crypto/rand"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// besides is a name in the same directory that nobody has.
func besides(name string) string {
	return path.Join(path.Dir(name), ".pgbackup-"+rand.Text())
}

// properties sets owner, rights and extended attributes of an open file. The owner
// comes first: giving a file away takes its setuid bit.
func (u *unpacking) properties(f *os.File, h *tar.Header) error {
	mode := fs.FileMode(h.Mode & 0o777)
	if h.Mode&unix.S_ISVTX != 0 {
		mode |= fs.ModeSticky
	}
	if u.owner {
		if err := f.Chown(h.Uid, h.Gid); err != nil {
			return err
		}
		// A program that runs with its owner's rights, only as that owner's.
		if h.Mode&unix.S_ISUID != 0 {
			mode |= fs.ModeSetuid
		}
		if h.Mode&unix.S_ISGID != 0 {
			mode |= fs.ModeSetgid
		}
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	return u.attributes(f, h)
}

// attributePrefix is how tar programs name extended attributes in PAX records.
const attributePrefix = "SCHILY.xattr."

// attributes sets extended attributes, ACLs among them. A file system that has
// none is worth a warning and no more.
func (u *unpacking) attributes(f *os.File, h *tar.Header) error {
	var names []string
	for key := range h.PAXRecords {
		if name, ok := strings.CutPrefix(key, attributePrefix); ok && u.sets(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		err := unix.Fsetxattr(int(f.Fd()), name, []byte(h.PAXRecords[attributePrefix+name]), 0)
		if err != nil && !u.noted {
			u.noted = true
			u.warnings = append(u.warnings, fmt.Sprintf("extended attributes could not be set, first %s of %s: %v", name, h.Name, err))
		}
	}
	return nil
}

// sets: what gives rights beyond the file's own only comes with its owner.
func (u *unpacking) sets(name string) bool {
	return strings.HasPrefix(name, "user.") || strings.HasPrefix(name, "system.posix_acl_") || name == "security.capability" && u.owner
}
