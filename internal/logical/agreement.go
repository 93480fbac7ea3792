package logical

import (
	"fmt"
	"regexp"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// clientEncoding is how an archive says in which encoding its text is.
var clientEncoding = regexp.MustCompile(`SET client_encoding = '([^']*)'`)

// Agree holds that the small parts of a point speak of the same thing: that the
// manifest counts what the table list counts, and names the encoding that the
// archive's text is in. What reads by ranges believes them, and no checksum shows
// that one was edited in a repository that is not sealed.
func Agree(m *repo.Manifest, toc *pgarchive.TOC, records map[int32]TableRecord) error {
	var counted repo.Totals
	for _, rec := range records {
		if rec.LargeObjects {
			counted.LargeObjects += rec.Rows
			continue
		}
		counted.Tables++
		counted.Rows += rec.Rows
		counted.Bytes += rec.Bytes
	}
	if t := m.Totals; t.Tables != counted.Tables || t.Rows != counted.Rows || t.Bytes != counted.Bytes || t.LargeObjects != counted.LargeObjects {
		return fmt.Errorf("%w: the manifest counts %+v, the table list %+v", repo.ErrDamaged, t, counted)
	}
	for i := range toc.Entries {
		e := &toc.Entries[i]
		if e.Desc != "ENCODING" {
			continue
		}
		if said := clientEncoding.FindStringSubmatch(e.Defn); said != nil && m.Server.Encoding != "" && said[1] != m.Server.Encoding {
			return fmt.Errorf("%w: the manifest says that the database was in %s, the text of its archive is in %s", repo.ErrDamaged, m.Server.Encoding, said[1])
		}
	}
	return nil
}

// IndexFits holds that the chunks of the index are those of the archive's objects,
// as the manifest tells them.
func IndexFits(m *repo.Manifest, x *repo.Index) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: the index does not fit the archive: %s", repo.ErrDamaged, fmt.Sprintf(format, args...))
	}
	stored, plain, chunks := map[uint32]int64{}, map[uint32]int64{}, map[uint32]uint32{}
	for _, c := range x.Chunks {
		if c.Number != chunks[c.Object] || c.Offset != stored[c.Object] {
			return bad("chunk %d of object %d is out of order", c.Number, c.Object)
		}
		chunks[c.Object]++
		stored[c.Object] += c.Stored
		plain[c.Object] += c.Plain
	}
	objects := m.Stream(StreamArchive)
	for _, o := range objects {
		if chunks[o.Ordinal] != o.Chunks || stored[o.Ordinal] != o.Size || plain[o.Ordinal] != o.PlainSize {
			return bad("object %s has %d chunks in %d bytes of %d, it says %d in %d of %d",
				o.Name, o.Chunks, o.Size, o.PlainSize, chunks[o.Ordinal], stored[o.Ordinal], plain[o.Ordinal])
		}
	}
	if len(chunks) != len(objects) {
		return bad("it speaks of %d objects, there are %d", len(chunks), len(objects))
	}
	return nil
}
