package pgarchive

import (
	"fmt"
	"strings"
)

// Positions of fields within the kinds of an entry's fields, see tocFinder.
const (
	fieldDefn         = 7
	fieldOwnerFromEnd = 4
)

// Rewrite returns the table of contents with what edit changes of every entry:
// its Defn and its Owner, nothing else. All other bytes stay as pg_dump wrote
// them, so that its own pg_restore reads the result. t is not changed.
func (t *TOC) Rewrite(edit func(*Entry)) (*TOC, error) {
	c := scanner{s: t.Raw}
	h := c.header()
	count := c.int()
	kinds := fieldsOf(h.Version)
	var b strings.Builder
	b.Grow(len(t.Raw))
	b.WriteString(t.Raw[:c.pos])
	for i := 0; i < count && c.err == nil; i++ {
		from := c.pos
		e := c.entry(&h)
		if c.err != nil {
			break
		}
		changed := e
		edit(&changed)
		if changed.Defn == e.Defn && changed.Owner == e.Owner {
			b.WriteString(t.Raw[from:c.pos])
			continue
		}
		rewriteEntry(&b, &scanner{s: t.Raw, pos: from, intSize: h.IntSize}, kinds, h.OffSize, changed)
	}
	if c.err != nil {
		return nil, fmt.Errorf("rewrite the table of contents: %w", c.err)
	}
	return ParseTOC(b.String())
}

// rewriteEntry copies the entry that c stands at, which was parsed before, with
// the texts of changed.
func rewriteEntry(b *strings.Builder, c *scanner, kinds string, offSize int, changed Entry) {
	for field := 0; field < len(kinds); field++ {
		from := c.pos
		switch kinds[field] {
		case 'i':
			c.int()
		case 's':
			c.str()
		case 'd':
			for null := false; !null; {
				_, null = c.str()
			}
		case '@':
			c.take(1 + offSize)
		}
		switch field {
		case fieldDefn:
			writeText(b, c.intSize, changed.Defn)
		case len(kinds) - fieldOwnerFromEnd:
			writeText(b, c.intSize, changed.Owner)
		default:
			b.WriteString(c.s[from:c.pos])
		}
	}
}

// writeText writes a string as scanner.str reads it.
func writeText(b *strings.Builder, intSize int, s string) {
	b.WriteByte(0) // the sign
	n := len(s)
	for range intSize {
		b.WriteByte(byte(n))
		n >>= 8
	}
	b.WriteString(s)
}
