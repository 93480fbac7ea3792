// Package imported makes recovery points of dumps that other programs wrote: each
// is loaded into a server that lives for that alone, and backed up from there like
// any database, under the date of the dump.
//
// What lives here: which date a file has, and the order of the steps. What must
// not: reading foreign files (package foreign), the server (package scratch), the
// backup itself (package backup), and flags and printing (the faces).
package imported

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/foreign"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/scratch"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Options of Look and Run.
type Options struct {
	// Options of the new points. Source is their name; of a file with several
	// databases they are called <database>@<source>, one each.
	point.Options
	File     *foreign.Source
	Key      foreign.Key
	Database string    // the only one of the file to import; "" is every one
	Date     time.Time // when the dump was made; zero is what file says
	Scratch  scratch.Options
	Reading  *foreign.Progress // of the file; may be nil
}

// Found is a database of a file, as it would be or was imported.
type Found struct {
	Source   string // of the point
	Start    time.Time
	Imported repo.Imported
	// Exists is the point that was made of it before; then there is nothing to do.
	Exists *repo.Ref

	database foreign.Database
	facts    *foreign.Facts
}

// ErrNoDate: nothing says when the file was made.
var ErrNoDate = errors.New("nothing says when it was dumped")

// Look reads a file and finds out what there is to import, without changing
// anything. Of a file that was imported before it reads only the digest.
func Look(ctx context.Context, o Options) ([]Found, error) {
	sum, size, err := foreign.Digest(ctx, o.File)
	if err != nil {
		return nil, err
	}
	facts, err := foreign.Examine(ctx, foreign.Options{Source: o.File, Key: o.Key, TempDir: o.Scratch.Directory})
	if err != nil {
		return nil, err
	}
	start, from := o.Date, "given at the import"
	if start.IsZero() {
		start, from = facts.Date(o.File)
	}
	if start.IsZero() {
		return nil, fmt.Errorf("%s: %w; give --date", o.File.Name, ErrNoDate)
	}
	start = start.UTC().Truncate(time.Second)
	if err := point.CheckStart(start, o.now()); err != nil {
		return nil, fmt.Errorf("%s: %w, which comes from %s; give the right one with --date", o.File.Name, err, from)
	}
	databases, err := facts.Choose(o.Database)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.File.Name, err)
	}
	var found []Found
	for _, db := range databases {
		f := Found{Source: o.Source, Start: start, database: db, facts: facts, Imported: repo.Imported{
			Name: o.File.Name, SHA256: sum, Size: size, Format: string(facts.Format), WrappedIn: facts.Layers, Database: db.Name,
			DateFrom: from, ServerVersion: facts.ServerVersion, DumpVersion: facts.DumpVersion,
		}}
		if len(databases) > 1 {
			f.Source = db.Name + "@" + o.Source
		}
		was, err := point.FindImported(ctx, o.Repo, repo.Filter{Source: f.Source, Kind: logical.Kind}, f.Imported)
		if err != nil {
			return nil, err
		}
		if was != nil {
			f.Exists = &was.Ref
		} else if from == foreign.ByModified {
			if err := o.notNewest(ctx, f); err != nil {
				return nil, err
			}
		}
		found = append(found, f)
	}
	return found, nil
}

// notNewest keeps a dump whose date is a guess from becoming the latest point of a
// source that has backups: a restore of the latest would bring it back, and rotation
// would count from it.
func (o Options) notNewest(ctx context.Context, f Found) error {
	points, err := o.Repo.List(ctx, repo.Filter{Source: f.Source, Kind: logical.Kind}) // the newest first
	if err != nil {
		return err
	}
	i := slices.IndexFunc(points, repo.Listed.Verified)
	if i < 0 || points[i].Start.After(f.Start) {
		return nil
	}
	// After one that was imported too this is the next of a collection.
	if m, err := o.Repo.Manifest(ctx, points[i].Ref); err == nil && m.Origin != nil && m.Origin.Imported != nil {
		return nil
	}
	return fmt.Errorf("%s: %w but %s, %s, which may be when it was copied, and it would become the latest backup of %s; give --date", o.File.Name, ErrNoDate, f.Imported.DateFrom, f.Start.Format(time.RFC3339), f.Source)
}

func (o Options) now() time.Time {
	if o.Clock != nil {
		return o.Clock()
	}
	return time.Now()
}

// Run imports what Look found and does not exist.
func Run(ctx context.Context, o Options, f Found) (point.Result, error) {
	o.Defaults()
	o.Source = f.Source
	if err := repo.CheckSource(o.Source); err != nil {
		return point.Result{}, err
	}
	ctx, stop := o.Limit(ctx)
	defer stop()
	var result point.Result
	err := o.withScratch(ctx, f, func(cluster *scratch.Cluster) error {
		o.Progress.At("loading")
		loaded, err := foreign.Load(ctx, foreign.Options{
			Source: o.File, Key: o.Key, TempDir: o.Scratch.Directory, Target: cluster.Target(databaseName(f)), Database: f.database.Name,
			Globals: f.facts.Format == foreign.SQLOfAll, MakeRoles: true, AnyLocale: true, SHA256: f.Imported.SHA256, Log: o.Log, Progress: o.Reading,
		})
		if err != nil {
			return explain(err, cluster)
		}
		if err := o.unchanged(ctx, f); err != nil {
			return err
		}
		file := f.Imported
		file.Notes = slices.Concat(loaded.Notes, loaded.Warnings)
		opts := backup.Options{Options: o.Options, Target: cluster.Target(databaseName(f)), Globals: true}
		opts.Imported, opts.Start = &file, f.Start
		result, err = backup.Run(ctx, opts)
		result.Warnings = append(slices.Clone(loaded.Warnings), result.Warnings...)
		return err
	})
	if err != nil {
		return result, fmt.Errorf("import %s: %w", o.File.Name, err)
	}
	return result, nil
}

// unchanged holds that the file is still the one whose digest the point will
// carry: not every format is hashed while it is loaded.
func (o Options) unchanged(ctx context.Context, f Found) error {
	if o.File.Local == "" && o.File.Directory == "" && f.facts.Format != foreign.TarFolder {
		return nil
	}
	sum, _, err := foreign.Digest(ctx, o.File)
	if err != nil {
		return err
	}
	if sum != f.Imported.SHA256 {
		return fmt.Errorf("%w: its SHA-256 was %s and is %s", foreign.ErrChanged, f.Imported.SHA256, sum)
	}
	return nil
}

// withScratch runs a server for as long as do works with it.
func (o Options) withScratch(ctx context.Context, f Found, do func(*scratch.Cluster) error) (err error) {
	o.Progress.At("starting a scratch server")
	so := o.Scratch
	so.Log = o.Log
	so.Major = max(so.Major, leastMajor(f.facts))
	cluster, err := scratch.Start(ctx, so)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	if !cluster.Isolated() {
		o.Log.Warn("the SQL of the file is run in a server that the kernel does not keep off the network: it could reach others", "isolation", strings.Join(cluster.Isolation(), "; "))
	}
	return do(cluster)
}

// leastMajor is the oldest server that can take the file: that of the server that
// was dumped, 0 when the file does not say.
func leastMajor(f *foreign.Facts) int {
	digits := f.ServerVersion[:len(f.ServerVersion)-len(strings.TrimLeft(f.ServerVersion, "0123456789"))]
	major, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return major
}

// databaseName is what the database is called while it is loaded, and in the
// manifest: as in the file, or as the source.
func databaseName(f Found) string {
	name := f.database.Name
	if name == "" {
		name, _, _ = strings.Cut(f.Source, "@")
	}
	// Three names are taken in every server.
	if name == "postgres" || strings.HasPrefix(name, "template") || len(name) > 63 {
		return "imported"
	}
	return name
}

// explain adds where a missing extension has to be installed.
func explain(err error, cluster *scratch.Cluster) error {
	if errors.Is(err, foreign.ErrMissingExtensions) {
		return fmt.Errorf("%w (the server is the scratch server of PostgreSQL %d on this machine: its programs are in %s)", err, cluster.Major(), cluster.Bin())
	}
	return err
}
