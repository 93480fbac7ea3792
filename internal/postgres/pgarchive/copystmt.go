package pgarchive

import "strings"

// OwnCopy is the COPY statement of the entry's own table. Of a partition whose rows
// another server may put elsewhere (by hash of an enum, or with --load-via-partition-root)
// pg_dump writes into CopyStmt the partitioned table on top instead: throughRoot.
func (e *Entry) OwnCopy() (stmt string, throughRoot bool) {
	rest, ok := strings.CutPrefix(e.CopyStmt, "COPY ")
	if !ok {
		return e.CopyStmt, false
	}
	schema, rest, ok := cutIdentifier(rest)
	if !ok || !strings.HasPrefix(rest, ".") {
		return e.CopyStmt, false
	}
	table, rest, ok := cutIdentifier(rest[1:])
	if !ok || schema == e.Namespace && table == e.Tag {
		return e.CopyStmt, false
	}
	quoted := func(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
	return "COPY " + quoted(e.Namespace) + "." + quoted(e.Tag) + rest, true
}

// cutIdentifier takes the identifier off that SQL of pg_dump begins with.
func cutIdentifier(sql string) (name, rest string, ok bool) {
	if !strings.HasPrefix(sql, `"`) {
		end := strings.IndexAny(sql, `. (`)
		if end < 1 {
			return "", "", false
		}
		return sql[:end], sql[end:], true
	}
	var b strings.Builder
	for sql = sql[1:]; ; {
		before, after, found := strings.Cut(sql, `"`)
		b.WriteString(before)
		if !found {
			return "", "", false
		}
		if !strings.HasPrefix(after, `"`) {
			return b.String(), after, true
		}
		b.WriteByte('"')
		sql = after[1:]
	}
}
