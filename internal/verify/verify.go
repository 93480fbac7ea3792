// Package verify re-reads stored recovery points to their last byte and says
// which of them are bad.
//
// What lives here: what is compared with what, and the difference between a bad
// backup and one that could not be checked. What must not: reading and
// decrypting chunks (package repo), the archive format (pgarchive), flags and
// printing (the faces).
package verify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Options of Run.
type Options struct {
	Repo   *repo.Repository
	Points []repo.Listed
	Jobs   int // points read at once; default 1, each takes about 60 MiB of memory

	// Outside looks at what of a point is not in the repository, such as a snapshot in
	// RDS. An error that wraps repo.ErrDamaged makes the point bad, any other leaves it
	// unchecked. nil: such points are not checked.
	Outside func(ctx context.Context, m *repo.Manifest) error

	Mark  bool // condemn a bad point: it no longer counts as good anywhere
	Clear bool // take back the condemnation of a point that proves good
	By    string
	Now   time.Time

	Log      *slog.Logger
	Progress func(done int, ref repo.Ref) // after each point, one call at a time; may be nil
	Read     *atomic.Int64                // counts the bytes read, before compression; may be nil
}

// Bad is one thing that is wrong with a point.
type Bad struct {
	ID      string `json:"id"`
	Object  string `json:"object"` // which of its objects
	Problem string `json:"problem"`
	Source  string `json:"source,omitempty"`
	Kind    string `json:"kind,omitempty"`
	// Condemned: the point is marked as bad in the repository.
	Condemned bool `json:"condemned"`
}

// Unchecked is a point about which nothing was found out.
type Unchecked struct {
	ID      string `json:"id"`
	Problem string `json:"problem"`
	Source  string `json:"source,omitempty"`

	Err error `json:"-"`
}

// Archived is a point of which nothing was found out because it lies, at least in
// part, in an archive class and has to be brought back before it can be read.
type Archived struct {
	ID      string `json:"id"`
	Problem string `json:"problem"`
	Source  string `json:"source,omitempty"`
	Kind    string `json:"kind,omitempty"`

	Ref repo.Ref `json:"-"`
}

// Report of a verification.
type Report struct {
	Checked   int         `json:"checked"` // points read to their end, good or bad
	Bad       []Bad       `json:"bad"`
	Unchecked []Unchecked `json:"unchecked,omitempty"`
	// Archived are the points that were not read because that takes hours and money
	// first. They are neither bad nor a reason to fail: a policy that archives wants
	// them where they are.
	Archived []Archived `json:"archived,omitempty"`
	Bytes    int64      `json:"bytes"` // stored bytes of the points found good
	Warnings []string   `json:"warnings,omitempty"`
}

// ErrBad is what Report.Err is when a point is bad.
var ErrBad = errors.New("bad backup")

// ErrUnchecked is what Report.Err is when no point is bad and at least one could
// not be checked.
var ErrUnchecked = errors.New("could not be checked")

// Err sums the report up: nil, ErrBad or ErrUnchecked.
func (r Report) Err() error {
	switch {
	case len(r.Bad) > 0:
		b := r.Bad[0]
		return fmt.Errorf("%w: %s, %s: %s%s", ErrBad, b.ID, b.Object, b.Problem, more(len(r.Bad)))
	case len(r.Unchecked) > 0:
		u := r.Unchecked[0]
		return fmt.Errorf("%s %w: %w%s", u.ID, ErrUnchecked, u.Err, more(len(r.Unchecked)))
	}
	return nil
}

func more(n int) string {
	if n < 2 {
		return ""
	}
	return fmt.Sprintf(" (and %d more)", n-1)
}

// Run verifies the points. An error means that the work ended early; what is
// wrong with points is in the report.
func Run(ctx context.Context, opts Options) (Report, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Read == nil {
		opts.Read = new(atomic.Int64)
	}
	results := make([]result, len(opts.Points))
	next := make(chan int)
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range min(max(opts.Jobs, 1), len(opts.Points)) {
		wg.Go(func() {
			for i := range next {
				results[i] = opts.one(ctx, opts.Points[i])
				mu.Lock()
				done++
				if opts.Progress != nil {
					opts.Progress(done, opts.Points[i].Ref)
				}
				mu.Unlock()
			}
		})
	}
	for i := range opts.Points {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return Report{}, err
	}
	return opts.report(ctx, results)
}

// result of one point.
type result struct {
	bad       *Bad
	unchecked error
	archived  error
	gone      bool // deleted since it was listed
	bytes     int64
	warnings  []string
}

// report sums up in the order of the points, and writes the marks.
func (opts Options) report(ctx context.Context, results []result) (Report, error) {
	r := Report{Bad: []Bad{}}
	for i, res := range results {
		p := opts.Points[i]
		r.Warnings = append(r.Warnings, res.warnings...)
		switch {
		case res.gone:
			r.Warnings = append(r.Warnings, fmt.Sprintf("%s was deleted meanwhile", p.Ref))
			continue
		case res.unchecked != nil:
			r.Unchecked = append(r.Unchecked, Unchecked{ID: p.ID, Source: p.Source, Problem: res.unchecked.Error(), Err: res.unchecked})
			continue
		case res.archived != nil:
			r.Archived = append(r.Archived, Archived{ID: p.ID, Source: p.Source, Kind: p.Kind, Problem: res.archived.Error(), Ref: p.Ref})
			continue
		}
		r.Checked++
		if res.bad == nil {
			r.Bytes += res.bytes
			if err := opts.clear(ctx, p, &r); err != nil {
				return r, err
			}
			continue
		}
		res.bad.Condemned = p.Condemned
		if opts.Mark && p.ID != "" && p.Kind != "" {
			mark := repo.Mark{At: opts.Now, By: opts.By, Why: res.bad.Object + ": " + res.bad.Problem}
			if err := opts.Repo.Condemn(ctx, p.Ref, mark); err != nil {
				return r, fmt.Errorf("%s is bad (%s) but could not be marked as such: %w", p.Ref, res.bad.Problem, err)
			}
			res.bad.Condemned = true
		}
		opts.Log.Error("bad backup", "point", p.String(), "object", res.bad.Object, "problem", res.bad.Problem, "condemned", res.bad.Condemned)
		r.Bad = append(r.Bad, *res.bad)
	}
	return r, nil
}

// clear is for a good point that was condemned before.
func (opts Options) clear(ctx context.Context, p repo.Listed, r *Report) error {
	if !p.Condemned {
		return nil
	}
	if !opts.Clear {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s reads well and is still condemned: look at why it was, then run `pgbackup-runner verify --clear %s`", p.Ref, p.ID))
		return nil
	}
	if err := opts.Repo.Clear(ctx, p.Ref, repo.Mark{At: opts.Now, By: opts.By, Why: "verified again"}); err != nil {
		return fmt.Errorf("%s is good but its mark could not be taken back: %w", p.Ref, err)
	}
	return nil
}
