package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
)

// Errors about what a selection meets in the database.
var (
	// ErrUnmet: what is selected needs things that are neither selected nor there.
	ErrUnmet = errors.New("what is selected needs things that the database does not have")
	// ErrExists: something that is selected is in the database already.
	ErrExists = errors.New("the database already has what is to be restored")
	// ErrNoTable: a table that only data is to be restored into is not there, or is
	// not empty.
	ErrNoTable = errors.New("the database has no such empty table for the data")
)

// need is something that is not selected and not there, and what needs it.
type need struct {
	what *pgarchive.Entry
	by   []*pgarchive.Entry
}

// settle makes a selection fit a database: it takes away what is there already
// and no matter, such as its schema, adds what is lacking where that is wanted,
// and returns what stands in the way.
func (r *run) settle(ctx context.Context, l *lookup) ([]error, error) {
	if r.Select.DataOnly {
		return nil, nil
	}
	if err := r.dropSchemas(ctx, l); err != nil {
		return nil, err
	}
	if r.Select.WithDependencies {
		if err := r.takeImplied(ctx, l); err != nil {
			return nil, err
		}
	}
	var problems []error
	for {
		unmet, err := r.unmet(ctx, l)
		if err != nil {
			return nil, err
		}
		again := false
		var left []need
		for _, n := range unmet {
			switch {
			case r.Select.WithDependencies || n.what.Desc == "SCHEMA":
				r.family.take(r.chosen, n.what.DumpID)
				r.leaveOutOfSelection()
				if !r.wanted(n.what) { // it is left out for another reason
					left = append(left, n)
					break
				}
				r.result.Added = append(r.result.Added, describe(n.what))
				again = true
			case r.Select.WithoutUnmet && r.leaveOutUnmet(n):
				again = true
			default:
				left = append(left, n)
			}
		}
		if again {
			continue
		}
		if len(left) > 0 {
			problems = append(problems, unmetError(left))
		}
		break
	}
	taken, err := r.taken(ctx, l)
	if err != nil {
		return nil, err
	}
	if len(taken) > 0 {
		problems = append(problems, fmt.Errorf("%w: %s; name another database, or drop or rename what is there", ErrExists, list(taken)))
	}
	return problems, r.tellOrphans(ctx, l)
}

// takeImplied adds what exclusion constraints mostly need: their archives do not
// tell which operator classes they use.
func (r *run) takeImplied(ctx context.Context, l *lookup) error {
	var gist *pgarchive.Entry
	excludes := false
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		if e.Desc == "EXTENSION" && e.Tag == "btree_gist" {
			gist = e
		}
		excludes = excludes || e.Desc == "CONSTRAINT" && r.wanted(e) && strings.Contains(e.Defn, " EXCLUDE USING gist ")
	}
	if gist == nil || !excludes || r.wanted(gist) {
		return nil
	}
	there, err := l.has(ctx, gist)
	if err == nil && !there {
		r.family.take(r.chosen, gist.DumpID)
		r.result.Added = append(r.result.Added, describe(gist))
	}
	return err
}

// dropSchemas takes schemas that are there out of the selection, with their
// rights and comments: they stay as they are.
func (r *run) dropSchemas(ctx context.Context, l *lookup) error {
	for id := range r.chosen {
		e := r.family.byID[id]
		if e.Desc != "SCHEMA" {
			continue
		}
		there, err := l.has(ctx, e)
		if err != nil {
			return err
		}
		// In a new database "public" is there as the template has it, and gets its
		// owner and rights from the backup.
		if !there || l.conn == nil {
			continue
		}
		delete(r.chosen, id)
		for _, member := range r.family.members[id] {
			delete(r.chosen, member)
		}
	}
	return nil
}

// leaveOutOfSelection takes back what a closure over dependencies brought and the
// selection does not want.
func (r *run) leaveOutOfSelection() {
	for id := range r.chosen {
		if e := r.family.byID[id]; neverSelected(e) || r.Select.SchemaOnly && isContents(e) {
			delete(r.chosen, id)
		}
	}
}

// unmet is what the selected entries need and is neither selected nor there.
func (r *run) unmet(ctx context.Context, l *lookup) ([]need, error) {
	var all []need
	at := map[int32]int{}
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		if !r.wanted(e) {
			continue
		}
		seen := map[int32]bool{}
		for _, id := range e.Deps {
			d := r.family.needed(e, id)
			if d == nil || r.wanted(d) || seen[d.DumpID] {
				continue
			}
			seen[d.DumpID] = true
			there, err := l.has(ctx, d)
			if err != nil {
				return nil, err
			}
			if there {
				continue
			}
			n, ok := at[d.DumpID]
			if !ok {
				n = len(all)
				at[d.DumpID] = n
				all = append(all, need{what: d})
			}
			all[n].by = append(all[n].by, e)
		}
	}
	return all, nil
}

// needed is the object that an entry can not be made without because it names
// dependency id, or nil when it can.
func (f *family) needed(e *pgarchive.Entry, id int32) *pgarchive.Entry {
	d := f.byID[id]
	if d == nil || e.Desc == "INDEX ATTACH" {
		return nil // attaching the table attaches the indexes that fit
	}
	switch d.Desc {
	case "ACL", "COMMENT", "SECURITY LABEL", "DEFAULT ACL", "TABLE DATA", "SEQUENCE SET", "MATERIALIZED VIEW DATA", "TABLE ATTACH", "INDEX ATTACH", "DEFAULT", "ROW SECURITY", "BLOB", "BLOBS", "BLOB METADATA":
		return nil // an order of restoring, or of no concern
	case "CONSTRAINT", "INDEX":
		if e.Desc == "INDEX" || e.Desc == "CONSTRAINT" {
			return nil // of the partitioned table; a partition's stands alone
		}
		return f.byID[f.host[id]] // a foreign key needs the table
	case "RULE":
		return f.byID[f.host[id]]
	}
	if isRelation(e) && f.parentOf[e.DumpID] == id {
		return nil // only TABLE ATTACH needs it
	}
	return d
}

// optional are the kinds without which a table still holds its rows.
func optional(e *pgarchive.Entry) bool {
	switch e.Desc {
	case "FK CONSTRAINT", "CHECK CONSTRAINT", "TRIGGER", "POLICY", "RULE", "DEFAULT", "TABLE ATTACH", "INDEX", "STATISTICS", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE", "FUNCTION", "PROCEDURE", "AGGREGATE":
		return true
	}
	return false
}

// leaveOutUnmet leaves out what needs the unmet thing, if all of that can be
// done without.
func (r *run) leaveOutUnmet(n need) bool {
	if slices.ContainsFunc(n.by, func(e *pgarchive.Entry) bool { return !optional(e) }) {
		return false
	}
	for _, e := range n.by {
		r.leaveOut(e, "it needs "+describe(n.what)+", which is neither selected nor in the database")
	}
	return true
}

func unmetError(all []need) error {
	texts := make([]string, len(all))
	for i, n := range all {
		by := describe(n.by[0])
		if len(n.by) > 1 {
			by += fmt.Sprintf(" and %d more", len(n.by)-1)
		}
		texts[i] = describe(n.what) + " (for " + by + ")"
	}
	return fmt.Errorf("%w: %s; select these too, restore them with it (--with-dependencies), leave out the keys, triggers and policies that need them (--without-unmet), or create them first", ErrUnmet, list(texts))
}

// taken names the selected objects that the database has already.
func (r *run) taken(ctx context.Context, l *lookup) ([]string, error) {
	var names []string
	if l.conn == nil {
		return nil, nil
	}
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		query, _ := existsQuery(e)
		if !r.wanted(e) || query == "" {
			continue
		}
		there, err := l.has(ctx, e)
		if err != nil {
			return nil, err
		}
		if there {
			names = append(names, describe(e))
		}
	}
	return names, nil
}

// mostListed bounds a list in a message.
const mostListed = 20

func list(names []string) string {
	if n := len(names) - mostListed; n > 0 {
		return strings.Join(names[:mostListed], ", ") + fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(names, ", ")
}
