package pgwal

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"time"
)

// log writes a log as a server does, so that tests know every record in it.
type logWriter struct {
	timeline Timeline
	system   uint64
	size     uint64 // of segments
	start    LSN    // of the first segment
	bytes    []byte // from start on
	last     LSN    // start of the last record
	records  []built
}

// built is a record and where it lies.
type built struct {
	start, end LSN
	at         time.Time // of the end of a transaction
	xid        uint32
	isSwitch   bool
}

const testBlock = 8192

func newLog(t Timeline, system, size uint64, first uint64) *logWriter {
	return &logWriter{timeline: t, system: system, size: size, start: LSN(first * size)}
}

func (w *logWriter) pos() LSN { return w.start + LSN(len(w.bytes)) }

// room begins a page where one has to begin.
func (w *logWriter) room(rest uint32, flags uint16) {
	if uint64(w.pos())%testBlock != 0 {
		return
	}
	at := w.pos()
	if rest > 0 {
		flags |= pageContinues
	}
	long := uint64(at)%w.size == 0
	if long {
		flags |= pageLong
	}
	le := binary.LittleEndian
	b := le.AppendUint16(nil, 0xD110)
	b = le.AppendUint16(b, flags)
	b = le.AppendUint32(b, uint32(w.timeline))
	b = le.AppendUint64(b, uint64(at))
	b = le.AppendUint32(b, rest)
	b = le.AppendUint32(b, 0)
	if long {
		b = le.AppendUint64(b, w.system)
		b = le.AppendUint32(b, uint32(w.size))
		b = le.AppendUint32(b, testBlock)
	}
	w.bytes = append(w.bytes, b...)
}

// record adds one; limit is how many of its bytes are written, as when a server dies.
func (w *logWriter) record(manager, operation byte, xid uint32, data []byte, limit int) built {
	w.room(0, 0)
	body := append([]byte{idDataLong}, binary.LittleEndian.AppendUint32(nil, uint32(len(data)))...)
	body = append(body, data...)
	head := make([]byte, recordHeader)
	le := binary.LittleEndian
	le.PutUint32(head, uint32(recordHeader+len(body)))
	le.PutUint32(head[4:], xid)
	le.PutUint64(head[8:], uint64(w.last))
	head[16], head[17] = operation, manager
	crc := crc32.Update(0, castagnoli, body)
	le.PutUint32(head[20:], crc32.Update(crc, castagnoli, head[:20]))
	all := slices.Concat(head, body)
	r := built{start: w.pos(), xid: xid}
	whole := limit >= len(all)
	for rest := all[:min(limit, len(all))]; len(rest) > 0; {
		n := min(len(rest), testBlock-int(uint64(w.pos())%testBlock))
		w.bytes = append(w.bytes, rest[:n]...)
		rest = rest[n:]
		if len(rest) > 0 {
			w.room(uint32(len(rest)+len(all)-min(limit, len(all))), 0)
		}
	}
	if !whole {
		return r
	}
	for uint64(w.pos())%recordAlign != 0 {
		w.bytes = append(w.bytes, 0)
	}
	r.end = w.pos()
	w.last = r.start
	return r
}

func (w *logWriter) add(manager, operation byte, xid uint32, data []byte) {
	w.records = append(w.records, w.record(manager, operation, xid, data, 1<<30))
}

func (w *logWriter) commit(xid uint32, at time.Time) {
	w.add(rmXact, xactCommit, xid, stampOf(at))
	w.records[len(w.records)-1].at = at
}

func stampOf(at time.Time) []byte {
	return binary.LittleEndian.AppendUint64(nil, uint64(at.UnixMicro()-epoch))
}

func (w *logWriter) restorePoint(name string, at time.Time) {
	data := append(stampOf(at), make([]byte, maxRestorePointName)...)
	copy(data[8:], name)
	w.add(rmXLOG, xlogRestore, 0, data)
}

// switchSegment ends the segment, filling it with empty pages.
func (w *logWriter) switchSegment() {
	w.add(rmXLOG, xlogSwitch, 0, nil)
	w.records[len(w.records)-1].isSwitch = true
	for uint64(w.pos())%w.size != 0 {
		if uint64(w.pos())%testBlock == 0 {
			w.room(0, pageRemovable)
		}
		w.bytes = append(w.bytes, 0)
	}
}

// segment is the bytes of the n-th segment, as far as they are there.
func (w *logWriter) segment(n int) []byte {
	from := min(uint64(n)*w.size, uint64(len(w.bytes)))
	return w.bytes[from:min(from+w.size, uint64(len(w.bytes)))]
}
