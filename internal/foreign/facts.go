package foreign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/foreign/sqlscript"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// Facts are what a dump says about itself, and what it will ask for.
type Facts struct {
	Format Format
	Layers []string // what it is wrapped in, outermost first
	// Encrypted by openssl enc, which proves nothing about the content.
	Encrypted bool

	// Created is when the dump began, by its own word; zero when it does not tell.
	Created       time.Time
	CreatedFrom   string // which word, for people
	ServerVersion string // of the server that was dumped, "" when not told
	DumpVersion   string // of pg_dump
	Encoding      string // of the text in it, as client_encoding says

	Databases  []Database // that have contents
	Owners     []string   // roles that own things
	Grantees   []string   // roles that have rights, or that policies are about
	Extensions []string
	// Tablespaces that things are in, beside the default one.
	Tablespaces []string
}

// Database is one of those in a dump.
type Database struct {
	// Name as \connect or the archive has it; "" in a dump of one database that does
	// not say which.
	Name       string
	Objects    int64 // statements that make or fill something
	Tables     int64
	Properties postgres.DatabaseProperties // zero where the dump does not tell
}

// maxNames bounds each list of names of Facts.
const maxNames = 100_000

// facts reads a dump and loads nothing: the head of an archive, all of a script.
func (d *dump) facts(ctx context.Context) (*Facts, error) {
	f := &Facts{Format: d.format, Layers: d.layers, Encrypted: d.encrypted}
	if d.archive() {
		f.Created, f.CreatedFrom = d.head.created, "the head of the archive (the clock of the host that dumped, taken as UTC)"
		f.ServerVersion, f.DumpVersion = d.head.serverVersion, d.head.dumpVersion
	}
	if d.format == Tar {
		if err := d.checkTar(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", d.source.Name, err)
		}
	}
	s, err := d.script(ctx, d.archive())
	if err != nil {
		return nil, err
	}
	defer s.Close()
	r := &reading{facts: f, databases: map[string]*Database{}, properties: map[string]postgres.DatabaseProperties{}, owners: names{}, grantees: names{}, extensions: names{}, tablespaces: names{}}
	if err := r.all(s); err != nil {
		return nil, fmt.Errorf("%s: %w", d.source.Name, err)
	}
	switch {
	case d.archive() && len(f.Databases) == 0:
		f.Databases = []Database{{Name: d.head.database}} // one that was empty
	case d.archive() && len(f.Databases) == 1 && f.Databases[0].Name == "":
		f.Databases[0].Name = d.head.database // a part of one
	}
	return f, nil
}

// reading gathers facts while a script passes by.
type reading struct {
	facts                   *Facts
	order                   []string
	databases               map[string]*Database
	properties              map[string]postgres.DatabaseProperties
	owners, grantees        names
	extensions, tablespaces names
	current                 string // database
	trailer                 trailer
}

func (r *reading) all(s io.Reader) error {
	in := sqlscript.NewScanner(s)
	in.Comment = r.comment
	backslashes := false
	for {
		item, err := in.Next(backslashes)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return ended(err)
		}
		if item.Kind == sqlscript.Command {
			database, err := checkCommand(item)
			if err != nil {
				return err
			}
			if database != "" {
				r.current = database
			}
			r.trailer.command(item)
			continue
		}
		if err := checkStatement(item); err != nil {
			return err
		}
		if off, ok := setsStandardStrings(item); ok {
			backslashes = off
		}
		r.statement(item)
		if item.CopiesIn() {
			if _, err := io.Copy(io.Discard, in.Rows()); err != nil {
				return fmt.Errorf("the rows after line %d: %w", item.Line, ended(err))
			}
		}
	}
	if err := r.trailer.check(); err != nil {
		return err
	}
	f := r.facts
	for _, name := range r.order {
		db := *r.databases[name]
		db.Properties = r.properties[name]
		f.Databases = append(f.Databases, db)
	}
	f.Owners, f.Grantees, f.Extensions = r.owners.sorted(), r.grantees.sorted(), r.extensions.sorted()
	f.Tablespaces = r.tablespaces.sorted()
	return nil
}

func (r *reading) comment(text string) {
	r.trailer.comment(text)
	f := r.facts
	if version, ok := strings.CutPrefix(text, "-- Dumped from database version "); ok && f.ServerVersion == "" {
		f.ServerVersion = version
	}
	if version, ok := strings.CutPrefix(text, "-- Dumped by pg_dump version "); ok && f.DumpVersion == "" {
		f.DumpVersion = version
	}
	if started, ok := strings.CutPrefix(text, "-- Started on "); ok && f.Created.IsZero() {
		f.Created, f.CreatedFrom = parseStarted(started)
	}
}

func (r *reading) statement(item sqlscript.Item) {
	t := item.Tokens
	switch item.Subject() {
	case sqlscript.Cluster:
		if t.Begin("CREATE", "DATABASE") && len(t) > 2 {
			r.properties[t.Name(2)] = databaseProperties(t)
		}
		return
	case sqlscript.Settings:
		if t.Begin("SET", "client_encoding") && r.facts.Encoding == "" {
			r.facts.Encoding = t[len(t)-1].Text
		}
		if t.Begin("SET", "default_tablespace") && len(t) > 2 {
			r.tablespaces.add(t[len(t)-1].Text)
		}
		return
	case sqlscript.Owner:
		r.owners.add(item.Roles()...)
		return
	case sqlscript.Rights:
		r.grantees.add(item.Roles()...)
		return
	}
	r.grantees.add(item.Roles()...)
	if t.Begin("CREATE", "EXTENSION") {
		at := 2
		if t.Find("IF", "NOT", "EXISTS") == 2 {
			at = 5
		}
		r.extensions.add(t.Name(at))
		if t.Name(at) == "plpgsql" {
			return // dumps of every database had it once
		}
	}
	if t.Begin("COMMENT") {
		return
	}
	db := r.databases[r.current]
	if db == nil {
		if len(r.order) >= maxNames {
			return
		}
		db = &Database{Name: r.current}
		r.databases[r.current] = db
		r.order = append(r.order, r.current)
	}
	db.Objects++
	if t.Begin("CREATE", "TABLE") || t.Begin("CREATE", "UNLOGGED", "TABLE") {
		db.Tables++
	}
}

// databaseProperties are what a CREATE DATABASE of pg_dump says.
func databaseProperties(t sqlscript.Tokens) postgres.DatabaseProperties {
	var p postgres.DatabaseProperties
	value := func(keyword string) string {
		if at := t.Find(keyword); at > 0 && at+1 < len(t) {
			return t[at+1].Text
		}
		return ""
	}
	p.Encoding, p.LocaleProvider, p.ICURules = value("ENCODING"), strings.ToLower(value("LOCALE_PROVIDER")), value("ICU_RULES")
	p.Collate, p.CType = value("LC_COLLATE"), value("LC_CTYPE")
	if locale := value("LOCALE"); locale != "" && p.Collate == "" {
		p.Collate, p.CType = locale, locale
	}
	for _, keyword := range []string{"ICU_LOCALE", "BUILTIN_LOCALE"} {
		if locale := value(keyword); locale != "" {
			p.Locale = locale
		}
	}
	return p
}

// trailer holds that a dump that says it begins also says that it is complete.
type trailer struct {
	open, openAll bool
	key           string // of \restrict
}

// command notes the pair of commands that newer pg_dumps put around all of it.
func (t *trailer) command(item sqlscript.Item) {
	switch verb, key, _ := strings.Cut(item.Text, " "); {
	case verb == `\restrict`:
		t.key = key
	case verb == `\unrestrict` && key == t.key:
		t.key = ""
	}
}

func (t *trailer) comment(text string) {
	switch text {
	case "-- PostgreSQL database dump":
		t.open = true
	case "-- PostgreSQL database dump complete":
		t.open = false
	case "-- PostgreSQL database cluster dump":
		t.openAll = true
	case "-- PostgreSQL database cluster dump complete":
		t.openAll = false
	}
}

func (t *trailer) check() error {
	if t.open || t.openAll || t.key != "" {
		return fmt.Errorf("%w: its last line is not the one with which pg_dump says that the dump is complete", ErrTruncated)
	}
	return nil
}

// checkCommand refuses all that psql would obey but what pg_dump writes; it
// returns the database that a \connect names.
func checkCommand(item sqlscript.Item) (database string, err error) {
	if name, ok := item.Connects(); ok {
		return name, nil
	}
	if item.Ignorable() {
		return "", nil
	}
	verb, _, _ := strings.Cut(item.Text, " ")
	return "", fmt.Errorf("%w: line %d has psql's command %.20q, which pg_dump does not write: it could run programs on this machine; look at the line, take it out if it is harmless, and try again", ErrHostile, item.Line, verb)
}

func checkStatement(item sqlscript.Item) error {
	if item.HidesRows() {
		return fmt.Errorf("%w: line %d has a COPY inside another statement", ErrHostile, item.Line)
	}
	return nil
}

// setsStandardStrings tells whether a statement switches standard_conforming_strings,
// and whether backslashes escape then.
func setsStandardStrings(item sqlscript.Item) (backslashes, ok bool) {
	t := item.Tokens
	if !t.Begin("SET", "standard_conforming_strings") || len(t) < 3 {
		return false, false
	}
	value := strings.ToLower(t[len(t)-1].Text)
	return value == "off" || value == "false", true
}

// ended says what the end of the script inside something means.
func ended(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, ErrTruncated) {
		return fmt.Errorf("%w: %w", ErrTruncated, err)
	}
	return err
}

// names is a set of bounded size.
type names map[string]bool

func (n names) add(list ...string) {
	for _, name := range list {
		if name != "" && len(n) < maxNames {
			n[name] = true
		}
	}
}

func (n names) sorted() []string {
	out := make([]string, 0, len(n))
	for name := range n {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
