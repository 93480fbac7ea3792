package pgarchive

import (
	"fmt"
	"io"

	"github.com/zeebo/xxh3"
)

// Add returns the hash of the rows of both, in any order.
func (h Hash) Add(other Hash) Hash {
	h.add(xxh3.Uint128{Hi: other.Hi, Lo: other.Lo})
	return h
}

// SkipDataHeader reads the type byte and dump id with which a table's data
// begins (at Data.Start), leaving src where its first block begins.
func SkipDataHeader(src io.Reader, h Header, dumpID int32) error {
	buf := make([]byte, 1+1+h.IntSize)
	switch _, err := io.ReadFull(src, buf); err {
	case nil:
	case io.EOF, io.ErrUnexpectedEOF:
		return fmt.Errorf("%w: no data entry begins here", ErrTruncated)
	default: // that it could not be read says nothing about what is there
		return err
	}
	id := int64(0)
	for i := h.IntSize - 1; i >= 0; i-- {
		id = id<<8 | int64(buf[2+i])
	}
	if buf[0] != typeData || buf[1] != 0 || id != int64(dumpID) {
		return fmt.Errorf("%w: the data of entry %d does not begin here", ErrCorrupt, dumpID)
	}
	return nil
}
