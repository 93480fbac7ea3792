package pgarchive

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

const (
	magic        = "PGDMP"
	fixedHead    = 11 // magic, version, integer size, offset size, format
	formatCustom = 1

	// maxTOC bounds memory for a hostile archive. 100,000 tables need about 80 MB.
	maxTOC = 1 << 30
)

// errMore: the bytes end inside what is being parsed.
var errMore = errors.New("more bytes needed")

// scanner takes fields from the head of an archive. The first failure sticks, so
// that a run of fields needs one check at its end.
type scanner struct {
	s       string
	pos     int
	intSize int
	err     error
}

func (c *scanner) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%w at byte %d of the table of contents: %s", ErrCorrupt, c.pos, fmt.Sprintf(format, args...))
	}
}

func (c *scanner) take(n int) string {
	if c.err != nil {
		return ""
	}
	if n > len(c.s)-c.pos {
		c.err = errMore
		return ""
	}
	v := c.s[c.pos : c.pos+n]
	c.pos += n
	return v
}

func (c *scanner) byte() byte {
	if s := c.take(1); s != "" {
		return s[0]
	}
	return 0
}

// int reads a sign byte and intSize bytes, least significant first. pg_dump
// writes C ints; more than 32 bits is damage.
func (c *scanner) int() int {
	b := c.take(1 + c.intSize)
	if c.err != nil {
		return 0
	}
	var v int
	for i := len(b) - 1; i > 0; i-- {
		if v > 1<<31 {
			c.fail("a number too large")
			return 0
		}
		v = v<<8 | int(b[i])
	}
	if v > 1<<31 || b[0] > 1 {
		c.fail("a number too large or with sign %d", b[0])
		return 0
	}
	if b[0] == 1 {
		v = -v
	}
	return v
}

// str reads a string; null is reported apart from empty.
func (c *scanner) str() (s string, null bool) {
	n := c.int()
	if c.err != nil {
		return "", true
	}
	switch {
	case n == -1:
		return "", true
	case n < 0 || n > maxTOC:
		c.fail("a string of %d bytes", n)
		return "", true
	}
	return c.take(n), false
}

func (c *scanner) text() string {
	s, _ := c.str()
	return s
}

// header parses up to the number of entries.
func (c *scanner) header() Header {
	var h Header
	b := c.take(fixedHead)
	if c.err != nil {
		return h
	}
	h.Version = Version{b[5], b[6], b[7]}
	h.IntSize, h.OffSize = int(b[8]), int(b[9])
	if h.Version.Major != 1 || h.Version.Minor < 12 || h.Version.Minor > 16 {
		c.err = fmt.Errorf("%w: format version %s; versions 1.12 to 1.16 (PostgreSQL 10 to 18) are read", ErrUnsupportedVersion, h.Version)
		return h
	}
	if h.IntSize < 4 || h.IntSize > 8 || h.OffSize < 4 || h.OffSize > 8 {
		c.fail("integers of %d and offsets of %d bytes", h.IntSize, h.OffSize)
		return h
	}
	if b[10] != formatCustom {
		c.err = fmt.Errorf("%w: it is the table of contents of a directory or tar dump (format %d)", ErrNotArchive, b[10])
		return h
	}
	c.intSize = h.IntSize
	if h.Version.Minor >= 15 {
		h.Compression = Compression(c.byte())
	} else if c.int() != 0 { // a gzip level, -1 = zlib's default
		h.Compression = CompressionGzip
	}
	if c.err == nil && h.Compression != CompressionNone {
		c.err = fmt.Errorf("%w: its data is compressed with %s; it was made without -Z0", ErrUnsupportedVersion, h.Compression)
		return h
	}
	sec, minute, hour, day, month, year, _ := c.int(), c.int(), c.int(), c.int(), c.int(), c.int(), c.int()
	h.CreateDate = time.Date(year+1900, time.Month(month+1), day, hour, minute, sec, 0, time.UTC)
	h.Database, h.ServerVersion, h.DumpVersion = c.text(), c.text(), c.text()
	return h
}

// entry parses one entry.
func (c *scanner) entry(h *Header) Entry {
	var e Entry
	e.DumpID = int32(c.int())
	switch dumper := c.int(); dumper {
	case 0, 1:
		e.HadDumper = dumper == 1
	default:
		c.fail("entry %d says %d for having data", e.DumpID, dumper)
	}
	e.TableOID, e.OID = c.oid(), c.oid()
	e.Tag, e.Desc = c.text(), c.text()
	e.Section = Section(c.int())
	if c.err == nil && (e.DumpID <= 0 || e.Section < SectionNone || e.Section > SectionPostData) {
		c.fail("entry %d in section %d", e.DumpID, e.Section)
	}
	e.Defn, e.DropStmt, e.CopyStmt = c.text(), c.text(), c.text()
	e.Namespace, e.Tablespace = c.text(), c.text()
	if h.Version.Minor >= 14 {
		e.TableAM = c.text()
	}
	if h.Version.Minor >= 16 {
		e.Relkind = byte(c.int())
	}
	e.Owner = c.text()
	c.text() // "true" for tables with oids, before PostgreSQL 12
	for c.err == nil {
		dep, end := c.str()
		if end {
			break
		}
		id, err := strconv.ParseInt(dep, 10, 32)
		if err != nil && c.err == nil {
			c.fail("entry %d depends on %q", e.DumpID, dep)
		}
		e.Deps = append(e.Deps, int32(id))
	}
	// Position of the data, unknown in an archive written to a pipe.
	if state := c.byte(); c.err == nil && (state < 1 || state > 3) {
		c.fail("entry %d has position state %d", e.DumpID, state)
	}
	c.take(h.OffSize)
	return e
}

func (c *scanner) oid() uint32 {
	s := c.text()
	if c.err != nil {
		return 0
	}
	v, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		c.fail("%q for an oid", s)
	}
	return uint32(v)
}

// ParseTOC parses header and table of contents held in memory, such as TOC.Raw
// stored earlier. Bytes after it are an error.
func ParseTOC(raw string) (*TOC, error) {
	c := scanner{s: raw}
	if len(raw) < len(magic) || raw[:len(magic)] != magic {
		return nil, notArchive([]byte(raw[:min(len(raw), 5)]))
	}
	t := &TOC{Raw: raw, Header: c.header()}
	count := c.int()
	if c.err == nil && count < 0 {
		c.fail("%d entries", count)
	}
	// Grown by what was really there, never by what the count claims.
	for i := 0; i < count && c.err == nil; i++ {
		e := c.entry(&t.Header)
		if c.err == nil {
			t.Entries = append(t.Entries, e)
		}
	}
	if errors.Is(c.err, errMore) {
		return nil, fmt.Errorf("%w: it ends inside its table of contents, after %d entries", ErrTruncated, len(t.Entries))
	}
	if c.err != nil {
		return nil, c.err
	}
	if c.pos != len(raw) {
		return nil, fmt.Errorf("%w: %d bytes after the table of contents", ErrCorrupt, len(raw)-c.pos)
	}
	return t, nil
}
