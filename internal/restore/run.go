package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strconv"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// maxJobs bounds the loaders that are started unless more are asked for.
const maxJobs = 8

// Run restores a logical point, or what is selected of it, and compares every
// table with the hashes that travelled with the backup.
//
// All of it goes into a new or an empty database, in parallel. A database that
// this call made is dropped again when it fails; one that was there is left as it
// is then. A part may go into a database that holds other things: in one
// transaction, so that it stays as it was when that fails.
//
// What stands in the way is found before anything is changed: an *Unfit.
func Run(ctx context.Context, o Options) (Result, error) {
	o.defaults()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := open(ctx, o)
	if err != nil {
		return Result{}, err
	}
	if !o.Repo.Sealed() {
		o.Log.Warn("the repository is not encrypted: nothing proves that nobody edited this backup, and restoring runs the SQL in it", "point", o.Ref.String())
	}
	if err := r.prepareDatabase(ctx); err != nil {
		return r.result, err
	}
	work, undo := r.steps, r.undo
	if r.inserting {
		work, undo = r.insert, r.unchanged
	}
	if err := work(ctx); err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		return r.result, undo(ctx, fmt.Errorf("restore %s into database %s: %w", o.Ref, o.Target.Database, explained(err)))
	}
	return r.result, nil
}

// Plan says what Run would do, reading the backup and the server and changing
// nothing.
func Plan(ctx context.Context, o Options) ([]Step, error) {
	o.defaults()
	r, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	x, err := r.examine(ctx)
	if err != nil {
		return nil, err
	}
	return r.plan(x), nil
}

func (o *Options) defaults() {
	if o.Jobs <= 0 {
		o.Jobs = min(runtime.NumCPU(), maxJobs)
	}
	if o.pieceSize <= 0 {
		o.pieceSize = defaultPiece
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = &Progress{}
	}
}

// run is one restore under way.
type run struct {
	Options
	point   *repo.Point
	index   *repo.Index
	toc     *pgarchive.TOC
	records map[int32]logical.TableRecord // by dump id
	tools   postgres.Tools
	result  Result

	family  *family
	chosen  map[int32]bool // dump ids of what is selected; nil = everything
	leftOut map[int32]bool // of that, what is not restored after all

	inserting       bool     // a part, into a database that is there
	commitLost      bool     // of that part: the connection broke at the commit
	asleep          []string // statements that wake the triggers again
	noTablespaces   bool     // the server lacks one
	unknownSettings []string // that pg_restore makes and the server does not know
}

// open reads everything about the point that is small, before anything changes.
func open(ctx context.Context, o Options) (*run, error) {
	r := &run{Options: o, result: Result{Ref: o.Ref, Database: o.Target.Database, Durations: map[string]float64{}}}
	if o.Ref.Kind != logical.Kind {
		return nil, fmt.Errorf("restore %s: only %s recovery points can be restored into a database", o.Ref, logical.Kind)
	}
	err := o.Target.OneServer()
	if err != nil {
		return nil, fmt.Errorf("restore into %s: %w", o.Target, err)
	}
	if r.point, err = o.Repo.OpenPoint(ctx, o.Ref); err != nil {
		return nil, err
	}
	if r.index, err = r.point.Index(ctx); err != nil {
		return nil, err
	}
	if r.toc, err = r.readTOC(ctx); err != nil {
		return nil, err
	}
	if r.records, err = logical.ReadRecords(ctx, r.point); err != nil {
		return nil, err
	}
	if err := r.consistent(); err != nil {
		return nil, err
	}
	// pg_restore must know the archive, so it is of the pg_dump's major at least.
	major, err := strconv.Atoi(leadingDigits(r.toc.Header.DumpVersion))
	if err != nil {
		return nil, fmt.Errorf("restore %s: the archive does not say which pg_dump made it (%q)", o.Ref, r.toc.Header.DumpVersion)
	}
	if r.tools, err = postgres.FindTools(ctx, major); err != nil {
		return nil, err
	}
	if err := r.scope(); err != nil {
		return nil, err
	}
	var expected int64
	for _, e := range r.index.Entries {
		if r.loads(e) {
			expected += r.records[int32(e.DumpID)].Bytes
		}
	}
	o.Progress.Expected.Store(expected)
	return r, nil
}

func leadingDigits(s string) string {
	return s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
}

func (r *run) readTOC(ctx context.Context) (*pgarchive.TOC, error) {
	body, err := r.point.Range(ctx, r.index, 0, r.index.HeadEnd)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	reader := pgarchive.NewReader(pgarchive.Events{})
	if _, err := io.Copy(reader, body); err != nil {
		return nil, fmt.Errorf("read the table of contents of %s: %w", r.Ref, err)
	}
	if reader.TOC() == nil {
		return nil, fmt.Errorf("read the table of contents of %s: %w", r.Ref, repo.ErrTruncated)
	}
	return reader.TOC(), nil
}

func (r *run) restoreOptions() postgres.RestoreOptions {
	o := postgres.RestoreOptions{Jobs: r.Jobs, NoOwner: r.NoOwner, NoPrivileges: r.NoPrivileges, NoTablespaces: r.noTablespaces, UnknownSettings: r.unknownSettings}
	if r.chosen != nil || len(r.leftOut) > 0 {
		o.Only = r.idsOf(func(*pgarchive.Entry) bool { return true })
	}
	return o
}

func (r *run) steps(ctx context.Context) error {
	options := r.restoreOptions()
	return r.inSteps(ctx, []step{
		{"schema", func(ctx context.Context) error {
			return postgres.RestorePreData(ctx, r.tools, r.Target, strings.NewReader(r.toc.Raw), options)
		}},
		{"tables", r.load},
		{"sequences and large objects", func(ctx context.Context) error { return r.rest(ctx, options) }},
		{"indexes and constraints", func(ctx context.Context) error {
			return r.postData(ctx, options, func(e *pgarchive.Entry) bool { return !r.ofEventTrigger(e) })
		}},
		{"comparing", r.compare},
		{"event triggers", func(ctx context.Context) error { return r.postData(ctx, options, r.ofEventTrigger) }},
		{"properties of the database", r.setProperties},
		{"statistics", r.analyze},
	})
}

// ofEventTrigger tells event triggers and comments on them. They come last: one that
// keeps a log of DDL would write the rest of the restore into a table of the backup.
func (r *run) ofEventTrigger(e *pgarchive.Entry) bool {
	host := r.family.byID[r.family.host[e.DumpID]]
	return e.Desc == "EVENT TRIGGER" || host != nil && host.Desc == "EVENT TRIGGER"
}

// postData restores those entries of the last section that are as asked for.
func (r *run) postData(ctx context.Context, options postgres.RestoreOptions, is func(*pgarchive.Entry) bool) error {
	options.Only = r.idsOf(is)
	if len(options.Only) == 0 {
		return nil
	}
	return postgres.RestorePostData(ctx, r.tools, r.Target, strings.NewReader(r.toc.Raw), options)
}

// rest restores what of the data section is not a table: pg_restore gets the
// head of the archive and then only the blocks of large objects.
func (r *run) rest(ctx context.Context, options postgres.RestoreOptions) error {
	blocks := &largeObjectBlocks{ctx: ctx, run: r}
	defer blocks.close()
	failing := &errorKeeper{r: io.MultiReader(strings.NewReader(r.toc.Raw), blocks)}
	err := postgres.RestoreDataRest(ctx, r.tools, r.Target, failing, r.toc, options)
	if failing.err != nil {
		return failing.err // pg_restore only saw its input end
	}
	return err
}
