package contents

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/basemanifest"
)

// fileSum is the checksum of a file in a tar.
type fileSum interface {
	io.Writer
	// into notes it in the file's entry; from is where the file's first byte is.
	into(e *Entry, from int64)
}

// contentHash is of files and configuration: nobody else has a checksum of them.
type contentHash struct{ hash.Hash }

func newContentHash() fileSum { return contentHash{sha256.New()} }

func (c contentHash) into(e *Entry, _ int64) { e.SHA256 = hex.EncodeToString(c.Sum(nil)) }

// pageSum is of base backups: what the server's own manifest has.
type pageSum struct{ crc uint32 }

func newPageSum() fileSum { return &pageSum{} }

// Write implements io.Writer.
func (p *pageSum) Write(b []byte) (int, error) {
	p.crc = basemanifest.Sum(p.crc, b)
	return len(b), nil
}

func (p *pageSum) into(e *Entry, from int64) { e.CRC32C, e.Offset = basemanifest.CRC32C(p.crc), from }
