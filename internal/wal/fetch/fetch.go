// Package fetch brings files of a server's WAL back when it asks for them
// (restore_command): whole and checked, or not at all, with the segments that it will
// ask for next put aside on this machine.
//
// What lives here: finding the file, placing it, and fetching ahead. What must not: the
// form in which WAL is stored (package repo), which base backup and target are right
// (package archive), flags and exit codes (the runner).
package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Defaults of Options.
const (
	DefaultAhead = 8
	DefaultJobs  = 2
	// DefaultPatience is short for a recovery, and long for a standby that has a primary
	// to stream from.
	DefaultPatience = 2 * time.Minute
)

// ErrNotThere: the archive is there and was read, and the file is not in it. Of nothing
// else: a server takes it for the end of the log, and may be promoted.
var ErrNotThere = errors.New("not in the archive")

// Options of Run.
type Options struct {
	// Name of the file, as %f gives it, and the Path to place it at, as %p does: relative
	// to the data directory.
	Name, Path string
	// DataDirectory of the server; "" is the working directory, which is where a server
	// runs its restore_command.
	DataDirectory string
	// Open opens the repository. It is not called when the file was fetched ahead.
	Open func(context.Context) (*repo.Repository, error)
	// Source is that of the archive; "" is the only one that has the server's system.
	Source string
	// Place says in one line which repository and source are meant. What was fetched
	// ahead is for one place.
	Place string
	// Spool is the directory of this machine for what is fetched ahead; "" fetches
	// nothing ahead.
	Spool string
	// Ahead is how many segments are fetched ahead at most; 0 is DefaultAhead, less than
	// 0 is none. Jobs are fetched at once beside the one that is asked for; 0 is
	// DefaultJobs.
	Ahead, Jobs int
	// Patience is for how long it is tried again while the store does not answer, before
	// the server has to stop; 0 is DefaultPatience.
	Patience time.Duration
	Log      *slog.Logger
}

// Result says where the file came from.
type Result struct {
	// Spooled: it was fetched ahead by an earlier call.
	Spooled bool
	// Pieces: it was put together of this many pieces, and zeros follow.
	Pieces int
	Ahead  int // how many segments this call fetched ahead
}

// Run places the file, whole, checked and durable, or leaves the place as it is. The
// error for a file that is not in the archive is ErrNotThere.
func Run(ctx context.Context, o Options) (Result, error) {
	f, err := prepare(o)
	if err != nil {
		return Result{}, fmt.Errorf("fetch WAL file %.80q: %w", o.Name, err)
	}
	defer f.aside.close()
	if err := f.patiently(ctx); err != nil {
		return f.result, fmt.Errorf("fetch WAL file %s: %w", o.Name, err)
	}
	return f.result, nil
}

// fetcher is one call.
type fetcher struct {
	Options
	to     string // where the file is placed
	system string // identifier of the server's system; "" where nothing tells
	aside  *aside // nil: nothing is fetched ahead
	result Result

	repo    *repo.Repository
	archive repo.WALArchive
}

func prepare(o Options) (*fetcher, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Ahead == 0 {
		o.Ahead = DefaultAhead
	}
	if o.Jobs <= 0 {
		o.Jobs = DefaultJobs
	}
	if o.Patience == 0 {
		o.Patience = DefaultPatience
	}
	if kind, _ := pgwal.KindOfFile(o.Name); kind == pgwal.NoFile || kind == pgwal.PieceFile {
		return nil, errors.New("that is no name of a file that a server archives; restore_command gives %f")
	}
	f := &fetcher{Options: o, to: o.Path}
	if !filepath.IsAbs(f.to) {
		f.to = filepath.Join(o.DataDirectory, f.to)
	}
	var err error
	if f.to, err = filepath.Abs(f.to); err != nil {
		return nil, err
	}
	if f.system, err = f.identify(); err != nil {
		return nil, err
	}
	if o.Ahead > 0 {
		if f.aside, err = openAside(o.Spool, o.Place, f.system, filepath.Dir(f.to)); err != nil {
			o.Log.Warn("nothing is fetched ahead: the spool can not be used", "error", err)
		}
	}
	return f, nil
}

// patiently tries again while the store does not answer: what it would say is not known,
// and the server has to stop for it.
func (f *fetcher) patiently(ctx context.Context) error {
	begun := time.Now()
	for pause := time.Second; ; pause = min(2*pause, 15*time.Second) {
		err := f.once(ctx)
		if err == nil || !errors.Is(err, objstore.ErrTransient) || ctx.Err() != nil {
			return err
		}
		left := f.Patience - time.Since(begun)
		if left <= 0 {
			return fmt.Errorf("the store did not answer for %s: %w", f.Patience, err)
		}
		f.Log.Warn("the store does not answer; trying again", "file", f.Name, "for_another", left.Round(time.Second), "error", err)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(min(pause, left)):
		}
	}
}

func (f *fetcher) once(ctx context.Context) error {
	if f.aside.take(f.Name, f.to, f.Log) {
		f.result.Spooled = true
		f.aside.delivered(f.Name)
		return nil
	}
	if f.repo == nil {
		r, err := f.Open(ctx)
		if err != nil {
			return err
		}
		f.repo = r
	}
	if f.archive == (repo.WALArchive{}) {
		a, err := f.find(ctx)
		if err != nil {
			return err
		}
		f.archive = a
	}
	for range 3 {
		err := f.whole(ctx)
		if !errors.Is(err, repo.ErrNotFound) {
			return err
		}
		err = f.pieces(ctx)
		if !errors.Is(err, repo.ErrNotFound) {
			return err
		}
		// A receiver may have put the whole file in the place of its pieces between the
		// two looks. What is not there at a second look was not there.
		if _, err = f.repo.WALInfo(ctx, f.file(f.Name)); errors.Is(err, repo.ErrNotFound) {
			return f.notThere(ctx)
		}
	}
	return fmt.Errorf("its pieces come and go: %w", objstore.ErrTransient)
}

// file names a whole file of the archive; its name was checked.
func (f *fetcher) file(name string) repo.WALFile {
	_, timeline := pgwal.KindOfFile(name)
	return repo.WALFile{Archive: f.archive, Timeline: timeline, Name: name}
}

// whole places the file as it is in the archive.
func (f *fetcher) whole(ctx context.Context) error {
	in, err := f.repo.OpenWAL(ctx, f.archive, f.Name)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	ahead := f.begin(ctx, in.Info().SegmentSize)
	err = place(f.to, func(out io.Writer) error {
		_, err := in.WriteTo(out)
		return err
	})
	f.result.Ahead = ahead.end(err)
	if err == nil {
		f.aside.delivered(f.Name)
	}
	return err
}
