package restore

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
)

// Selection is a part of a backup. The zero value is all of it.
type Selection struct {
	// Tables and Schemas are patterns of pg_dump's -t and -n. Tables stands for
	// views, materialized views, sequences and foreign tables too. What belongs to
	// a table comes with it: indexes, constraints, defaults, sequences of its
	// columns, triggers, policies, rights, comments, statistics and partitions. In
	// an archive that is not in UTF-8 only wildcards match letters beyond ASCII.
	Tables, Schemas []string
	DataOnly        bool // rows and sequences, into tables that are there and empty
	SchemaOnly      bool // everything but rows, sequences' values and large objects

	// WithDependencies also restores what the selected things need and the
	// database does not have: types, functions, tables that are referred to.
	WithDependencies bool
	// WithoutUnmet leaves out constraints, triggers, policies, defaults and the
	// like that need what is neither selected nor there, and names them.
	WithoutUnmet bool
}

// Everything tells whether nothing is singled out.
func (s Selection) Everything() bool {
	return len(s.Tables) == 0 && len(s.Schemas) == 0 && !s.DataOnly && !s.SchemaOnly
}

// named tells whether some objects are singled out by their names.
func (s Selection) named() bool { return len(s.Tables) > 0 || len(s.Schemas) > 0 }

// ErrNoMatch: a pattern matches nothing in the backup.
var ErrNoMatch = postgres.ErrNoMatch

// ErrSelection: what is asked for contradicts itself.
var ErrSelection = errors.New("this can not be selected")

// choose finds the entries that a selection means.
func (f *family) choose(s Selection) (map[int32]bool, error) {
	if s.DataOnly && s.SchemaOnly {
		return nil, fmt.Errorf("%w: only the data and only the schema is nothing; give one of the two", ErrSelection)
	}
	set := map[int32]bool{}
	if !s.named() {
		for id := range f.byID {
			set[id] = true
		}
	}
	if err := f.chooseTables(set, s.Tables); err != nil {
		return nil, err
	}
	if err := f.chooseSchemas(set, s.Schemas); err != nil {
		return nil, err
	}
	for id := range set {
		if e := f.byID[id]; s.named() && neverSelected(e) || s.DataOnly && !f.isData(e) || s.SchemaOnly && isContents(e) {
			delete(set, id)
		}
	}
	if len(set) == 0 {
		return nil, fmt.Errorf("%w: what is selected has no such part in this backup", ErrSelection)
	}
	return set, nil
}

func (f *family) chooseTables(set map[int32]bool, patterns []string) error {
	for _, text := range patterns {
		p, err := postgres.TablePattern(text)
		if err != nil {
			return err
		}
		var found, names []string
		for i := range f.toc.Entries {
			e := &f.toc.Entries[i]
			if !isRelation(e) {
				continue
			}
			names = append(names, e.Namespace+"."+e.Tag)
			if p.Match(e.Namespace, e.Tag) {
				found = append(found, e.Namespace+"."+e.Tag)
				f.take(set, e.DumpID)
			}
		}
		if len(found) == 0 {
			return noMatch("table", text, names, p.Qualified)
		}
		if len(found) > 1 && p.Literal && !p.Qualified {
			return fmt.Errorf("%w: table %s is in several schemas of the backup: %s; name the schema too", ErrSelection, text, strings.Join(found, ", "))
		}
	}
	return nil
}

func (f *family) chooseSchemas(set map[int32]bool, patterns []string) error {
	for _, text := range patterns {
		p, err := postgres.SchemaPattern(text)
		if err != nil {
			return err
		}
		found := false
		var names []string
		for i := range f.toc.Entries {
			e := &f.toc.Entries[i]
			schema := e.Namespace
			if e.Desc == "SCHEMA" {
				schema = e.Tag
			}
			if schema == "" {
				continue
			}
			if !slices.Contains(names, schema) {
				names = append(names, schema)
			}
			if p.Match(schema, "") {
				found = true
				f.take(set, e.DumpID)
			}
		}
		if !found {
			return noMatch("schema", text, names, true)
		}
	}
	return nil
}

// noMatch names the pattern and the nearest thing the backup has.
func noMatch(what, pattern string, names []string, qualified bool) error {
	candidates := names
	if !qualified {
		candidates = nil
		for _, n := range names {
			_, name, _ := strings.Cut(n, ".")
			candidates = append(candidates, name)
		}
	}
	hint := nearest.Suggestion(pattern, candidates)
	return fmt.Errorf("%w: no %s of the backup matches %s%s", ErrNoMatch, what, pattern, hint)
}

// neverSelected are the kinds that concern more than a table or a schema.
func neverSelected(e *pgarchive.Entry) bool {
	return strings.HasPrefix(e.Desc, "PUBLICATION") || strings.HasPrefix(e.Desc, "SUBSCRIPTION") || e.Desc == "EVENT TRIGGER" || isLargeObject(e)
}

func isLargeObject(e *pgarchive.Entry) bool {
	switch e.Desc {
	case "BLOB", "BLOBS", "BLOB METADATA", "BLOB COMMENTS":
		return true
	}
	return strings.HasPrefix(e.Tag, "LARGE OBJECT ")
}

// isContents tells what --schema-only leaves out.
func isContents(e *pgarchive.Entry) bool {
	switch e.Desc {
	case "TABLE DATA", "SEQUENCE SET", "MATERIALIZED VIEW DATA", "STATISTICS DATA":
		return true
	}
	return isLargeObject(e)
}

// isData tells what --data-only restores: rows of tables and where sequences
// stand. What extensions keep in tables of their own they have made already.
func (f *family) isData(e *pgarchive.Entry) bool {
	switch e.Desc {
	case "TABLE DATA":
		host := f.byID[f.host[e.DumpID]]
		return host != nil && host.Desc != "EXTENSION"
	case "SEQUENCE SET":
		return true
	}
	return false
}
