package pgarchive

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
)

// Data is one data entry of the stream. Offsets are bytes from the start of the archive.
type Data struct {
	Entry *Entry
	Start int64 // of the type byte
	First int64 // of the first [length][bytes] block
	End   int64 // after the last byte; 0 while the entry is still open
	Sum   Sum   // valid once End is set
}

// Events are called from Write, in stream order. Each may be nil. An error ends
// the reading and is returned by Write.
type Events struct {
	TOC   func(*TOC) error  // header and table of contents are complete
	Begin func(*Data) error // a data entry begins
	End   func(*Data) error // a data entry was read to its end; Sum is final
}

// Reader parses an archive pushed into it by Write, in slices of any size. It
// keeps the table of contents and one Data an entry, and nothing of the data.
// The first error sticks. A Reader is not safe for concurrent use.
type Reader struct {
	events Events
	err    error

	head   strings.Builder // header and table of contents while they arrive
	finder tocFinder
	toc    *TOC
	todo   map[int32]*Entry // entries whose data has not begun

	state    state
	off      int64 // of the next byte
	boundary int64
	data     []*Data
	cur      *Data

	num     [9]byte // a number that lies across two slices
	numHave int
	ahead   int64 // bytes of the slice consumed in this step, not yet in off
	left    int64 // bytes of the open block still to come
	kind    byte  // type of the entry that begins

	rows    rowSummer
	objects objectSummer
}

type state int

const (
	inTOC       state = iota
	atType            // the type byte of a data entry
	atID              // its dump id
	atLength          // the length of a block of a table's data
	inBlock           // bytes of it
	atObject          // the oid of a large object, 0 = no more
	atObjectLen       // the length of a block of a large object
	inObject          // bytes of it
	atEnd             // every entry was seen
)

// Types of data entries.
const (
	typeData  = 1
	typeBlobs = 3
	descBlobs = "BLOBS"
)

// NewReader reads an archive from its first byte.
func NewReader(events Events) *Reader { return &Reader{events: events} }

// Write consumes the next bytes, keeping none of p.
func (r *Reader) Write(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	rest := p
	for len(rest) > 0 && r.err == nil {
		n := r.step(rest)
		rest = rest[n:]
		r.off += int64(n)
		if r.state == atEnd || r.state == atType {
			r.boundary = r.off
		}
	}
	return len(p) - len(rest), r.err
}

// step consumes some of p, at least a byte unless it fails.
func (r *Reader) step(p []byte) int {
	switch r.state {
	case inTOC:
		return r.stepTOC(p)
	case atType:
		return r.stepType(p)
	case atLength:
		if n := r.wholeBlocks(p); n > 0 {
			return n
		}
		return r.number(p, r.beginBlock)
	case inBlock:
		part := p[:min(int64(len(p)), r.left)]
		r.rows.write(part)
		if r.left -= int64(len(part)); r.left == 0 {
			r.state = atLength
			r.rowBoundary(r.off + int64(len(part)))
		}
		return len(part)
	case inObject:
		part := p[:min(int64(len(p)), r.left)]
		r.objects.write(part)
		if r.left -= int64(len(part)); r.left == 0 {
			r.state, r.boundary = atObjectLen, r.off+int64(len(part))
		}
		return len(part)
	case atID:
		return r.number(p, r.beginEntry)
	case atObject:
		return r.number(p, r.beginObject)
	case atObjectLen:
		return r.number(p, r.beginObjectBlock)
	default:
		r.corrupt("%d or more bytes after the last entry's data", len(p))
		return 0
	}
}

// rowBoundary notes that a block ends at off.
func (r *Reader) rowBoundary(off int64) {
	if !r.rows.inRow && !r.rows.ended {
		r.boundary = off
	}
}

// wholeBlocks is the fast path: blocks that lie whole in p, which with pg_dump up
// to 18 are one row each. It returns the bytes consumed, 0 when it can not help.
func (r *Reader) wholeBlocks(p []byte) int {
	if r.numHave > 0 || r.toc.Header.IntSize != 4 {
		return 0
	}
	const lengthBytes = 5
	rows, i, boundary := &r.rows, 0, 0
	for i+lengthBytes <= len(p) && p[i] == 0 {
		n := int(binary.LittleEndian.Uint32(p[i+1:]))
		if n == 0 || n > len(p)-i-lengthBytes {
			break
		}
		rows.write(p[i+lengthBytes : i+lengthBytes+n])
		i += lengthBytes + n
		if !rows.inRow && !rows.ended {
			boundary = i
		}
	}
	if boundary > 0 {
		r.boundary = r.off + int64(boundary)
	}
	return i
}

// number gathers a number and hands it to then, which sets the next state.
func (r *Reader) number(p []byte, then func(int64)) int {
	size := 1 + r.toc.Header.IntSize
	n := copy(r.num[r.numHave:size], p)
	if r.numHave += n; r.numHave < size {
		return n
	}
	r.numHave, r.ahead = 0, int64(n)
	var v uint64
	for i := size - 1; i > 0; i-- {
		v = v<<8 | uint64(r.num[i])
	}
	// Object ids use all 32 bits: pg_dump writes them as C ints, negative from 2^31 on.
	switch {
	case v >= 1<<31 && r.state != atObject, v >= 1<<32:
		r.corrupt("the number %d where a length or an id was expected", v)
	case r.num[0] == 1 && r.state == atObject && v != 0:
		then(int64(uint32(-int64(v))))
	case r.num[0] != 0:
		r.corrupt("a negative number where a length or an id was expected")
	default:
		then(int64(v))
	}
	return n
}

func (r *Reader) stepTOC(p []byte) int {
	if r.head.Len() > maxTOC {
		r.err = fmt.Errorf("%w: its table of contents is larger than %d bytes", ErrCorrupt, maxTOC)
		return 0
	}
	const piece = 64 << 10 // so that little of the data is copied behind its end
	before := r.head.Len()
	r.head.Write(p[:min(len(p), piece)])
	s := r.head.String()
	if len(s) >= len(magic) && s[:len(magic)] != magic {
		r.err = notArchive([]byte(s[:len(magic)]))
		return 0
	}
	done, err := r.finder.advance(s)
	if err != nil {
		r.err = err
		return 0
	}
	if !done {
		return len(s) - before
	}
	toc, err := ParseTOC(strings.Clone(s[:r.finder.pos]))
	if err != nil {
		r.err = err
		return 0
	}
	r.head = strings.Builder{}
	r.err = r.beginData(toc)
	return len(toc.Raw) - before
}

// beginData indexes the entries that have data and tells of the table of contents.
func (r *Reader) beginData(toc *TOC) error {
	r.toc, r.todo = toc, map[int32]*Entry{}
	seen := make(map[int32]bool, len(toc.Entries))
	for i := range toc.Entries {
		e := &toc.Entries[i]
		if seen[e.DumpID] {
			return fmt.Errorf("%w: its table of contents has id %d twice", ErrCorrupt, e.DumpID)
		}
		seen[e.DumpID] = true
		if e.HadDumper {
			r.todo[e.DumpID] = e
		}
	}
	r.state = atType
	if len(r.todo) == 0 {
		r.state = atEnd
	}
	if r.events.TOC != nil {
		return r.events.TOC(toc)
	}
	return nil
}

// Close tells that the stream has ended. It returns ErrTruncated, saying where,
// unless the archive was complete.
func (r *Reader) Close() error {
	switch {
	case r.err != nil:
		return r.err
	case r.state == atEnd:
		return nil
	case r.state == inTOC:
		if s := r.head.String(); len(s) < len(magic) {
			return notArchive([]byte(s))
		}
		return fmt.Errorf("%w: it ends inside its table of contents, at byte %d", ErrTruncated, r.off)
	case r.cur != nil:
		return fmt.Errorf("%w: it ends inside %s, at byte %d after %d rows", ErrTruncated, r.cur.Entry, r.off, r.rows.sum.Rows+r.objects.sum.Rows)
	case r.state == atID:
		return fmt.Errorf("%w: it ends at the head of an entry, at byte %d", ErrTruncated, r.off)
	}
	for i := range r.toc.Entries {
		if e := &r.toc.Entries[i]; r.todo[e.DumpID] != nil {
			return fmt.Errorf("%w: it ends at byte %d before the data of %s; %d of %d entries with data are missing",
				ErrTruncated, r.off, e, len(r.todo), len(r.todo)+len(r.data))
		}
	}
	return nil
}

// Complete tells whether all data was read: the next byte would be an error.
func (r *Reader) Complete() bool { return r.err == nil && r.state == atEnd }

// Offset is the number of bytes consumed.
func (r *Reader) Offset() int64 { return r.off }

// LastBoundary is the greatest offset so far at which the stream may be cut:
// after the table of contents, between data entries, or inside one after a whole
// block that ends a row (in large objects: after any block). It is 0 before the
// table of contents is complete.
func (r *Reader) LastBoundary() int64 { return r.boundary }

// Current is the data entry being read, or nil.
func (r *Reader) Current() *Data { return r.cur }

// TOC is nil until the table of contents is complete.
func (r *Reader) TOC() *TOC { return r.toc }

// Data is every data entry begun so far, in stream order.
func (r *Reader) Data() []*Data { return r.data }

// TOCDigest is the SHA-256 of header and table of contents, zero before they are complete.
func (r *Reader) TOCDigest() [sha256.Size]byte {
	if r.toc == nil {
		return [sha256.Size]byte{}
	}
	return r.toc.Digest()
}

// Digest is the SHA-256 of Raw.
func (t *TOC) Digest() [sha256.Size]byte { return sha256.Sum256([]byte(t.Raw)) }

// corrupt records damage at the current offset.
func (r *Reader) corrupt(format string, args ...any) {
	where := ""
	if r.cur != nil {
		where = " in " + r.cur.Entry.String()
	}
	r.err = fmt.Errorf("%w at byte %d%s: %s", ErrCorrupt, r.off, where, fmt.Sprintf(format, args...))
}
