package restore

import (
	"fmt"
	"strings"
)

// plan tells the steps of a restore that can be done.
func (r *run) plan(x examination) []Step {
	var steps []Step
	say := func(format string, args ...any) { steps = append(steps, Step{fmt.Sprintf(format, args...)}) }
	if r.Globals {
		say("create the roles of the backup that the server lacks")
	}
	inserting := x.exists && !r.Select.Everything()
	switch {
	case inserting:
		say("begin a transaction in database %s on %s: whatever fails, it stays as it was", r.Target.Database, r.Target.Host)
	case x.exists:
		say("use the empty database %s on %s", r.Target.Database, r.Target.Host)
	default:
		say("create database %s on %s (encoding %s)", r.Target.Database, r.Target.Host, r.point.Server.Encoding)
	}
	if r.point.Seal == nil {
		say("run the SQL of a backup that is not sealed: whoever may write to %s decides what that is", r.Repo.URL())
	}
	for _, w := range r.result.Warnings {
		say("note: %s", w)
	}
	for _, l := range r.result.LeftOut {
		say("leave out %s: %s", l.What, l.Why)
	}
	if len(r.result.Added) > 0 {
		say("also restore what the selected things need: %s", list(r.result.Added))
	}
	if !r.Select.DataOnly {
		what := "schemas, types, functions and tables"
		if r.chosen != nil {
			what = list(r.selected())
		}
		say("restore %s (pg_restore %s, section pre-data)", what, r.tools.Version)
	}
	if !r.Select.SchemaOnly {
		tables, rows, bytes, objects := r.amounts()
		how := fmt.Sprintf("with %d loaders reading ranges of the backup", r.Jobs)
		if inserting {
			how = "reading only their ranges of the backup"
		}
		say("load %d tables, %d rows, %d bytes, %s", tables, rows, bytes, how)
		if objects > 0 {
			say("set sequences and load %d large objects", objects)
		} else {
			say("set sequences")
		}
	}
	switch {
	case r.Select.DataOnly:
		say("check foreign keys; the tables' triggers do not fire")
	case inserting:
		say("build indexes, constraints, triggers and materialized views (section post-data)")
	default:
		say("build indexes, constraints, triggers and materialized views (section post-data, %d jobs)", r.Jobs)
	}
	if !r.Select.SchemaOnly {
		say("compare rows, bytes and hash of every table with the backup's")
	}
	if inserting {
		say("commit")
	}
	if n := len(r.propertyStatements()); n > 0 && !x.exists {
		say("give the database its owner, settings, rights and comment (%d statements)", n)
	}
	if r.Analyze {
		say("collect planner statistics (ANALYZE)")
	}
	return steps
}

// selected names the selected objects that stand on their own.
func (r *run) selected() []string {
	var names []string
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		if _, belongs := r.family.host[e.DumpID]; belongs || !r.wanted(e) || strings.HasPrefix(e.Desc, "ENCODING") || e.Namespace == "" && e.DropStmt == "" {
			continue
		}
		names = append(names, describe(e))
	}
	return names
}

// amounts of what is loaded; bytes are those of COPY text.
func (r *run) amounts() (tables, rows, bytes, largeObjects int64) {
	for _, e := range r.index.Entries {
		rec := r.records[int32(e.DumpID)]
		switch {
		case r.loads(e):
			tables++
			rows += rec.Rows
			bytes += rec.Bytes
		case r.loadsLargeObjects(e):
			largeObjects += rec.Rows
		}
	}
	return tables, rows, bytes, largeObjects
}
