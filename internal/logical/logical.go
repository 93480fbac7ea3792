// Package logical says what a logical recovery point consists of: its streams
// and the proof of every table's contents that travels with it (V2). The engines
// that make, check and restore such points share it, so that none of them
// depends on another. What must not live here: doing any of that.
package logical

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Kind of logical recovery points.
const Kind = "logical"

// Names of the streams of a logical point, beside repo.StreamIndex.
const (
	StreamArchive = "archive" // what pg_dump wrote, byte for byte
	StreamTables  = "tables"  // one TableRecord a line, as JSON
	StreamGlobals = "globals" // pg_dumpall --globals-only, SQL
)

// GlobalsEnd is in the last line that pg_dumpall writes.
const GlobalsEnd = "PostgreSQL database cluster dump complete"

const (
	// maxRecord bounds one line of the tables stream in bytes.
	maxRecord = 1 << 20
	// maxRecords bounds the stream, and with it what a hostile one costs: half a
	// million tables.
	maxRecords = 500_000
)

// TableRecord is one line of the tables stream: the proof of the contents of one
// data entry of the archive.
type TableRecord struct {
	DumpID int32  `json:"id"` // of the archive's table of contents
	Schema string `json:"schema"`
	Table  string `json:"table"`
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"` // of COPY text
	Hash   string `json:"hash"`  // pgarchive's 128-bit order-independent hash, hex
	// LargeObjects marks a record about large objects instead of a table.
	LargeObjects bool `json:"large_objects,omitempty"`
}

// Record is the proof of one data entry that was read to its end.
func Record(d *pgarchive.Data) TableRecord {
	return TableRecord{
		DumpID: d.Entry.DumpID, Schema: d.Entry.Namespace, Table: d.Entry.Tag,
		Rows: d.Sum.Rows, Bytes: d.Sum.Bytes, Hash: d.Sum.Hash.String(),
		LargeObjects: d.Entry.Desc == "BLOBS",
	}
}

// EncodeRecords renders the tables stream of an archive and adds it up.
func EncodeRecords(data []*pgarchive.Data) ([]byte, repo.Totals, error) {
	var out []byte
	var totals repo.Totals
	for _, d := range data {
		rec := Record(d)
		line, err := json.Marshal(rec)
		if err != nil {
			return nil, totals, err
		}
		out = append(append(out, line...), '\n')
		if rec.LargeObjects {
			totals.LargeObjects += rec.Rows
			continue
		}
		totals.Tables++
		totals.Rows += rec.Rows
		totals.Bytes += rec.Bytes
	}
	return out, totals, nil
}

// ReadRecords reads the tables stream of a point, keyed by dump id.
func ReadRecords(ctx context.Context, p *repo.Point) (map[int32]TableRecord, error) {
	if len(p.Stream(StreamTables)) == 0 {
		return nil, fmt.Errorf("read the table list of %s: %w: the manifest names none", p.Ref(), repo.ErrDamaged)
	}
	body, err := p.Open(ctx, StreamTables)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	records := map[int32]TableRecord{}
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxRecord)
	for lines.Scan() {
		var rec TableRecord
		if err := json.Unmarshal(lines.Bytes(), &rec); err != nil {
			if lines.Err() != nil {
				break // the line is what came of it before reading failed
			}
			return nil, fmt.Errorf("read the table list of %s: %w: %w", p.Ref(), repo.ErrDamaged, err)
		}
		if _, twice := records[rec.DumpID]; twice {
			return nil, fmt.Errorf("read the table list of %s: %w: entry %d stands twice", p.Ref(), repo.ErrDamaged, rec.DumpID)
		}
		if len(records) == maxRecords {
			return nil, fmt.Errorf("read the table list of %s: %w: more than %d tables", p.Ref(), repo.ErrDamaged, maxRecords)
		}
		records[rec.DumpID] = rec
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the table list of %s: %w", p.Ref(), err)
	}
	return records, nil
}

// SumRecords adds up records: newer pg_dumps write large objects in several
// entries, a server spreads rows over partitions as it likes, and the hash does not
// depend on how.
func SumRecords(records []TableRecord) (TableRecord, error) {
	var sum TableRecord
	var total pgarchive.Hash
	for _, rec := range records {
		var h pgarchive.Hash
		if err := h.UnmarshalText([]byte(rec.Hash)); err != nil {
			return sum, fmt.Errorf("table list: %w: %w", repo.ErrDamaged, err)
		}
		total = total.Add(h)
		sum.Rows += rec.Rows
		sum.Bytes += rec.Bytes
	}
	sum.Hash = total.String()
	return sum, nil
}

// MakeIndex maps an archive that was read to its end to the chunks it is in.
func MakeIndex(a *pgarchive.Reader, chunks []repo.Chunk) *repo.Index {
	x := &repo.Index{Format: 1, Stream: StreamArchive, HeadEnd: int64(len(a.TOC().Raw)), Chunks: chunks}
	for _, d := range a.Data() {
		x.Entries = append(x.Entries, repo.Entry{DumpID: int(d.Entry.DumpID), From: d.Start, To: d.End})
	}
	return x
}
