package pgarchive

import (
	"bytes"
	"errors"
	"fmt"
)

// Errors for errors.Is. What is returned adds where and why.
var (
	// ErrTruncated: the archive ends before its end.
	ErrTruncated = errors.New("archive is cut short")
	// ErrNotArchive: the stream does not begin as a custom-format archive.
	ErrNotArchive = errors.New("not a pg_dump custom-format archive")
	// ErrUnsupportedVersion: a format version or a compression not read here.
	ErrUnsupportedVersion = errors.New("unsupported archive")
	// ErrCorrupt: the structure is wrong; the text has offset and entry.
	ErrCorrupt = errors.New("archive is damaged")
)

// notArchive says what the stream looks like instead.
func notArchive(head []byte) error {
	hint := "it does not begin with PGDMP"
	switch {
	case len(head) == 0:
		hint = "it is empty"
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		hint = "it is gzip: gunzip it first"
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		hint = "it is zstd: decompress it first"
	case bytes.HasPrefix(head, []byte("toc.d")):
		hint = "it is a tar archive of pg_dump (-Ft)"
	case bytes.HasPrefix(head, []byte("--")) || bytes.HasPrefix(head, []byte("\n--")) || bytes.HasPrefix(head, []byte("SET ")):
		hint = "it is plain SQL: run it with psql"
	case bytes.HasPrefix(head, []byte("Salte")):
		hint = "it is encrypted by openssl"
	}
	return fmt.Errorf("%w: %s", ErrNotArchive, hint)
}

func (v Version) String() string { return fmt.Sprintf("%d.%d-%d", v.Major, v.Minor, v.Rev) }

func (c Compression) String() string {
	names := [...]string{"none", "gzip", "lz4", "zstd"}
	if c >= 0 && int(c) < len(names) {
		return names[c]
	}
	return fmt.Sprintf("compression %d", int(c))
}

// String names the entry as pg_restore --list does, for messages.
func (e *Entry) String() string {
	name := e.Tag
	if e.Namespace != "" {
		name = e.Namespace + "." + e.Tag
	}
	return fmt.Sprintf("%s %s (entry %d)", e.Desc, name, e.DumpID)
}
