package contents

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"strings"
	"time"
)

// Types of an Entry.
const (
	TypeFile     = "file"
	TypeDir      = "directory"
	TypeSymlink  = "symlink"
	TypeHardLink = "hardlink" // another name of an earlier file
)

// Entry is one line of the list: what the tar holds under a name.
type Entry struct {
	Path     string    `json:"path"` // relative: /etc/hosts is etc/hosts
	Type     string    `json:"type"`
	Mode     int64     `json:"mode"` // permission bits with setuid, setgid and sticky, as tar has them
	UID      int       `json:"uid"`
	GID      int       `json:"gid"`
	Modified time.Time `json:"modified"`
	Size     int64     `json:"size"`
	SHA256   string    `json:"sha256,omitempty"` // of a file's bytes, hex; not of a base backup's
	// CRC32C of a file's bytes as backup_manifest writes it: see basemanifest.CRC32C.
	// Of base backups alone, as is Offset.
	CRC32C string `json:"crc32c,omitempty"`
	// Offset of the file's first byte in the plain tar.
	Offset int64  `json:"offset,omitempty"`
	Link   string `json:"link,omitempty"` // where a symlink leads, or the path of the file a hard link names
}

// Of describes a header of a tar of ours; sum is the SHA-256 of a file's bytes,
// hex.
func Of(h *tar.Header, sum string) Entry {
	e, _ := entry(h)
	e.SHA256 = sum
	return e
}

// entry describes a header. false: of a type that no tar of ours has.
func entry(h *tar.Header) (Entry, bool) {
	e := Entry{Path: strings.TrimSuffix(h.Name, "/"), Mode: h.Mode, UID: h.Uid, GID: h.Gid, Modified: h.ModTime.UTC()}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return e, false // a few bytes that claim to be a file of any size
		}
	}
	switch h.Typeflag {
	case tar.TypeReg:
		e.Type, e.Size = TypeFile, h.Size
	case tar.TypeDir:
		e.Type = TypeDir
	case tar.TypeSymlink:
		e.Type, e.Link = TypeSymlink, h.Linkname
	case tar.TypeLink:
		e.Type, e.Link = TypeHardLink, h.Linkname
	default:
		return e, false
	}
	return e, true
}

// Digest sums up a list line by line, so that two lists of any length can be
// compared.
type Digest struct {
	sum   hash.Hash
	Count int64 // entries
	Files int64 // of them files
	Bytes int64 // in files
}

// NewDigest is that of an empty list.
func NewDigest() *Digest { return &Digest{sum: sha256.New()} }

// Add adds an entry and returns its line.
func (d *Digest) Add(e Entry) ([]byte, error) {
	line, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	line = append(line, '\n')
	d.sum.Write(line)
	d.Count++
	if e.Type == TypeFile {
		d.Files++
		d.Bytes += e.Size
	}
	return line, nil
}

// String is the SHA-256 of all lines, hex.
func (d *Digest) String() string { return hex.EncodeToString(d.sum.Sum(nil)) }
