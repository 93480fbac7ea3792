package pgarchive

import "errors"

// tocFinder finds the end of the table of contents in bytes that arrive bit by
// bit. It goes from field to field and never looks at one twice, so that a
// hostile table of contents costs no more than its length.
type tocFinder struct {
	header Header
	fields string // kinds of the fields of an entry, "" before the header is parsed
	field  int    // the next field of the open entry
	left   int    // entries to come, the open one included
	pos    int    // everything before is parsed
}

// Kinds of fields: an integer, a string, strings up to a NULL, a file position.
const (
	// id, has data, table oid, oid, tag, kind, section, then five texts
	fieldsFirst   = "iissssi" + "sssss"
	fieldsUpTo113 = fieldsFirst + "ss" + "d@"        // owner, with oids
	fields114     = fieldsFirst + "s" + "ss" + "d@"  // table access method
	fields116     = fieldsFirst + "si" + "ss" + "d@" // and relation kind
)

// fieldsOf are the kinds of the fields of an entry.
func fieldsOf(v Version) string {
	switch {
	case v.Minor >= 16:
		return fields116
	case v.Minor >= 14:
		return fields114
	}
	return fieldsUpTo113
}

// advance returns whether s[:pos] is the whole of header and table of contents.
func (f *tocFinder) advance(s string) (done bool, err error) {
	c := scanner{s: s, pos: f.pos, intSize: f.header.IntSize}
	if f.fields == "" {
		h := c.header()
		count := c.int()
		if c.err == nil && count < 0 {
			c.fail("%d entries", count)
		}
		if c.err != nil {
			return false, notYet(c.err)
		}
		f.header, f.left, f.pos = h, count, c.pos
		f.fields = fieldsOf(h.Version)
	}
	for f.left > 0 {
		again := false
		switch f.fields[f.field] {
		case 'i':
			c.int()
		case 's':
			c.str()
		case 'd':
			_, null := c.str()
			again = !null
		case '@':
			c.take(1 + f.header.OffSize)
		}
		if c.err != nil {
			return false, notYet(c.err)
		}
		f.pos = c.pos
		if again {
			continue
		}
		if f.field++; f.field == len(f.fields) {
			f.field = 0
			f.left--
		}
	}
	return true, nil
}

// notYet turns "more bytes needed" into no error.
func notYet(err error) error {
	if errors.Is(err, errMore) {
		return nil
	}
	return err
}
