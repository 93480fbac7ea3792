package physical

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/basemanifest"
)

// block of a tar in bytes.
const block = 512

// tablespaces is the directory of the links to tablespaces.
const tablespaces = "pg_tblspc"

// relay turns the tars that a server sends, one a tablespace, into the one tar of a
// point: entries of tablespaces come below pg_tblspc/<oid>/, the links there are left
// out, and it ends once. All other bytes pass as they are, summed up on the way.
//
//	header ─> entry ─> bytes (CRC-32C) ─> padding ─> … ─> two blocks of zeros
//
// The server's tars have no other headers than these: ustar, and the size of a file
// beyond 8 GiB in GNU's form.
type relay struct {
	to   io.Writer // the stream of the point
	list func(contents.Entry) error
	seen *basemanifest.Seen

	at     int64  // bytes written
	below  string // pg_tblspc/16385, "" for the data directory
	fresh  bool   // the directory below has no entry yet: it is in none of the server's tars
	head   [block]byte
	filled int   // of head
	left   int64 // of the open file
	pad    int64 // after it
	zeros  int   // blocks since the last entry
	crc    uint32
	entry  contents.Entry // of the open file
	owner  [2]int         // uid and gid of the last entry
}

// begin is called before each tar; below is where its entries go.
func (r *relay) begin(below string) { r.below, r.zeros, r.fresh = below, 0, below != "" }

// end is called after each tar.
func (r *relay) end() error {
	if r.left > 0 || r.pad > 0 || r.filled > 0 || r.zeros < 2 {
		return fmt.Errorf("the server's tar ended in the middle of %q", r.entry.Path)
	}
	return nil
}

// Write takes the next bytes of a tar of the server.
func (r *relay) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		var n int
		var err error
		switch {
		case r.left > 0:
			n, err = r.body(p)
		case r.pad > 0:
			n = int(min(r.pad, int64(len(p))))
			r.pad -= int64(n)
			err = r.pass(p[:n])
		default:
			n = copy(r.head[r.filled:], p)
			if r.filled += n; r.filled == block {
				r.filled = 0
				err = r.header()
			}
		}
		if err != nil {
			return total - len(p), err
		}
		p = p[n:]
	}
	return total, nil
}

func (r *relay) pass(p []byte) error {
	n, err := r.to.Write(p)
	r.at += int64(n)
	return err
}

func (r *relay) body(p []byte) (int, error) {
	n := int(min(r.left, int64(len(p))))
	r.crc = basemanifest.Sum(r.crc, p[:n])
	if err := r.pass(p[:n]); err != nil {
		return 0, err
	}
	if r.left -= int64(n); r.left == 0 {
		return n, r.ended()
	}
	return n, nil
}

// ended is called after the last byte of a file.
func (r *relay) ended() error {
	r.entry.CRC32C = basemanifest.CRC32C(r.crc)
	r.pad = -r.entry.Size & (block - 1)
	r.seen.Add(r.entry.Path, r.entry.Size, r.crc)
	return r.list(r.entry)
}

var zeroBlock [block]byte

// header takes the block in head.
func (r *relay) header() error {
	if r.head == zeroBlock {
		r.zeros++
		return nil
	}
	if r.zeros > 0 {
		return fmt.Errorf("the server's tar goes on after its end, after %q", r.entry.Path)
	}
	// As every reader of the tar will understand it, and no other way.
	h, err := tar.NewReader(bytes.NewReader(r.head[:])).Next()
	if err != nil {
		return fmt.Errorf("the server's tar can not be understood after %q: %w", r.entry.Path, err)
	}
	if strings.HasPrefix(h.Name, "./") { // pg_wal and what is in it, of some versions
		h.Name = h.Name[2:]
		copy(r.head[:100], append(bytes.Clone(r.head[2:100]), 0, 0))
		r.sum()
	}
	name := strings.TrimSuffix(h.Name, "/")
	if name == "" || path.IsAbs(name) || path.Clean(name) != name || name == ".." || strings.HasPrefix(name, "../") {
		return fmt.Errorf("the server sent a file %.200q, which is not in its data directory", h.Name)
	}
	switch {
	case h.Typeflag == tar.TypeSymlink && r.below == "" && path.Dir(name) == tablespaces:
		return nil // the manifest says where it leads
	case h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir:
		return fmt.Errorf("the server sent %q of type %q, and a data directory has files and directories", name, h.Typeflag)
	}
	if r.fresh {
		r.fresh = false
		dir := &tar.Header{Typeflag: tar.TypeDir, Name: r.below + "/", Mode: 0o700, ModTime: h.ModTime, Format: tar.FormatUSTAR, Uid: h.Uid, Gid: h.Gid}
		if err := r.add(dir, nil); err != nil {
			return err
		}
	}
	if r.below != "" {
		if err := r.rehead(); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
		h.Name = r.below + "/" + h.Name
	}
	return r.opened(h, r.head[:])
}

// rehead puts the entry in head below r.below. ustar has a field for what comes before
// a name, which the server never uses: a name of any length fits.
func (r *relay) rehead() error {
	prefix := r.head[345:500]
	if prefix[0] != 0 || len(r.below) > len(prefix) || string(r.head[257:262]) != "ustar" {
		return fmt.Errorf("its header has no room for the tablespace's directory")
	}
	copy(prefix, r.below)
	r.sum()
	return nil
}

// sum computes the checksum of a header that was changed.
func (r *relay) sum() {
	field := r.head[148:156]
	copy(field, "        ")
	sum := 0
	for _, b := range r.head {
		sum += int(b)
	}
	copy(field, fmt.Sprintf("%06o\x00 ", sum))
}

// opened passes a header on and begins its entry.
func (r *relay) opened(h *tar.Header, raw []byte) error {
	if err := r.pass(raw); err != nil {
		return err
	}
	r.entry, r.owner = contents.Of(h, ""), [2]int{h.Uid, h.Gid}
	if h.Typeflag != tar.TypeReg {
		return r.list(r.entry)
	}
	r.entry.Offset, r.left, r.crc = r.at, h.Size, 0
	if h.Size == 0 {
		return r.ended()
	}
	return nil
}

// add adds an entry of ours, of h.Size bytes from body.
func (r *relay) add(h *tar.Header, body io.Reader) error {
	var raw bytes.Buffer
	if err := tar.NewWriter(&raw).WriteHeader(h); err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	if raw.Len() != block {
		return fmt.Errorf("%s: a header of %d bytes", h.Name, raw.Len())
	}
	if err := r.opened(h, raw.Bytes()); err != nil || h.Size == 0 {
		return err
	}
	n, err := io.Copy(r, body)
	if err == nil && n != h.Size {
		err = fmt.Errorf("%s: %d bytes instead of %d", h.Name, n, h.Size)
	}
	if err == nil && r.pad > 0 {
		_, err = r.Write(zeroBlock[:r.pad])
	}
	return err
}

// close adds the manifest of the server as the last file, and ends the tar.
func (r *relay) close(manifest io.Reader, size int64, now time.Time) error {
	r.below = ""
	h := &tar.Header{Typeflag: tar.TypeReg, Name: basemanifest.Name, Mode: 0o600, Size: size, ModTime: now.Truncate(time.Second), Format: tar.FormatUSTAR, Uid: r.owner[0], Gid: r.owner[1]}
	if err := r.add(h, manifest); err != nil {
		return err
	}
	return r.pass(make([]byte, 2*block))
}

// belowOf is where the files of a tablespace go.
func belowOf(oid uint32) string { return tablespaces + "/" + strconv.FormatUint(uint64(oid), 10) }
