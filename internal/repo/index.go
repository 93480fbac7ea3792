package repo

import (
	"encoding/json"
	"fmt"
	"io"
	"sort"
)

// StreamIndex is the name of the stream that holds a point's Index.
const StreamIndex = "index"

// maxIndex bounds an index in bytes, and with it what a hostile one costs:
// 400,000 chunks (3 TB) and as many entries.
const maxIndex = 64 << 20

// Index maps positions in a stream's plain bytes to the chunks that hold them,
// and the entries of an archive to positions, so that one table can be read by
// range and many workers can restore at once.
type Index struct {
	Format  int     `json:"format"`
	Stream  string  `json:"stream"`  // which stream it is about
	HeadEnd int64   `json:"head"`    // plain bytes before the first data entry
	Chunks  []Chunk `json:"chunks"`  // in order
	Entries []Entry `json:"entries"` // in order of From
}

// Chunk is one stored chunk. Offsets and sizes are in bytes.
type Chunk struct {
	Object uint32 `json:"o"` // ordinal of the object within the point
	Number uint32 `json:"n"` // ordinal of the chunk within the object
	Offset int64  `json:"at"`
	Stored int64  `json:"size"`
	From   int64  `json:"from"` // first plain byte, counted over the stream
	Plain  int64  `json:"plain"`
	// Row: the chunk begins at a block of an archive that begins a row, so a
	// reader of a table may start here.
	Row bool `json:"row,omitempty"`
}

// Entry is one data entry of an archive's table of contents.
type Entry struct {
	DumpID int   `json:"id"`
	From   int64 `json:"from"` // first plain byte of its block, with its header
	To     int64 `json:"to"`   // one past the last
}

func decodeIndex(r io.Reader) (*Index, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxIndex+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxIndex {
		return nil, fmt.Errorf("%w: the index has more than %d bytes", ErrDamaged, maxIndex)
	}
	x := &Index{}
	if err := json.Unmarshal(data, x); err != nil {
		return nil, fmt.Errorf("%w: index: %w", ErrDamaged, err)
	}
	if x.Format > 1 {
		return nil, fmt.Errorf("index: %w: format %d", ErrNewerFormat, x.Format)
	}
	var at int64
	for i, c := range x.Chunks {
		if c.From != at || c.Plain < 0 || c.Plain > ChunkSize || c.Stored < chunkHeader || c.Stored > chunkHeader+maxPayload || c.Offset < 0 {
			return nil, fmt.Errorf("%w: index: chunk %d does not follow the one before it", ErrDamaged, i)
		}
		at += c.Plain
	}
	at = 0
	for _, e := range x.Entries {
		if e.From < at || e.To < e.From || e.To > x.Size() {
			return nil, fmt.Errorf("%w: index: entry %d lies outside the archive", ErrDamaged, e.DumpID)
		}
		at = e.To
	}
	return x, nil
}

// Size is the number of plain bytes the index covers.
func (x *Index) Size() int64 {
	if len(x.Chunks) == 0 {
		return 0
	}
	last := x.Chunks[len(x.Chunks)-1]
	return last.From + last.Plain
}

// chunkAt returns the position in Chunks of the one that holds plain byte at.
func (x *Index) chunkAt(at int64) int {
	return sort.Search(len(x.Chunks), func(i int) bool { return x.Chunks[i].From+x.Chunks[i].Plain > at })
}

// Split cuts [from,to) into at most n pieces of about equal size that each
// begin at a row, for n workers to load at once.
func (x *Index) Split(from, to int64, n int) [][2]int64 {
	cuts := []int64{from}
	want := (to - from) / int64(max(n, 1))
	for i := x.chunkAt(from) + 1; i < len(x.Chunks) && x.Chunks[i].From < to; i++ {
		if c := x.Chunks[i]; c.Row && c.From-cuts[len(cuts)-1] >= want && len(cuts) < n {
			cuts = append(cuts, c.From)
		}
	}
	pieces := make([][2]int64, len(cuts))
	for i, c := range cuts {
		end := to
		if i+1 < len(cuts) {
			end = cuts[i+1]
		}
		pieces[i] = [2]int64{c, end}
	}
	return pieces
}
