package foreign

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// maxJobs bounds the connections of pg_restore unless more are asked for.
const maxJobs = 8

// Options of Load, Plan and Examine.
type Options struct {
	Source *Source
	Key    Key
	// TempDir is where a tar of a directory archive is unpacked; "" is the system's.
	TempDir string

	Target   postgres.Target // the database to fill: made when it is missing, refused when it is not empty
	Database string          // of those in the file; "" when it holds one
	Jobs     int             // 0 = the number of processors, at most 8; for archives that pg_restore can seek in
	NoOwner  bool
	NoRights bool // without GRANT and REVOKE
	// Globals makes the roles that a dump of pg_dumpall has and the server lacks.
	Globals bool
	// MakeRoles makes the roles that are named and missing, without a login: for a
	// server that nobody else uses.
	MakeRoles bool
	// Properties of a database that is made, where the file does not tell them.
	Properties postgres.DatabaseProperties
	// AnyLocale falls back to the server's own locale where that of the file is not
	// installed, instead of failing.
	AnyLocale bool
	Analyze   bool
	// SHA256 of the source's stored bytes as it was examined, in hex; "" is not known.
	SHA256 string

	Log      *slog.Logger
	Progress *Progress
}

func (o *Options) defaults() {
	if o.Jobs <= 0 {
		o.Jobs = min(runtime.NumCPU(), maxJobs)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = &Progress{}
	}
	o.Progress.Expected.Store(max(0, o.Source.Size))
}

// Result of Load. Nothing in it is compared with anything: there is nothing that
// could be held against it.
type Result struct {
	Facts     *Facts
	Database  string // filled
	Of        string // database in the file, "" when it does not say
	Created   bool
	Tables    int64    // that are in the database now
	Rows      int64    // counted in them
	Notes     []string // what was left out, and did no harm
	Warnings  []string
	Durations map[string]float64 // seconds of each step
}

// NoProof is what has to be said of every foreign file.
const NoProof = "nothing proves that the content is what was dumped: the file has no record to compare with, and restoring it runs its SQL as it is"

// Examine reads what a source is and says of itself, and loads nothing.
func Examine(ctx context.Context, o Options) (*Facts, error) {
	o.defaults()
	d, err := openDump(ctx, o.Source, o.Key, o.TempDir, nil)
	if err != nil {
		return nil, err
	}
	facts, err := d.facts(ctx)
	return facts, errors.Join(err, d.close())
}

// load is one Load under way.
type load struct {
	Options
	dump   *dump
	facts  *Facts
	chosen Database
	major  int // of the server
	exists bool
	// noTablespaces: the server lacks one of the file's.
	noTablespaces bool

	result Result
}

// Load fills a database from a foreign file. A database that this call made is
// dropped again when it fails; one that was there is left as it is then.
func Load(ctx context.Context, o Options) (r Result, err error) {
	o.defaults()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l := &load{Options: o}
	defer func() {
		if l.dump != nil {
			err = errors.Join(err, l.dump.close())
		}
	}()
	o.Progress.at("looking")
	if err := l.look(ctx); err != nil {
		return l.result, err
	}
	if err := l.prepare(ctx); err != nil {
		return l.result, err
	}
	if err := l.steps(ctx); err != nil {
		err = cause(ctx, err)
		return l.result, l.undo(ctx, fmt.Errorf("load %s into database %s: %w", o.Source.Name, o.Target.Database, err))
	}
	return l.result, nil
}

// Plan says what Load would do, reading the file and the server and changing
// nothing.
func Plan(ctx context.Context, o Options) (steps []string, facts *Facts, err error) {
	o.defaults()
	l := &load{Options: o}
	defer func() {
		if l.dump != nil {
			err = errors.Join(err, l.dump.close())
		}
	}()
	if err := l.look(ctx); err != nil {
		return nil, nil, err
	}
	say := func(format string, args ...any) { steps = append(steps, fmt.Sprintf(format, args...)) }
	say("read %s: %s%s", o.Source.Name, l.facts.Format, wrapped(l.facts.Layers))
	if u := l.dump.unpacked; u != nil {
		say("unpack %d bytes of it into a temporary folder", u.bytes)
	}
	if l.exists {
		say("use the empty database %s on %s", o.Target.Database, o.Target.Host)
	} else {
		say("create database %s on %s", o.Target.Database, o.Target.Host)
	}
	if l.parallel() {
		say("run the SQL of the file, whatever it is, with %d connections (pg_restore %s)", o.Jobs, l.dump.tools.Version)
	} else {
		say("run the SQL of the file, whatever it is, from its first line to its last")
	}
	say("count the rows of every table; there is nothing to compare them with")
	if o.Analyze {
		say("collect planner statistics (ANALYZE)")
	}
	return steps, l.facts, nil
}

func wrapped(layers []string) string {
	if len(layers) == 0 {
		return ""
	}
	return " in " + strings.Join(layers, " in ")
}

// look reads the file and the server, and refuses what can not work.
func (l *load) look(ctx context.Context) (err error) {
	if l.dump, err = openDump(ctx, l.Source, l.Key, l.TempDir, nil); err != nil {
		l.dump = nil
		return err
	}
	if l.facts, err = l.dump.facts(ctx); err != nil {
		return err
	}
	l.dump.read = &l.Progress.Read
	if l.chosen, err = l.facts.choose(l.Database); err != nil {
		return fmt.Errorf("%s: %w", l.Source.Name, err)
	}
	l.result = Result{Facts: l.facts, Database: l.Target.Database, Of: l.chosen.Name, Durations: map[string]float64{}}
	if l.exists, err = l.examineDatabase(ctx); err != nil {
		return err
	}
	return l.checkServer(ctx)
}

// Choose finds the databases of the file that are meant: the one of that name, or
// every one for "".
func (f *Facts) Choose(name string) ([]Database, error) {
	if len(f.Databases) == 0 {
		return nil, fmt.Errorf("%w: it makes nothing in any database", ErrUnknown)
	}
	// A dump that does not say which database it is of has the one that is meant.
	if name == "" || len(f.Databases) == 1 && f.Databases[0].Name == "" {
		return f.Databases, nil
	}
	for _, db := range f.Databases {
		if db.Name == name {
			return []Database{db}, nil
		}
	}
	return nil, fmt.Errorf("%w: %s; it has %s", ErrNoSuchDatabase, name, f.list())
}

func (f *Facts) choose(name string) (Database, error) {
	databases, err := f.Choose(name)
	if err != nil {
		return Database{}, err
	}
	if len(databases) > 1 {
		return Database{}, fmt.Errorf("%w: %s; name one of them with --database-in-file", ErrSeveralDatabases, f.list())
	}
	return databases[0], nil
}

func (f *Facts) list() string {
	all := make([]string, len(f.Databases))
	for i, db := range f.Databases {
		all[i] = db.Name
	}
	return strings.Join(all, ", ")
}

// parallel tells whether pg_restore loads the archive by itself, with several
// connections. A newer pg_restore sets what an older server does not know.
func (l *load) parallel() bool {
	return l.Jobs > 1 && l.dump.path() != "" && (l.dump.format == Custom || l.dump.format == Directory || l.dump.format == TarFolder) &&
		(l.dump.tools.Major <= l.major || l.dump.tools.Major < 12)
}

func (l *load) steps(ctx context.Context) error {
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"loading", l.load},
		{"counting", l.count},
		{"statistics", l.analyze},
		{"finishing", func(ctx context.Context) error { return l.comment(ctx, "NULL") }},
	} {
		l.Progress.at(step.name)
		begun := time.Now()
		if err := step.do(ctx); err != nil {
			return err
		}
		l.result.Durations[step.name] = time.Since(begun).Seconds()
	}
	return nil
}

// load runs the file's SQL.
func (l *load) load(ctx context.Context) error {
	if l.parallel() {
		return postgres.RestoreArchive(ctx, l.dump.tools, l.Target, l.dump.as(), postgres.RestoreOptions{
			Jobs: l.Jobs, NoOwner: l.NoOwner, NoPrivileges: l.NoRights, ServerMajor: l.major, NoTablespaces: l.noTablespaces,
		})
	}
	s, err := l.dump.script(ctx, false)
	if err != nil {
		return err
	}
	defer s.Close()
	conn, err := session(ctx, l.Target)
	if err != nil {
		return err
	}
	defer postgres.CloseSoon(conn)
	r := &runner{conn: conn, noOwner: l.NoOwner, noPrivileges: l.NoRights, progress: l.Progress}
	if !l.dump.archive() {
		r.database = l.chosen.Name
	}
	if l.MakeRoles {
		r.makeRole = l.makeRole
	}
	if l.Globals {
		g := &globals{load: l, made: map[string]bool{}}
		r.globals = g.run
	}
	if err := r.run(ctx, s); err != nil {
		return err
	}
	l.result.Notes = said(r.left)
	sum, err := s.sum()
	if err != nil {
		return err
	}
	if l.SHA256 != "" && sum != "" && sum != l.SHA256 {
		return fmt.Errorf("%w: its SHA-256 was %s and is %s", ErrChanged, l.SHA256, sum)
	}
	return nil
}

// said tells what was left out, the same each time.
func said(left map[string]int64) []string {
	var out []string
	for why, n := range left {
		noun := "statements"
		if n == 1 {
			noun = "statement"
		}
		out = append(out, fmt.Sprintf("left out %d %s: %s", n, noun, why))
	}
	slices.Sort(out)
	return out
}

// count counts the rows of every table.
func (l *load) count(ctx context.Context) error {
	conn, err := l.Target.Connect(ctx)
	if err != nil {
		return err
	}
	defer postgres.CloseSoon(conn)
	tables, err := list(ctx, conn, "tables", `SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')`)
	if err != nil {
		return err
	}
	for _, table := range tables {
		var n int64
		if err := conn.QueryRow(ctx, "SELECT pg_catalog.count(*) FROM ONLY "+table).Scan(&n); err != nil {
			return fmt.Errorf("count the rows of %s: %w", table, err)
		}
		l.result.Tables++
		l.result.Rows += n
	}
	return nil
}

// analyze collects planner statistics of tables and materialized views. Foreign
// tables, which ANALYZE alone would read too, are on servers that may not be there.
func (l *load) analyze(ctx context.Context) error {
	if !l.Analyze {
		return nil
	}
	conn, err := l.Target.Connect(ctx)
	if err != nil {
		return err
	}
	defer postgres.CloseSoon(conn)
	tables, err := postgres.OwnTables(ctx, conn)
	if err != nil || len(tables) == 0 {
		return err
	}
	if _, err := conn.Exec(ctx, "ANALYZE "+strings.Join(tables, ", ")); err != nil {
		if conn.IsClosed() || ctx.Err() != nil {
			return err
		}
		l.result.Warnings = append(l.result.Warnings, fmt.Sprintf("the data is loaded, but ANALYZE failed: %v", err))
	}
	return nil
}
