package pgwal

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"time"
)

// Of access/xlogrecord.h, rmgrlist.h, xact.h and pg_control.h. A record begins with
//
//	0   4  length of all of it
//	4   4  transaction
//	8   8  position of the record before it
//	16  1  what it is, to its resource manager
//	17  1  the resource manager
//	20  4  CRC-32C of what follows the header, then of the header up to here
//
// and begins at a multiple of eight.
const (
	recordHeader = 24
	recordAlign  = 8
	// maxRecord is more than a server ever writes (XLogRecordMaxSize, MaxAllocSize), in bytes.
	maxRecord = 1 << 30
	// keptOfRecord is how much of a record is looked into: all of a restore point.
	keptOfRecord = 128

	rmXLOG = 0
	rmXact = 1

	opMask       = 0x70
	xlogSwitch   = 0x40
	xlogRestore  = 0x70
	xactCommit   = 0x00
	xactAbort    = 0x20
	xactCommit2P = 0x30
	xactAbort2P  = 0x40

	idOrigin    = 253 // and 2 bytes
	idTopLevel  = 252 // and 4 bytes
	idDataShort = 255 // and 1 byte of length
	idDataLong  = 254 // and 4 bytes of length

	maxRestorePointName = 64
)

// RestorePoint is a position that pg_create_restore_point gave a name.
type RestorePoint struct {
	Name string    `json:"name"`
	At   LSN       `json:"at"` // the end of its record
	Time time.Time `json:"time"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is one that is being put together from the pages it lies on.
type record struct {
	start  LSN
	length uint32 // 0 until known
	got    uint32
	crc    uint32 // of what followed the header so far
	kept   [keptOfRecord]byte
}

// add takes the next bytes.
func (r *record) add(b []byte) {
	if r.got < keptOfRecord {
		copy(r.kept[r.got:], b)
	}
	if after := int64(r.got) + int64(len(b)) - recordHeader; after > 0 {
		r.crc = crc32.Update(r.crc, castagnoli, b[max(int64(len(b))-after, 0):])
	}
	r.got += uint32(len(b))
}

func (r *record) intact() bool {
	return crc32.Update(r.crc, castagnoli, r.kept[:20]) == binary.LittleEndian.Uint32(r.kept[20:])
}

func (r *record) xid() uint32     { return binary.LittleEndian.Uint32(r.kept[4:]) }
func (r *record) prev() LSN       { return LSN(binary.LittleEndian.Uint64(r.kept[8:])) }
func (r *record) manager() byte   { return r.kept[17] }
func (r *record) operation() byte { return r.kept[16] }

func (r *record) isSwitch() bool {
	return r.manager() == rmXLOG && r.operation()&0xF0 == xlogSwitch
}

// data is as much of the record's own data as was kept, nil where it refers to pages
// of relations first: no record that is looked into does.
func (r *record) data() []byte {
	b := r.kept[recordHeader:min(r.length, keptOfRecord)]
	for len(b) > 0 {
		var skip int
		found := false
		switch b[0] {
		case idOrigin:
			skip = 3
		case idTopLevel:
			skip = 5
		case idDataShort:
			skip, found = 2, true
		case idDataLong:
			skip, found = 5, true
		default:
			return nil
		}
		if len(b) < skip {
			return nil
		}
		if b = b[skip:]; found {
			return b
		}
	}
	return nil
}

// ended reports when a transaction ended, by the server's clock, with its number (0
// for a prepared one, which is told elsewhere). These are the records at which a server
// that recovers to a time looks at the time.
func (r *record) ended() (at time.Time, xid uint32, is bool) {
	if r.manager() != rmXact {
		return time.Time{}, 0, false
	}
	switch r.operation() & opMask {
	case xactCommit, xactAbort:
		xid = r.xid()
	case xactCommit2P, xactAbort2P:
	default:
		return time.Time{}, 0, false
	}
	data := r.data()
	if len(data) < 8 {
		return time.Time{}, 0, false
	}
	return timestamp(data), xid, true
}

func (r *record) restorePoint() (RestorePoint, bool) {
	if r.manager() != rmXLOG || r.operation()&0xF0 != xlogRestore {
		return RestorePoint{}, false
	}
	data := r.data()
	if len(data) < 8+maxRestorePointName {
		return RestorePoint{}, false
	}
	name, _, _ := bytes.Cut(data[8:8+maxRestorePointName], []byte{0})
	return RestorePoint{Name: string(name), Time: timestamp(data)}, true
}

// epoch of PostgreSQL's timestamps, in microseconds.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()

// timestamp reads a TimestampTz.
func timestamp(b []byte) time.Time {
	return time.UnixMicro(int64(binary.LittleEndian.Uint64(b)) + epoch).UTC()
}
