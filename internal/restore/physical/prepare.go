package physical

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/bytesize"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/scratch"
)

// restore is one under way: what was asked for, what was found out, what was done.
type restore struct {
	Options
	ground
	chain  []link // from the full backup to the one that recovery begins with
	window archive.Window
	spaces []space
	owner  *owner
	found  scratch.Programs // of Start and of increments
	ended  time.Time        // the time asked for, where it is the end of the window
	raised map[string]int   // settings that the WAL needs, and the backup's configuration lacked
	result Result
}

// prepare looks at everything that can be known beforehand, and changes nothing.
func prepare(ctx context.Context, o Options) (*restore, error) {
	r := &restore{Options: o}
	if err := r.defaults(); err != nil {
		return nil, err
	}
	var err error
	if r.Choice == nil {
		if r.Choice, err = Choose(ctx, r.Options); err != nil {
			return nil, err
		}
	}
	r.window = r.Choice.Window
	if r.chain, err = r.Choice.open(ctx, r.Repo); err != nil {
		return nil, err
	}
	r.aim()
	if err := r.acts(); err != nil {
		return nil, err
	}
	top := r.top()
	r.result = Result{Point: top.Ref(), Chain: r.Choice.Chain, Window: r.window, Timeline: r.window.Timeline, Directory: r.Directory, Durations: map[string]float64{}}
	if r.ground, err = survey(r.Directory, r.Delta, top.Server.SystemIdentifier, top.Server.Major); err != nil {
		return nil, err
	}
	if r.owner, err = ownerFor(r.Directory); err != nil {
		return nil, err
	}
	if r.spaces, err = place(r.Options, r.ground, top.Physical.Tablespaces); err != nil {
		return nil, err
	}
	if r.Start || !r.full() {
		if r.found, err = programsFor(ctx, top.Server.Major, o.Programs); err != nil {
			return nil, err
		}
	}
	if err := enough(r.needs()); err != nil {
		return nil, fmt.Errorf("restore %s: %w", top.Ref(), err)
	}
	if r.serves() {
		if err := r.portFree(ctx); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// serves: in the end the server is started as it is configured, where that is known.
func (r *restore) serves() bool { return r.Start && (r.Action != Shutdown || r.Target.Latest) }

// full: what is restored is no increment.
func (r *restore) full() bool { return len(r.chain) == 1 }

// top is the base backup that recovery begins with.
func (r *restore) top() link { return r.chain[len(r.chain)-1] }

// aim sees to it that the server can stop at the target. It does so at the first
// transaction behind a time, and where there is none it fails: at the very end of the
// window it is asked for all there is.
func (r *restore) aim() {
	if t := r.Target; !t.Time.IsZero() && t.Inclusive && !t.Time.Before(r.window.To) {
		r.Target = archive.Target{Latest: true, Inclusive: true, Timeline: t.Timeline}
		r.ended = t.Time
	}
}

// acts holds that there is a target at which a server does what was asked for: at the
// end of all there is it serves, whatever it is told.
func (r *restore) acts() error {
	switch {
	case !r.Target.Latest || r.Action == Promote:
		return nil
	case r.ended.IsZero():
		return fmt.Errorf("%w: with all that is archived a server can only %s, for there is no target at which it could %s: name a time or a position, or leave the action out", ErrOptions, Promote, r.Action)
	}
	return fmt.Errorf("%w: %s is the end of the newest archived transaction, and behind it is nothing at which a server could stop to %s: name a moment before, or have it %s", ErrOptions, serverTime(r.ended), r.Action, Promote)
}

// programsFor finds the programs of exactly one major version: no other starts its
// data directory.
func programsFor(ctx context.Context, major int, bin string) (scratch.Programs, error) {
	p, err := scratch.FindPrograms(ctx, major, bin)
	if err == nil && p.Major != major {
		err = fmt.Errorf("%w: the backup is of PostgreSQL %d, which only that version can start and combine, and the nearest here is %s (in %s); install it, or name the directory of its programs in PGBACKUP_PG_BIN",
			scratch.ErrNoServer, major, p.Version, p.Bin)
	}
	return p, err
}

func (r *restore) defaults() error {
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	if r.Progress == nil {
		r.Progress = &Progress{}
	}
	if r.Now == nil {
		r.Now = time.Now
	}
	if r.Jobs <= 0 {
		r.Jobs = min(runtime.NumCPU(), DefaultJobs)
	}
	r.Action, r.ArchiveMode = cmp.Or(r.Action, Promote), cmp.Or(r.ArchiveMode, ArchivePreserve)
	if r.Directory == "" {
		return fmt.Errorf("%w: no directory is named", ErrOptions)
	}
	var err error
	if r.Directory, err = filepath.Abs(r.Directory); err != nil {
		return err
	}
	switch {
	case !slices.Contains([]string{Promote, Pause, Shutdown}, r.Action):
		return fmt.Errorf("%w: %q is nothing that a server does at a target: %s, %s and %s are", ErrOptions, r.Action, Promote, Pause, Shutdown)
	case !slices.Contains([]string{ArchivePreserve, ArchiveOff}, r.ArchiveMode):
		return fmt.Errorf("%w: archive mode %q: give %s or %s", ErrOptions, r.ArchiveMode, ArchivePreserve, ArchiveOff)
	case !strings.Contains(r.RestoreCommand, "%f") || !strings.Contains(r.RestoreCommand, "%p"):
		return fmt.Errorf("%w: the restore_command %q names no %%f and %%p", ErrOptions, r.RestoreCommand)
	case strings.ContainsAny(r.RestoreCommand+r.Target.Name, "\n\r\x00"):
		return fmt.Errorf("%w: the restore_command and the name of a target are of one line", ErrOptions)
	}
	return nil
}

// needs is the room that it takes. Increments are combined in the data directory, with
// all that they are made of beside what comes out.
func (r *restore) needs() []need {
	top := r.top()
	size := top.Totals.Bytes
	if !r.full() {
		size = cmp.Or(top.Physical.Full, size)
	}
	data := need{r.Directory, size}
	var needs []need
	for _, s := range r.spaces {
		part := min(s.bytes, data.bytes)
		data.bytes -= part
		needs = append(needs, need{s.dir, part})
	}
	if !r.full() {
		for _, l := range r.chain {
			data.bytes += l.Totals.Bytes
		}
	}
	needs = append(needs, data)
	for i := range needs { // what is there stays, or is taken away first
		needs[i].bytes -= weight(needs[i].dir)
	}
	return needs
}

// Step is one line of a dry run.
type Step struct {
	What  string `json:"what"`
	Bytes int64  `json:"bytes,omitempty"` // of files that it is about
}

// Plan is what Run would do.
type Plan struct {
	Result        // as far as it is known: Point, Chain, Window, Files, Bytes, Fetched, Reused, Removed
	Stored  int64 // bytes that lie in the repository of what is fetched, as far as whole backups tell
	Steps   []Step
	Command string // restore_command
}

// Examine tells what Run would do and changes nothing. With Delta it reads the
// directory to say how much of it stays.
func Examine(ctx context.Context, o Options) (Plan, error) {
	r, err := prepare(ctx, o)
	if err != nil {
		return Plan{}, err
	}
	top := r.top()
	r.result.Files, r.result.Bytes, r.result.Fetched = top.Totals.Files, cmp.Or(top.Physical.Full, top.Totals.Bytes), 0
	p := Plan{Command: r.RestoreCommand}
	for _, l := range r.chain {
		r.result.Fetched += l.Totals.Bytes
		p.Stored += l.StoredSize()
	}
	if r.filled && r.full() {
		t, err := r.existing()
		if err != nil {
			return p, err
		}
		defer t.close()
		c, err := r.compare(ctx, t, false)
		if err != nil {
			return p, err
		}
		if err := c.remove(ctx, t, true); err != nil {
			return p, err
		}
		r.result.Reused, r.result.Removed = c.reused.Load(), c.extra
		r.result.Fetched -= r.result.Reused
	}
	r.result.Warnings = append(r.result.Warnings, r.warnings()...)
	p.Result, p.Steps = r.result, r.steps()
	return p, nil
}

// steps of the restore in words.
func (r *restore) steps() []Step {
	var steps []Step
	say := func(bytes int64, format string, args ...any) {
		steps = append(steps, Step{fmt.Sprintf(format, args...), bytes})
	}
	top := r.top()
	say(0, "take base backup %s of %s, which ended %s", top.ID, top.Source, top.Physical.Stopped.UTC().Format(time.RFC3339))
	if top.Seal == nil {
		say(0, "believe a backup that is not sealed: whoever may write to %s decides what is in it", r.Repo.URL())
	}
	switch {
	case r.filled && !r.full():
		say(0, "remove all that is in %s: of an incremental backup nothing can be kept", r.Directory)
	case r.filled:
		say(r.result.Reused, "keep what is in %s as the backup has it, %s, and %s", r.Directory, bytesize.Text(r.result.Reused), removing(r.result.Removed))
	case r.exists:
		say(0, "use the empty directory %s", r.Directory)
	default:
		say(0, "make directory %s", r.Directory)
	}
	if r.owner != nil {
		say(0, "give all of it to the user with number %d", r.owner.uid)
	}
	for _, s := range r.spaces {
		say(s.bytes, "put tablespace %s (%s) into %s, about %s", s.oid, s.old, s.dir, bytesize.Text(s.bytes))
	}
	if r.full() {
		say(r.result.Fetched, "fetch %s of files with %d readers, and hold every file against the server's checksum", bytesize.Text(r.result.Fetched), r.Jobs)
	} else {
		for _, l := range r.chain {
			say(l.Totals.Bytes, "fetch %s, %s of files, into %s, and hold every file against the server's checksum", l.ID, bytesize.Text(l.Totals.Bytes), filepath.Join(r.Directory, stagingDir))
		}
		say(top.Physical.Full, "combine them with pg_combinebackup %s into %s of data, and remove the parts", r.found.Version, bytesize.Text(top.Physical.Full))
	}
	say(0, "write recovery.signal, and into postgresql.auto.conf: %s", r.inWords())
	say(0, "put everything on the disk, pg_control last")
	if r.Start {
		say(0, "start the server with PostgreSQL %s, on a socket of its own, recover %s, and report the moment that was reached", r.found.Version, r.goal())
		if r.serves() {
			say(0, "start it as it is configured")
		}
	}
	return steps
}

// removing says how many files that the backup does not have go.
func removing(n int64) string {
	switch n {
	case 0:
		return "remove nothing"
	case 1:
		return "remove 1 other"
	}
	return fmt.Sprintf("remove %d others", n)
}

// warnings about what was asked for.
func (r *restore) warnings() []string {
	var warnings []string
	if !r.ended.IsZero() {
		warnings = append(warnings, fmt.Sprintf("%s is the end of the newest archived transaction: the server replays all that is archived, also what comes into the archive until then", serverTime(r.ended)))
	}
	if g := r.window.Gap; g != nil && r.Target.Latest && r.ended.IsZero() {
		warnings = append(warnings, fmt.Sprintf("this is NOT the newest that was archived: WAL is missing from %s to %s on timeline %s, and recovery ends there, at %s; "+
			"what was committed later is not in the restored server", g.From, g.To, g.Timeline, serverTime(r.window.To)))
	}
	return warnings
}

func (r *restore) inWords() string {
	var parts []string
	for _, s := range settings(r.Options, r.window.Timeline) {
		parts = append(parts, s.name+" = "+quoted(s.value))
	}
	return strings.Join(parts, ", ")
}

// goal is where recovery goes, in words.
func (r *restore) goal() string {
	t := r.Target
	switch {
	case !t.Time.IsZero():
		return "to " + serverTime(t.Time)
	case t.LSN != 0:
		return "to " + t.LSN.String()
	case t.XID != 0:
		return fmt.Sprintf("to transaction %d", t.XID)
	case t.Name != "":
		return fmt.Sprintf("to restore point %q", t.Name)
	case t.Immediate:
		return "until it is consistent"
	}
	return "to the end of the archived WAL"
}
