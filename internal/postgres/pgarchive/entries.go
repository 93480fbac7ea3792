package pgarchive

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"
)

// objectSummer sums the hashes of large objects.
type objectSummer struct {
	sum    Sum
	hasher *xxh3.Hasher
}

func (o *objectSummer) begin(oid uint32) {
	if o.hasher == nil {
		o.hasher = xxh3.New()
	}
	o.hasher.Reset()
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], oid)
	_, _ = o.hasher.Write(b[:]) // a hash does not fail
}

func (o *objectSummer) write(p []byte) {
	_, _ = o.hasher.Write(p)
	o.sum.Bytes += int64(len(p))
}

func (o *objectSummer) end() {
	o.sum.Rows++
	o.sum.Hash.add(o.hasher.Sum128())
}

// LargeObjectHasher computes the Sum of large objects read from a server.
type LargeObjectHasher struct{ objects objectSummer }

// Begin starts the object oid, whose content follows by Write.
func (h *LargeObjectHasher) Begin(oid uint32) { h.objects.begin(oid) }

// Write takes content of the object begun. It never fails.
func (h *LargeObjectHasher) Write(p []byte) (int, error) {
	h.objects.write(p)
	return len(p), nil
}

// End completes the object begun.
func (h *LargeObjectHasher) End() { h.objects.end() }

// Sum of the objects ended.
func (h *LargeObjectHasher) Sum() Sum { return h.objects.sum }

// stepType reads the type byte that a data entry begins with.
func (r *Reader) stepType(p []byte) int {
	if p[0] != typeData && p[0] != typeBlobs {
		r.corrupt("type %d where a data entry should begin", p[0])
		return 0
	}
	r.kind, r.state = p[0], atID
	return 1
}

// beginEntry has the dump id of a data entry.
func (r *Reader) beginEntry(id int64) {
	idBytes := int64(1 + r.toc.Header.IntSize)
	e := r.todo[int32(id)]
	if e == nil {
		r.corrupt("data of entry %d, which is unknown, has no data, or came before", id)
		return
	}
	blobs := r.kind == typeBlobs
	if blobs != (e.Desc == descBlobs) {
		r.corrupt("data of type %d for %s", r.kind, e)
		return
	}
	delete(r.todo, e.DumpID)
	first := r.off + r.ahead
	r.cur = &Data{Entry: e, Start: first - idBytes - 1, First: first}
	r.data = append(r.data, r.cur)
	if blobs {
		r.objects.sum, r.state = Sum{}, atObject
	} else {
		r.rows = rowSummer{part: r.rows.part, raw: e.CopyStmt == ""}
		r.state = atLength
	}
	r.boundary = first
	if r.events.Begin != nil {
		r.err = r.events.Begin(r.cur)
	}
}

// beginBlock has the length of a block of a table's data; 0 ends the entry.
func (r *Reader) beginBlock(n int64) {
	if n > 0 {
		r.left, r.state = n, inBlock
		return
	}
	if err := r.rows.finish(); err != nil {
		r.corrupt("%v", err)
		return
	}
	r.endEntry(r.rows.sum)
}

func (r *Reader) beginObject(oid int64) {
	if oid == 0 {
		r.endEntry(r.objects.sum)
		return
	}
	r.objects.begin(uint32(oid))
	r.state = atObjectLen
}

func (r *Reader) beginObjectBlock(n int64) {
	if n > 0 {
		r.left, r.state = n, inObject
		return
	}
	r.objects.end()
	r.state = atObject
}

func (r *Reader) endEntry(sum Sum) {
	d := r.cur
	d.Sum, d.End = sum, r.off+r.ahead
	r.cur, r.state = nil, atType
	if len(r.todo) == 0 {
		r.state = atEnd
	}
	if r.events.End != nil {
		r.err = r.events.End(d)
	}
}
