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
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// maxJobs bounds the loaders that are started unless more are asked for.
const maxJobs = 8

// Run restores a whole logical point into a new or an empty database and
// compares every table with the hashes that travelled with the backup. A
// database that this call made is dropped again when it fails; one that was
// there is left as it is then.
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
	if err := r.steps(ctx); err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		return r.result, r.undo(ctx, fmt.Errorf("restore %s into database %s: %w", o.Ref, o.Target.Database, err))
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
	exists, err := r.examineDatabase(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.checkServer(ctx); err != nil {
		return nil, err
	}
	if err := r.checkRoles(ctx); err != nil {
		return nil, err
	}
	var steps []Step
	say := func(format string, args ...any) { steps = append(steps, Step{fmt.Sprintf(format, args...)}) }
	if o.Globals {
		say("create the roles of the backup that the server lacks")
	}
	if exists {
		say("use the empty database %s on %s", o.Target.Database, o.Target.Host)
	} else {
		say("create database %s on %s (encoding %s)", o.Target.Database, o.Target.Host, r.point.Server.Encoding)
	}
	if r.point.Seal == nil {
		say("run the SQL of a backup that is not sealed: whoever may write to %s decides what that is", o.Repo.URL())
	}
	for _, w := range r.result.Warnings {
		say("note: %s", w)
	}
	say("restore schemas, types, functions and tables (pg_restore %s, section pre-data)", r.tools.Version)
	say("load %d tables, %d rows, %d bytes, with %d loaders reading ranges of the backup", r.point.Totals.Tables, r.point.Totals.Rows, r.point.Totals.Bytes, o.Jobs)
	say("set sequences and load %d large objects", r.point.Totals.LargeObjects)
	say("build indexes, constraints, triggers and materialized views (section post-data, %d jobs)", o.Jobs)
	say("compare rows, bytes and hash of every table with the backup's")
	if n := len(r.propertyStatements()); n > 0 && !exists {
		say("give the database its owner, settings, rights and comment (%d statements)", n)
	}
	if o.Analyze {
		say("collect planner statistics (ANALYZE)")
	}
	return steps, nil
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

	noTablespaces bool // the server lacks one
}

// open reads everything about the point that is small, before anything changes.
func open(ctx context.Context, o Options) (*run, error) {
	r := &run{Options: o, result: Result{Ref: o.Ref, Database: o.Target.Database, Durations: map[string]float64{}}}
	if o.Ref.Kind != logical.Kind {
		return nil, fmt.Errorf("restore %s: only %s recovery points can be restored into a database", o.Ref, logical.Kind)
	}
	var err error
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
	o.Progress.Expected.Store(r.point.Totals.Bytes)
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

func (r *run) steps(ctx context.Context) error {
	options := postgres.RestoreOptions{Jobs: r.Jobs, NoOwner: r.NoOwner, NoPrivileges: r.NoPrivileges, NoTablespaces: r.noTablespaces}
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"schema", func(ctx context.Context) error {
			return postgres.RestorePreData(ctx, r.tools, r.Target, strings.NewReader(r.toc.Raw), options)
		}},
		{"tables", r.load},
		{"sequences and large objects", func(ctx context.Context) error { return r.rest(ctx, options) }},
		{"indexes and constraints", func(ctx context.Context) error {
			return postgres.RestorePostData(ctx, r.tools, r.Target, strings.NewReader(r.toc.Raw), options)
		}},
		{"comparing", r.compare},
		{"properties of the database", r.setProperties},
		{"statistics", r.analyze},
	} {
		r.Progress.Step.Store(&step.name)
		begun := time.Now()
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		r.result.Durations[step.name] = time.Since(begun).Seconds()
	}
	return nil
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

// largeObjectBlocks reads the entries of large objects one after the other, as
// they lie in the archive. Newer pg_dumps write one for every thousand objects.
type largeObjectBlocks struct {
	ctx  context.Context
	run  *run
	next int // of the index's entries
	body io.ReadCloser
}

func (b *largeObjectBlocks) Read(p []byte) (int, error) {
	for {
		if b.body != nil {
			n, err := b.body.Read(p)
			if n > 0 || err != io.EOF {
				return n, err
			}
			b.close()
		}
		entries := b.run.index.Entries
		for b.next < len(entries) && !b.run.records[int32(entries[b.next].DumpID)].LargeObjects {
			b.next++
		}
		if b.next == len(entries) {
			return 0, io.EOF
		}
		e := entries[b.next]
		b.next++
		var err error
		if b.body, err = b.run.point.Range(b.ctx, b.run.index, e.From, e.To); err != nil {
			return 0, err
		}
	}
}

func (b *largeObjectBlocks) close() {
	if b.body != nil {
		b.body.Close()
		b.body = nil
	}
}

// errorKeeper remembers why a reader failed: a child process that reads from it
// only sees its input end.
type errorKeeper struct {
	r   io.Reader
	err error
}

func (k *errorKeeper) Read(b []byte) (int, error) {
	n, err := k.r.Read(b)
	if err != nil && err != io.EOF {
		k.err = err
	}
	return n, err
}
