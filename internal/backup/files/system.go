package files

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// kindOf is the type of a file as stat tells it.
func kindOf(st *unix.Stat_t) uint32 {
	return uint32(st.Mode) & unix.S_IFMT //nolint:unconvert // on macOS it has 16 bits
}

// deviceOf is the file system that a file is on.
func deviceOf(st *unix.Stat_t) uint64 {
	return uint64(st.Dev) //nolint:unconvert // on macOS it has 32 bits
}

func openDir(at int, name string, flags int) (*os.File, error) {
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func openat(at int, name string) (*os.File, error) {
	fd, err := unix.Openat(at, name, openFlags, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// header is what all types of entries have. Names of users and groups are left
// out: they are another machine's, the numbers are what the file system has.
func header(p string, st *unix.Stat_t, kind byte) *tar.Header {
	name := strings.TrimPrefix(p, "/")
	if kind == tar.TypeDir {
		name += "/"
	}
	return &tar.Header{
		Typeflag: kind, Name: name, Mode: int64(st.Mode) & 0o7777, Uid: int(st.Uid), Gid: int(st.Gid),
		ModTime: time.Unix(st.Mtim.Unix()).UTC(),
	}
}

// attributePrefix is how tar programs name extended attributes in PAX records.
const attributePrefix = "SCHILY.xattr."

// kept are the extended attributes that mean the same on another machine.
var kept = []string{"user.", "security.capability", "system.posix_acl_"}

// attributes reads the extended attributes of an open file, ACLs among them. A
// file system without them has none.
func attributes(f *os.File) map[string]string {
	size, err := unix.Flistxattr(int(f.Fd()), nil)
	if err != nil || size == 0 {
		return nil
	}
	names := make([]byte, size)
	if size, err = unix.Flistxattr(int(f.Fd()), names); err != nil {
		return nil
	}
	var records map[string]string
	for name := range strings.SplitSeq(strings.TrimRight(string(names[:size]), "\x00"), "\x00") {
		if !keeps(name) {
			continue
		}
		value := make([]byte, 64<<10) // the most that Linux stores
		n, err := unix.Fgetxattr(int(f.Fd()), name, value)
		if err != nil {
			continue // it was removed meanwhile, or is not for us to see
		}
		if records == nil {
			records = map[string]string{}
		}
		records[attributePrefix+name] = string(value[:n])
	}
	return records
}

func keeps(name string) bool {
	for _, prefix := range kept {
		if strings.HasPrefix(name, prefix) && !strings.Contains(name, "=") {
			return true
		}
	}
	return false
}

// exactly reads the bytes that the tar's header has announced: of a file that grew
// meanwhile those it had, and zeros for those of one that was cut.
type exactly struct {
	f     io.Reader
	left  int64
	short int64 // bytes that were no more there
}

func (e *exactly) Read(b []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), e.left)]
	n := 0
	var err error
	if e.short == 0 {
		n, err = e.f.Read(b)
	}
	if errors.Is(err, io.EOF) || e.short > 0 {
		clear(b)
		n, err = len(b), nil
		e.short += int64(n)
	}
	e.left -= int64(n)
	return n, err
}
