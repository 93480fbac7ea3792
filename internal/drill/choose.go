package drill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// ErrNothing: there is no point that could be drilled.
var ErrNothing = errors.New("there is nothing to drill")

// choose finds the point and reads its manifest.
func (r *run) choose(ctx context.Context) (*repo.Manifest, error) {
	if r.Point != "" {
		return r.named(ctx)
	}
	points, err := r.Repo.List(ctx, repo.Filter{Source: r.Source, Kind: r.Drill.Kind})
	if err != nil {
		return nil, err
	}
	candidates := goodPoints(points, r.Now())
	r.report.Point.Among = len(candidates)
	if len(candidates) == 0 {
		return nil, fmt.Errorf("%w: %s has no good recovery point of kind %s (%d in all)", ErrNothing, r.Source, r.Drill.Kind, len(points))
	}
	if r.Drill.Source == job.DrillRandom {
		r.report.Point.Seed = cmp.Or(r.Drill.Seed, newSeed())
	}
	passed := 0
	var why error
	for _, p := range inOrder(candidates, r.Drill.Source, r.report.Point.Seed) {
		m, err := r.take(ctx, p)
		if err != nil {
			return nil, err
		}
		if r.Readable == nil || r.Drill.Archived {
			return m, nil
		}
		unreadable := r.Readable(ctx, r.ref, false)
		switch {
		case unreadable == nil && passed > 0:
			r.warn("%d points were passed over, for they can not be read without bringing them back first: %s", passed, oneLine(why.Error()))
			return m, nil
		case unreadable == nil:
			return m, nil
		case !errors.Is(unreadable, repo.ErrArchived):
			return nil, unreadable // such as that a part of it is gone
		}
		if passed++; why == nil {
			why = unreadable
		}
	}
	r.ref, r.report.Point.ID, r.report.Point.Start, r.report.Point.Stored = repo.Ref{}, "", time.Time{}, 0
	return nil, fmt.Errorf("%w: none of the %d good points of %s can be read now: %w", ErrNothing, len(candidates), r.Source, why)
}

// named takes the point that was asked for, condemned or not.
func (r *run) named(ctx context.Context) (*repo.Manifest, error) {
	r.report.Point.Chosen = "named"
	p, err := r.Repo.Find(ctx, r.Point, repo.Filter{Source: r.Source, Kind: r.Drill.Kind})
	if err != nil && p.ID == "" {
		return nil, err
	}
	if p.Condemned {
		r.warn("%s was found bad before, and stays marked so whatever this drill finds; `pgbackup-runner verify --clear %s` takes that back when it is good", p.ID, p.ID)
	}
	m, err := r.take(ctx, p)
	if err == nil && r.Readable != nil && !r.Drill.Archived {
		err = r.Readable(ctx, r.ref, false)
	}
	return m, err
}

// take settles on a point.
func (r *run) take(ctx context.Context, p repo.Listed) (*repo.Manifest, error) {
	r.ref = p.Ref
	r.report.Point.ID, r.report.Point.Start = p.ID, p.Start.UTC()
	m, err := r.Repo.Manifest(ctx, p.Ref)
	if err != nil {
		return nil, err // a damaged one is a verdict about the point
	}
	r.report.Point.Start, r.report.Point.Stored = m.Start.UTC(), m.StoredSize()
	return m, nil
}

// goodPoints are those that a drill may choose, by id, the oldest first. What is
// dated in the future is as good as any, but "latest" would choose it for ever.
func goodPoints(points []repo.Listed, now time.Time) []repo.Listed {
	var good []repo.Listed
	for _, p := range points {
		if p.Verified() && p.ID != "" && !p.Start.After(now.Add(retention.FutureSkew)) {
			good = append(good, p)
		}
	}
	slices.SortFunc(good, func(a, b repo.Listed) int { return strings.Compare(a.ID, b.ID) })
	return good
}

// inOrder gives the points as a drill prefers them. At random it depends on nothing
// but the seed and the points: the order of a shuffle of their sorted ids.
func inOrder(sorted []repo.Listed, source string, seed int64) []repo.Listed {
	list := slices.Clone(sorted)
	switch source {
	case job.DrillLatest:
		slices.Reverse(list)
	case job.DrillRandom:
		random := rand.New(rand.NewPCG(uint64(seed), 0)) //nolint:gosec // which point is drilled is no secret
		random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	}
	return list
}

// newSeed is one that a person can type: below a billion, and not 0.
func newSeed() int64 { return 1 + rand.Int64N(1_000_000_000-1) } //nolint:gosec // the same
