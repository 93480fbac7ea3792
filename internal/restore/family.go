package restore

import (
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
)

// family says what in a table of contents belongs to what: an index to its
// table, a comment to whatever it is on, the sequence of a serial column to the
// table, a partition to what it is a part of.
type family struct {
	toc      *pgarchive.TOC
	byID     map[int32]*pgarchive.Entry
	host     map[int32]int32   // entry -> what it belongs to
	members  map[int32][]int32 // the other way round
	parts    map[int32][]int32 // partitioned table -> partitions
	parentOf map[int32]int32   // partition -> partitioned table
}

func newFamily(toc *pgarchive.TOC) *family {
	f := &family{toc: toc, byID: map[int32]*pgarchive.Entry{}, host: map[int32]int32{}, members: map[int32][]int32{}, parts: map[int32][]int32{}, parentOf: map[int32]int32{}}
	for i := range toc.Entries {
		f.byID[toc.Entries[i].DumpID] = &toc.Entries[i]
	}
	for i := range toc.Entries {
		e := &toc.Entries[i]
		host := f.hostOf(e)
		if host == nil {
			continue
		}
		f.host[e.DumpID] = host.DumpID
		f.members[host.DumpID] = append(f.members[host.DumpID], e.DumpID)
		if e.Desc == "TABLE ATTACH" {
			if parent := f.first(e, func(d *pgarchive.Entry) bool { return isRelation(d) && d != host }); parent != nil {
				f.parts[parent.DumpID] = append(f.parts[parent.DumpID], host.DumpID)
				f.parentOf[host.DumpID] = parent.DumpID
			}
		}
	}
	return f
}

// hostOf is what an entry belongs to, or nil for what stands on its own.
func (f *family) hostOf(e *pgarchive.Entry) *pgarchive.Entry {
	switch e.Desc {
	case "TABLE DATA", "SEQUENCE SET", "SEQUENCE OWNED BY", "ROW SECURITY", "MATERIALIZED VIEW DATA", "STATISTICS DATA", "TABLE ATTACH":
		// The last is for data of an extension's own tables.
		return first(f.first(e, func(d *pgarchive.Entry) bool {
			return d.Namespace == e.Namespace && d.Tag == e.Tag && d.Desc != e.Desc && d.Section == pgarchive.SectionPreData
		}), f.first(e, func(d *pgarchive.Entry) bool { return d.Desc == "EXTENSION" || isRelation(d) }))
	case "ACL", "COMMENT", "SECURITY LABEL":
		return f.first(e, func(d *pgarchive.Entry) bool { return d.Desc != e.Desc && d.Desc != "ACL" })
	case "INDEX ATTACH":
		return f.first(e, func(d *pgarchive.Entry) bool {
			return d.Namespace == e.Namespace && (d.Tag == e.Tag || strings.HasSuffix(d.Tag, " "+e.Tag)) && (d.Desc == "INDEX" || d.Desc == "CONSTRAINT")
		})
	case "INDEX", "STATISTICS":
		return f.first(e, isRelation)
	case "CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "DEFAULT", "RULE", "TRIGGER", "POLICY":
		return f.named(e)
	case "SEQUENCE":
		// Only the sequence of a serial or identity column depends on a table.
		return f.first(e, func(d *pgarchive.Entry) bool { return d.Desc == "TABLE" || d.Desc == "FOREIGN TABLE" })
	case "DEFAULT ACL":
		return f.first(e, func(d *pgarchive.Entry) bool { return d.Desc == "SCHEMA" })
	}
	return nil
}

// named is the relation or domain whose name begins the tag of an entry: "orders
// orders_customer_fkey" is of table orders. The longest such name wins.
func (f *family) named(e *pgarchive.Entry) *pgarchive.Entry {
	var best *pgarchive.Entry
	for _, id := range e.Deps {
		d := f.byID[id]
		if d == nil || d.Namespace != e.Namespace || !isRelation(d) && d.Desc != "DOMAIN" || !strings.HasPrefix(e.Tag, d.Tag+" ") {
			continue
		}
		if best == nil || len(d.Tag) > len(best.Tag) {
			best = d
		}
	}
	return best
}

// first is the first thing an entry depends on that is as asked for.
func (f *family) first(e *pgarchive.Entry, is func(*pgarchive.Entry) bool) *pgarchive.Entry {
	for _, id := range e.Deps {
		if d := f.byID[id]; d != nil && is(d) {
			return d
		}
	}
	return nil
}

func first(all ...*pgarchive.Entry) *pgarchive.Entry {
	for _, e := range all {
		if e != nil {
			return e
		}
	}
	return nil
}

func isRelation(e *pgarchive.Entry) bool {
	switch e.Desc {
	case "TABLE", "FOREIGN TABLE", "VIEW", "MATERIALIZED VIEW", "SEQUENCE":
		return true
	}
	return false
}

// take adds an entry, all that belongs to it and its partitions to a set.
func (f *family) take(set map[int32]bool, id int32) {
	if set[id] {
		return
	}
	set[id] = true
	for _, member := range f.members[id] {
		f.take(set, member)
	}
	for _, part := range f.parts[id] {
		f.take(set, part)
	}
}

// describe names an entry for messages: "table shop.orders".
func describe(e *pgarchive.Entry) string {
	name := e.Tag
	if e.Namespace != "" {
		name = e.Namespace + "." + name
	}
	return strings.ToLower(e.Desc) + " " + strings.ToValidUTF8(name, "?") // it may be in another encoding
}
