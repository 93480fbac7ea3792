package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// WALOptions of WAL.
type WALOptions struct {
	Repo    *repo.Repository
	Archive repo.WALArchive
	Jobs    int // files read at once; default 1, each takes about 20 MiB of memory
	Log     *slog.Logger
	Read    *atomic.Int64 // counts the plain bytes read; may be nil
}

// KindWAL is the kind of a Bad that is a file of WAL; its Object is the key in the store.
const KindWAL = "wal"

// WAL reads every file of an archive to its end: seals and hashes, and of segments every
// record. Segments that follow one another are held together: the record that crosses
// from one to the next has to be whole too. What is missing is not looked for here:
// package archive tells the gaps. An error means that the work ended early.
func WAL(ctx context.Context, opts WALOptions) (Report, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Read == nil {
		opts.Read = new(atomic.Int64)
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	batches := make(chan *walBatch)
	inOrder := make(chan *walBatch, 2*max(opts.Jobs, 1)) // as listed, for a report in order
	var wg sync.WaitGroup
	for range max(opts.Jobs, 1) {
		wg.Go(func() {
			for b := range batches {
				opts.batch(ctx, b)
				close(b.done)
			}
		})
	}
	go func() {
		defer close(inOrder)
		defer close(batches)
		opts.list(ctx, fail, batches, inOrder)
	}()
	report := Report{Bad: []Bad{}}
	for b := range inOrder {
		<-b.done
		report.Checked += b.report.Checked
		report.Bytes += b.report.Bytes
		report.Bad = append(report.Bad, b.report.Bad...)
		report.Unchecked = append(report.Unchecked, b.report.Unchecked...)
		report.Warnings = append(report.Warnings, b.report.Warnings...)
	}
	wg.Wait()
	return report, context.Cause(ctx)
}

// walBatch is files that one worker reads one after the other.
type walBatch struct {
	files  []repo.WALFile
	report Report
	done   chan struct{}
}

// batchFiles is how many files one worker takes along. At the borders between batches
// the record that crosses is not put together, so they are not too short.
const batchFiles = 64

// list shares the files out.
func (opts WALOptions) list(ctx context.Context, fail context.CancelCauseFunc, batches, inOrder chan<- *walBatch) {
	var files []repo.WALFile
	flush := func() {
		if len(files) == 0 {
			return
		}
		b := &walBatch{files: files, done: make(chan struct{})}
		files = nil
		select {
		case inOrder <- b:
		case <-ctx.Done():
			return
		}
		select {
		case batches <- b:
		case <-ctx.Done():
			close(b.done)
		}
	}
	for f, err := range opts.Repo.EachWAL(ctx, opts.Archive, 0) {
		if err != nil {
			fail(err)
			return
		}
		if files = append(files, f); len(files) == batchFiles {
			flush()
		}
		if ctx.Err() != nil {
			return
		}
	}
	flush()
}

func (opts WALOptions) batch(ctx context.Context, b *walBatch) {
	var before *pgwal.Scanner // of the whole segment just before
	for _, f := range b.files {
		if ctx.Err() != nil {
			return
		}
		scanner, err := opts.file(ctx, f, before)
		switch {
		case err == nil:
			b.report.Checked++
			b.report.Bytes += f.Stored
		case errors.Is(err, repo.ErrNotFound) && f.IsPiece(): // the whole segment is there now
		case errors.Is(err, repo.ErrNotFound):
			b.report.Warnings = append(b.report.Warnings, f.String()+" was deleted meanwhile")
		case errors.Is(err, repo.ErrDamaged), errors.Is(err, pgwal.ErrNotWAL), errors.Is(err, errWALContent):
			b.report.Checked++
			b.report.Bad = append(b.report.Bad, Bad{Object: f.Key(), Problem: err.Error(), Source: f.Archive.Source, Kind: KindWAL})
			opts.Log.Error("bad file of WAL", "file", f.Key(), "problem", err)
		case ctx.Err() != nil:
			return
		default:
			b.report.Unchecked = append(b.report.Unchecked, Unchecked{ID: f.Key(), Source: f.Archive.Source, Problem: err.Error(), Err: err})
			if errors.Is(err, objstore.ErrDenied) {
				return
			}
		}
		if f.Kind() == pgwal.SegmentFile {
			before = scanner
		}
	}
}

// errWALContent: the bytes are those that were stored, and are not right.
var errWALContent = errors.New("its content is not right")

// file reads one file, and returns the scanner of a segment that is whole.
func (opts WALOptions) file(ctx context.Context, f repo.WALFile, before *pgwal.Scanner) (*pgwal.Scanner, error) {
	in, err := opts.Repo.OpenWALPiece(ctx, f)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	kind := f.Kind()
	if kind != pgwal.SegmentFile && kind != pgwal.PartialFile {
		return nil, opts.small(in, f)
	}
	seg, err := pgwal.ParseSegment(f.Name[:24], in.Info().SegmentSize)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errWALContent, err)
	}
	alone := pgwal.NewScanner(&seg)
	chained := follower(before, seg)
	out := io.Writer(alone)
	if chained != nil {
		out = chained
	}
	n, err := io.Copy(out, in)
	opts.Read.Add(n)
	if err != nil {
		return nil, err
	}
	if chained == nil {
		chained = alone
	}
	scan, err := chained.Scan()
	switch {
	case err != nil:
		return nil, err
	case fmt.Sprint(scan.System) != f.Archive.System:
		return nil, fmt.Errorf("%w: it is of the server with system identifier %d", errWALContent, scan.System)
	case kind == pgwal.PartialFile:
		return nil, nil
	}
	if err := scan.CheckWhole(); err != nil {
		return nil, fmt.Errorf("%w: %w", errWALContent, err)
	}
	return chained, nil
}

// follower is a scanner that goes on where the segment before ended; nil where another
// one came before.
func follower(before *pgwal.Scanner, seg pgwal.Segment) *pgwal.Scanner {
	if before == nil {
		return nil
	}
	last, err := before.Scan()
	if err != nil || last.Segment.Next() != seg {
		return nil
	}
	return before.Next()
}

// small reads what is no whole segment: pieces are held against their seal and hash, history
// files are read as a server reads them.
func (opts WALOptions) small(in *repo.WALReader, f repo.WALFile) error {
	if f.Kind() != pgwal.HistoryFile {
		n, err := io.Copy(io.Discard, in)
		opts.Read.Add(n)
		return err
	}
	data, err := io.ReadAll(in)
	opts.Read.Add(int64(len(data)))
	if err != nil {
		return err
	}
	if _, err := pgwal.ParseHistory(f.Timeline, data); err != nil {
		return fmt.Errorf("%w: %w", errWALContent, err)
	}
	return nil
}
