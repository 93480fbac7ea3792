// Package push stores files of a server's WAL when its archiver asks for it
// (archive_command): the one it names, durably before it says so, and with it those that
// are finished behind it, so that they are answered at once when their turn comes.
//
// What lives here: reading such a file, choosing what goes along, and the notes about
// what is stored. What must not: the form in which WAL is stored (package repo), flags
// and exit codes (the runner), and streaming from a server (package receive).
package push

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// DefaultJobs is how many files are stored at once.
const DefaultJobs = 2

// longestAhead is for how long after the asked file one call begins to store others: the
// archiver of a server that is stopped waits for the call.
const longestAhead = time.Minute

// Options of Run.
type Options struct {
	// Path of the file, as %p gives it: relative to the data directory.
	Path string
	// DataDirectory of the server; "" is the working directory, which is where a server
	// runs its archive_command.
	DataDirectory string
	// Open opens the repository. It is not called when the answer is known.
	Open func(context.Context) (*repo.Repository, error)
	// Source names what is backed up; as Open, it is only asked when it has to be.
	Source func(context.Context) (string, error)
	// Place says in one line which repository and source are meant, before they are
	// opened. Notes on what is stored are for one place.
	Place string
	// Spool is the directory of this machine for those notes; "" keeps none, and takes
	// nothing along.
	Spool string
	// Ahead is how many more finished files one call stores; 0 is job.DefaultAhead, less
	// than 0 is none. Jobs are stored at once; 0 is DefaultJobs. Each needs memory for a
	// segment and its stored form.
	Ahead, Jobs int
	Host        string // of this machine, for the record
	Log         *slog.Logger
	Now         func() time.Time
}

// Result says how the file came to be stored.
type Result struct {
	Name   string
	System string // identifier of the server's system
	// Known: an earlier call stored it, and noted that here. Already: it was in the
	// repository.
	Known, Already bool
	Ahead          int // how many others went along
}

// Run returns without an error when the file is stored durably, and only then. Calling
// it again for the same file is right at any time; a file of the same name with other
// content in the repository is repo.ErrWALDiffers, and both stay as they are.
func Run(ctx context.Context, o Options) (Result, error) {
	p, err := prepare(o)
	if err != nil {
		return Result{}, fmt.Errorf("archive %s: %w", o.Path, err)
	}
	defer p.notes.close()
	p.result = Result{Name: p.asked, System: p.system}
	if err := p.run(ctx); err != nil {
		return p.result, fmt.Errorf("archive %s of system %s: %w", p.asked, p.system, err)
	}
	return p.result, nil
}

// pusher is one call.
type pusher struct {
	Options
	folder string // pg_wal
	asked  string // name of the file
	system string
	notes  *notes // nil: none are kept
	result Result
}

func prepare(o Options) (*pusher, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Ahead == 0 {
		o.Ahead = job.DefaultAhead
	}
	if o.Jobs <= 0 {
		o.Jobs = DefaultJobs
	}
	path := o.Path
	if !filepath.IsAbs(path) {
		path = filepath.Join(o.DataDirectory, path)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	p := &pusher{Options: o, folder: filepath.Dir(path), asked: filepath.Base(path)}
	if kind, _ := pgwal.KindOfFile(p.asked); kind == pgwal.NoFile {
		return nil, fmt.Errorf("%.80q: %w; archive_command gives %%p", p.asked, ErrNotArchived)
	}
	if p.system, err = p.identify(); err != nil {
		return nil, err
	}
	p.notes, err = openNotes(o.Spool, o.Place, p.system, p.folder)
	switch {
	case isUnsafe(err):
		return nil, err
	case err != nil:
		p.Log.Warn("nothing is archived ahead: the spool can not be used", "error", err)
	}
	return p, nil
}

// ErrNotArchived: the name is none that a server archives.
var ErrNotArchived = errors.New("is no name of a WAL segment, a history or a backup file")

func (p *pusher) run(ctx context.Context) error {
	known, err := p.known()
	if err != nil {
		return err
	}
	if known {
		p.result.Known = true
		return nil
	}
	r, err := p.Open(ctx)
	if err != nil {
		return err
	}
	source, err := p.Source(ctx)
	if err != nil {
		return err
	}
	p.notes.of(r.ID())
	to := &destination{pusher: p, repo: r, archive: repo.WALArchive{Source: source, System: p.system}}
	return to.storeAll(ctx)
}

// known tells whether an earlier call stored exactly this file.
func (p *pusher) known() (bool, error) {
	noted, ok := p.notes.sum(p.asked)
	if !ok {
		return false, nil
	}
	sum, err := sumOf(filepath.Join(p.folder, p.asked))
	if err != nil {
		return false, err
	}
	return sum == noted, nil
}

// statusFolder is where the server keeps which files wait for the archiver.
func (p *pusher) statusFolder() string { return filepath.Join(p.folder, "archive_status") }
