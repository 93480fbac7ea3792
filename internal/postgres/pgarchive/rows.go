package pgarchive

import (
	"bytes"
	"fmt"

	"github.com/zeebo/xxh3"
)

// RowHasher computes the Sum of COPY text written to it in any division. It is
// the arithmetic the Reader uses, for text that comes from a server.
type RowHasher struct {
	rows rowSummer
}

// Write takes COPY text. It never fails.
func (h *RowHasher) Write(p []byte) (int, error) {
	h.rows.write(p)
	return len(p), nil
}

// Sum of the rows so far; an error when the text ends inside a row.
func (h *RowHasher) Sum() (Sum, error) {
	if h.rows.inRow {
		return Sum{}, fmt.Errorf("COPY text ends inside row %d", h.rows.sum.Rows+1)
	}
	return h.rows.sum, nil
}

// endMark is the last of a table's data in an archive: the line `\.` and two empty lines.
const endMark = "\\.\n\n\n"

// rowSummer splits text into rows and sums their hashes. Rows that lie whole in
// what is written are hashed in place; the pieces of others go through part.
type rowSummer struct {
	sum Sum
	// raw: the text is not COPY text but INSERT commands, which have no end mark.
	raw   bool
	inRow bool
	// ended: the line `\.` was seen; tail counts the newlines after it and bad is
	// set by anything else.
	ended bool
	tail  int
	bad   bool

	part    *xxh3.Hasher // the begun row while inRow
	partLen int64
	head    [2]byte // its first bytes
}

func (r *rowSummer) write(p []byte) {
	if r.inRow {
		nl := bytes.IndexByte(p, '\n')
		if nl < 0 {
			r.more(p)
			return
		}
		r.more(p[:nl])
		r.inRow = false
		p = p[nl+1:]
		if r.partLen == 2 && r.head == [2]byte{'\\', '.'} && !r.raw {
			r.ended = true
		} else {
			r.row(r.partLen, r.part.Sum128())
		}
	}
	for !r.ended {
		nl := bytes.IndexByte(p, '\n')
		if nl < 0 {
			if len(p) > 0 {
				r.begin(p)
			}
			return
		}
		if isEndLine(p[:nl]) && !r.raw {
			r.ended = true
		} else {
			r.row(int64(nl), xxh3.Hash128(p[:nl]))
		}
		p = p[nl+1:]
	}
	for _, b := range p {
		r.tail++
		r.bad = r.bad || b != '\n'
	}
}

func isEndLine(row []byte) bool { return len(row) == 2 && row[0] == '\\' && row[1] == '.' }

// row adds a row of n bytes without its newline.
func (r *rowSummer) row(n int64, hash xxh3.Uint128) {
	r.sum.Rows++
	r.sum.Bytes += n + 1
	r.sum.Hash.add(hash)
}

// begin starts a row of which more will follow.
func (r *rowSummer) begin(p []byte) {
	if r.part == nil {
		r.part = xxh3.New()
	}
	r.part.Reset()
	r.partLen, r.inRow = 0, true
	r.more(p)
}

func (r *rowSummer) more(p []byte) {
	if r.partLen < 2 {
		copy(r.head[r.partLen:], p)
	}
	_, _ = r.part.Write(p) // a hash does not fail
	r.partLen += int64(len(p))
}

// finish says what is wrong with text that ends here.
func (r *rowSummer) finish() error {
	switch {
	case r.inRow:
		return fmt.Errorf("its data ends inside row %d", r.sum.Rows+1)
	case r.raw:
		return nil
	case !r.ended:
		return fmt.Errorf("its data ends after %d rows without the end mark", r.sum.Rows)
	case r.bad || r.tail != len(endMark)-len(`\.`)-1:
		return fmt.Errorf("something follows the end mark after %d rows", r.sum.Rows)
	}
	return nil
}
