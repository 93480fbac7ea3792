package pgwal

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrNotWAL: the bytes are not those of a segment, or of another one than was meant.
var ErrNotWAL = errors.New("not a WAL segment")

// Sizes and flags of pages, from access/xlog_internal.h.
const (
	shortHeader = 24
	longHeader  = 40

	pageContinues   = 0x0001 // it begins with the rest of a record
	pageLong        = 0x0002 // the first of a segment: it has the long header
	pageRemovable   = 0x0004
	pageOverwritten = 0x0008 // what the page before began has no rest and does not count
	pageFlags       = pageContinues | pageLong | pageRemovable | pageOverwritten
)

// magics are the page magics of the majors that are known (XLOG_PAGE_MAGIC).
var magics = map[uint16]int{0xD106: 13, 0xD10D: 14, 0xD110: 15, 0xD113: 16, 0xD116: 17, 0xD118: 18}

// page is the header of a page of the log.
type page struct {
	magic    uint16
	flags    uint16
	timeline Timeline
	at       LSN
	rest     uint32 // bytes of the record of the page before, from here on

	// of the first page of a segment alone
	system      uint64
	segmentSize uint64
	blockSize   uint32
}

func readPage(b []byte, long bool) page {
	le := binary.LittleEndian
	p := page{magic: le.Uint16(b), flags: le.Uint16(b[2:]), timeline: Timeline(le.Uint32(b[4:])), at: LSN(le.Uint64(b[8:])), rest: le.Uint32(b[16:])}
	if long {
		p.system, p.segmentSize, p.blockSize = le.Uint64(b[24:]), uint64(le.Uint32(b[32:])), le.Uint32(b[36:])
	}
	return p
}

// LongHeader reads what the first bytes of a segment say about it: at least 40 bytes.
// The timeline is that of its first page, which in the first segment of a timeline is
// still the one before. An unknown magic is ErrNotWAL: a newer server than this
// program knows, or no WAL.
func LongHeader(first []byte) (system, segmentSize uint64, timeline Timeline, major int, err error) {
	p, err := firstPage(first)
	return p.system, p.segmentSize, p.timeline, magics[p.magic], err
}

func firstPage(b []byte) (page, error) {
	bad := func(format string, args ...any) (page, error) {
		return page{}, fmt.Errorf("%w: "+format, append([]any{ErrNotWAL}, args...)...)
	}
	if len(b) < longHeader {
		return bad("it has %d bytes, its first header alone has %d", len(b), longHeader)
	}
	p := readPage(b, true)
	switch {
	case magics[p.magic] == 0 && magics[p.magic<<8|p.magic>>8] != 0:
		return bad("it was written by a server on a big-endian machine, which is not supported")
	case magics[p.magic] == 0:
		return bad("its magic number %04X is of no PostgreSQL from 13 to 18", p.magic)
	case p.flags&pageLong == 0 || p.flags&^pageFlags != 0:
		return bad("its first page has flags %04X", p.flags)
	case CheckSegmentSize(p.segmentSize) != nil:
		return bad("%w", CheckSegmentSize(p.segmentSize))
	case p.blockSize < 1<<10 || p.blockSize > 1<<16 || p.blockSize&(p.blockSize-1) != 0:
		return bad("it says its pages have %d bytes", p.blockSize)
	case p.timeline == 0 || uint64(p.at)%p.segmentSize != 0:
		return bad("its first page says it is at %s of timeline %s", p.at, p.timeline)
	}
	return p, nil
}
