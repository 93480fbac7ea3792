package foreign

import (
	"bytes"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/foreign/openssl"
)

// Format of a dump, once everything around it is taken off.
type Format string

// Formats that are read.
const (
	SQL       Format = "plain SQL"
	SQLOfAll  Format = "plain SQL of pg_dumpall"
	Custom    Format = "custom archive"    // pg_dump -Fc
	Tar       Format = "tar archive"       // pg_dump -Ft
	Directory Format = "directory archive" // pg_dump -Fd, as a folder
	TarFolder Format = "tar of a directory archive"
)

// headSize is how many bytes from its beginning tell what a stream is.
const headSize = 4 << 10

// wrapping is what a dump may be in.
type wrapping string

const (
	wrapGzip    wrapping = "gzip"
	wrapZstd    wrapping = "zstd"
	wrapBzip2   wrapping = "bzip2"
	wrapOpenSSL wrapping = "openssl enc"
	wrapBase64  wrapping = "base64"
)

var (
	archiveMagic = []byte("PGDMP")
	utf8Mark     = []byte("\xef\xbb\xbf")
	// base64Magic is what openssl.Magic looks like after openssl enc -a.
	base64Magic = []byte("U2FsdGVkX1")
)

const (
	archiveFormat = 10 // offset of the format byte in the head of an archive
	formatCustom  = 1
	formatTar     = 3 // also in the toc.dat of a directory

	tarName  = 100 // bytes of the name at the beginning of a tar
	tarOwner = 108 // offset of the numbers of user and group
	tarMagic = 257 // offset of "ustar"
	tarBlock = 512
)

var wrappings = []struct {
	magic string
	is    wrapping
}{
	{"\x1f\x8b\x08", wrapGzip}, {"\x28\xb5\x2f\xfd", wrapZstd}, {openssl.Magic, wrapOpenSSL}, {string(base64Magic), wrapBase64},
}

// refused are things that people have and that are not read, with what to do.
var refused = []struct{ magic, why string }{
	{"\xfd7zXZ\x00", "it is compressed with xz: unpack it with `xz -d` first"},
	{"\x04\x22\x4d\x18", "it is compressed with lz4: unpack it with `lz4 -d` first"},
	{"\x1f\x9d", "it is compressed with compress: unpack it with `uncompress` first"},
	{"PK\x03\x04", "it is a ZIP archive: unpack it first"},
	{"7z\xbc\xaf\x27\x1c", "it is a 7z archive: unpack it first"},
	{"age-encryption.org/", "it is encrypted with age: decrypt it first"},
	{"-----BEGIN PGP MESSAGE", "it is encrypted with PGP: decrypt it with `gpg -d` first"},
	{"\xff\xfe", "it is UTF-16, as PowerShell's > writes it: pg_dump --file=… writes it as it is; or turn it into UTF-8 first"},
	{"\xfe\xff", "it is UTF-16: turn it into UTF-8 first"},
	{"<!DOCTYPE", "it is a page of a web server, perhaps its word for not being allowed"},
	{"<html", "it is a page of a web server, perhaps its word for not being allowed"},
	{"<?xml", "it is XML, perhaps the word of a store for not being allowed"},
	{"-- MySQL dump", "it is a dump of MySQL"},
	{"-- MariaDB dump", "it is a dump of MariaDB"},
	{"SQLite format 3", "it is an SQLite database"},
}

// guess is what the first bytes of a stream say it is: a wrapping or a format, or
// why not.
type guess struct {
	wrapping wrapping
	format   Format
	why      string // of neither
}

func (g guess) known() bool { return g.wrapping != "" || g.format != "" }

// recognise looks at up to headSize bytes.
func recognise(head []byte) guess {
	if len(head) == 0 {
		return guess{why: "it is empty"}
	}
	for _, w := range wrappings {
		if bytes.HasPrefix(head, []byte(w.magic)) {
			return guess{wrapping: w.is}
		}
	}
	// Two bytes of magic would be any text that begins with BZ.
	if len(head) >= 10 && string(head[:3]) == "BZh" && head[3] >= '1' && head[3] <= '9' && string(head[4:10]) == "1AY&SY" {
		return guess{wrapping: wrapBzip2}
	}
	for _, r := range refused {
		if len(head) >= len(r.magic) && strings.EqualFold(string(head[:len(r.magic)]), r.magic) {
			return guess{why: r.why}
		}
	}
	if bytes.HasPrefix(head, archiveMagic) {
		return recogniseArchive(head)
	}
	if len(head) >= tarBlock && string(head[tarMagic:tarMagic+5]) == "ustar" {
		return guess{format: recogniseTar(head)}
	}
	return recogniseText(head)
}

func recogniseArchive(head []byte) guess {
	if len(head) <= archiveFormat {
		return guess{why: "it is an archive of pg_dump that ends in its head"}
	}
	switch head[archiveFormat] {
	case formatCustom:
		return guess{format: Custom}
	case formatTar:
		return guess{why: "it is the " + toc + " of a directory or tar dump: give the whole folder, or a tar of it"}
	}
	return guess{why: "it is an archive of pg_dump in a format that is not known"}
}

// dumpOwner is what pg_dump -Ft writes for user and group, whoever runs it.
const dumpOwner = "0004000 0002000 "

// recogniseTar tells pg_dump -Ft, which pg_restore reads as it comes, from a tar
// that somebody made of a folder. What is taken for the latter only costs room:
// pg_restore reads an unpacked tar archive as it does a directory.
func recogniseTar(head []byte) Format {
	name, _, _ := bytes.Cut(head[:tarName], []byte{0})
	owner := string(head[tarOwner : tarOwner+len(dumpOwner)])
	if string(name) == toc && owner == dumpOwner {
		return Tar
	}
	return TarFolder
}

// firstWords are those that a script of SQL begins with.
var firstWords = []string{"SET", "SELECT", "CREATE", "ALTER", "DROP", "BEGIN", "START", "COPY", "INSERT", "GRANT", "COMMENT", "TRUNCATE", "DO", "WITH"}

func recogniseText(head []byte) guess {
	text := bytes.TrimPrefix(head, utf8Mark)
	if bytes.IndexByte(text, 0) >= 0 {
		return guess{why: "its content is not recognised"}
	}
	if bytes.Contains(text, []byte("-- PostgreSQL database cluster dump")) {
		return guess{format: SQLOfAll}
	}
	rest := string(text)
	for {
		rest = strings.TrimLeft(rest, " \t\r\n")
		line, after, more := strings.Cut(rest, "\n")
		switch {
		case strings.HasPrefix(line, "-- PostgreSQL database dump"):
			return guess{format: SQL}
		case strings.HasPrefix(line, "--"):
			if !more {
				return guess{why: "its content is not recognised"}
			}
			rest = after
			continue
		case strings.HasPrefix(line, `\restrict `), strings.HasPrefix(line, `\connect `):
			return guess{format: SQL}
		}
		word := strings.ToUpper(strings.TrimRight(firstWord(line), ";"))
		for _, known := range firstWords {
			if word == known {
				return guess{format: SQL}
			}
		}
		return guess{why: "its content is not recognised"}
	}
}

func firstWord(line string) string {
	if at := strings.IndexAny(line, " \t\r"); at >= 0 {
		return line[:at]
	}
	return line
}
