package pgarchive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// deframeBuffer is what Deframe holds of its source.
const deframeBuffer = 256 << 10

// Deframe takes COPY text, without blocks and end mark, out of a range of an
// archive, for COPY FROM STDIN. src begins at a row boundary inside a table's
// data (Data.First or a LastBoundary) and ends at a later boundary. Reading ends
// at the end of src or of the entry's data, whichever comes first; what src has
// after that is not looked at. A src that ends inside a block is ErrTruncated.
func Deframe(src io.Reader, h Header) io.Reader {
	return &deframer{src: src, intSize: h.IntSize, buf: make([]byte, 0, deframeBuffer)}
}

type deframer struct {
	src     io.Reader
	intSize int
	err     error

	buf  []byte // bytes of src, those before pos consumed
	pos  int
	left int64 // bytes of the open block
	done bool  // the entry's data has ended, or src has

	// held are the last bytes of text, kept back because they may be the end mark.
	held []byte
}

// Read implements io.Reader.
func (d *deframer) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n := 0
	for n < len(p) && d.err == nil {
		switch {
		case d.done:
			m := copy(p[n:], d.held)
			d.held = d.held[m:]
			n += m
			if len(d.held) == 0 {
				d.err = io.EOF
			}
		case d.left == 0:
			d.nextBlock()
		case d.pos == len(d.buf):
			if d.fill(); d.done && d.err == nil {
				d.err = fmt.Errorf("%w: the range ends inside a block", ErrTruncated)
			}
		default:
			if n += d.copyText(p[n:]); d.err == nil && n > 0 && d.pos == len(d.buf) {
				return n, nil // what is here before waiting for more
			}
		}
	}
	if n > 0 {
		return n, nil
	}
	return 0, d.err
}

// copyText moves text of the open block to p, always keeping back the last bytes.
func (d *deframer) copyText(p []byte) int {
	chunk := d.buf[d.pos:]
	chunk = chunk[:min(int64(len(chunk)), d.left)]
	// What may leave: all but the last len(endMark) bytes of held + chunk.
	free := len(d.held) + len(chunk) - len(endMark)
	if free <= 0 {
		d.held = append(d.held, chunk...)
		d.consume(len(chunk))
		return 0
	}
	free = min(free, len(p))
	n := copy(p[:free], d.held)
	d.held = append(d.held[:0], d.held[n:]...)
	m := copy(p[n:free], chunk)
	d.consume(m)
	n += m
	if rest := chunk[m:]; len(d.held)+len(rest) <= len(endMark) {
		d.held = append(d.held, rest...)
		d.consume(len(rest))
	}
	return n
}

func (d *deframer) consume(n int) {
	d.pos += n
	d.left -= int64(n)
}

// nextBlock reads the length of a block. 0 is the end of the entry's data, whose
// end mark must then be what was kept back.
func (d *deframer) nextBlock() {
	size := 1 + d.intSize
	for len(d.buf)-d.pos < size && d.err == nil && !d.done {
		d.fill()
	}
	if d.err != nil {
		return
	}
	if have := len(d.buf) - d.pos; have < size {
		if have > 0 {
			d.err = fmt.Errorf("%w: the range ends inside the length of a block", ErrTruncated)
		}
		return // src ended at a block's end, a boundary
	}
	var b [9]byte
	copy(b[:], d.buf[d.pos:d.pos+size])
	d.pos += size
	n := binary.LittleEndian.Uint64(b[1:])
	if b[0] != 0 || n > 1<<31 {
		d.err = fmt.Errorf("%w: a block of %d bytes, sign %d: the range does not begin at a boundary", ErrCorrupt, n, b[0])
		return
	}
	if d.left = int64(n); n == 0 {
		d.done = true
		if string(d.held) != endMark {
			d.err = fmt.Errorf("%w: a table's data ends without its end mark", ErrCorrupt)
		}
		d.held = nil
	}
}

// fill reads more of src behind what is not consumed.
func (d *deframer) fill() {
	d.buf = d.buf[:copy(d.buf, d.buf[d.pos:])]
	d.pos = 0
	n, err := d.src.Read(d.buf[len(d.buf):cap(d.buf)])
	d.buf = d.buf[:len(d.buf)+n]
	switch {
	case errors.Is(err, io.EOF):
		d.done = n == 0
	case err != nil:
		d.err = err
	}
}
