package rotate

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/impact"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// past is what was read of a repository for a review. The listing is taken once;
// what it does not tell is read as it turns out to matter and kept, so that every
// moment is judged by the same facts.
type past struct {
	opts    ReviewOptions
	rules   ruleChange
	history *repo.History
	sizes   map[string]int64 // stored bytes by Ref.String, of data that is there

	// By Listed.Key, of points whose manifest or tombstone was read.
	manifests map[string]repo.Listed    // Manifest or Problem is set
	stones    map[string]repo.Tombstone // zero where it can not be read
	gone      map[string]bool           // deleted after the listing was taken
}

func readPast(ctx context.Context, opts ReviewOptions, rules ruleChange) (*past, error) {
	p := &past{opts: opts, rules: rules, manifests: map[string]repo.Listed{}, stones: map[string]repo.Tombstone{}, gone: map[string]bool{}}
	reads := []func(context.Context) error{
		func(ctx context.Context) (err error) {
			p.history, err = opts.Repo.History(ctx, repo.Filter{})
			return err
		},
		func(ctx context.Context) (err error) { p.sizes, err = opts.Repo.Sizes(ctx, repo.Filter{}); return err },
	}
	reads = append(reads, func(ctx context.Context) (err error) { p.rules.wal, err = readWALPast(ctx, opts.Repo); return err })
	return p, parallel.Each(ctx, len(reads), len(reads), func(ctx context.Context, i int) error { return reads[i](ctx) })
}

// at gives the points that were there at a moment, with what was read of them.
func (p *past) at(t time.Time) []repo.Listed { return p.complete(p.history.At(t), t) }

// complete adds to points of a history what it does not know: that one went while
// the review was reading; of a deleted one, what it was built on and that it was not
// committed yet; and, for the rule wal, when a base backup ended. Nothing else that
// was read goes in here: what the rules say of a moment must not depend on what was
// looked at.
func (p *past) complete(listed []repo.Listed, t time.Time) []repo.Listed {
	there := listed[:0]
	for _, l := range listed {
		if p.gone[l.Key] {
			l.Deleted = p.opts.Now
		}
		stone := p.stones[l.Key]
		switch {
		case l.Deleted.IsZero():
			if read, ok := p.manifests[l.Key]; ok && p.rules.usesWAL() && l.Kind == retention.KindPhysical {
				l.Manifest, l.End, l.System, l.Problem = read.Manifest, read.End, read.System, read.Problem
			}
		case !l.Deleted.After(t), stone.Committed.After(t):
			continue
		default:
			l.End, l.System, l.Parent = stone.End, stone.System, cmp.Or(l.Parent, stone.Parent)
		}
		there = append(there, l)
	}
	return there
}

// impact is what the change does to the points there were at a moment, and the set
// that the rules alone lose.
func (p *past) impact(ctx context.Context, at time.Time) (impact.Impact, impact.Set, error) {
	for {
		if err := p.prepare(ctx, at); err != nil {
			return impact.Impact{}, impact.Set{}, err
		}
		v := p.judge(p.at(at), at)
		vanished, err := p.spare(ctx, &v, at)
		switch {
		case err != nil:
			return impact.Impact{}, impact.Set{}, err
		case vanished: // the verdict is about points that are no more
			continue
		}
		i, err := impact.Of(impact.Facts{AsOf: at, Points: v.points, Windows: v.told(), Old: p.opts.Old, New: p.opts.New, Prices: p.opts.Prices})
		return i, v.lost, err
	}
}

// prepare reads what at needs of the points of a moment.
func (p *past) prepare(ctx context.Context, at time.Time) error {
	listed := p.at(at)
	if err := p.readStones(ctx, listed); err != nil {
		return err
	}
	if !p.rules.usesWAL() {
		return nil
	}
	_, err := p.readManifests(ctx, listed, isPhysical)
	return err
}

// verdict is what the rules of before and after do with the points of a moment.
type verdict struct {
	listed []repo.Listed
	points []impact.Point // of the same index
	lost   impact.Set     // by the rules alone
	losing map[string]bool

	windows []windowChange // of every server whose WAL is archived
}

func (p *past) judge(listed []repo.Listed, at time.Time) verdict {
	v := verdict{listed: listed, points: make([]impact.Point, len(listed)), losing: map[string]bool{}}
	fates := p.rules.fates(listed, at)
	for i := range listed {
		l := &listed[i]
		if l.Start.IsZero() {
			continue // a stranger's file
		}
		before, after := fates(l.Ref)
		v.points[i] = impact.Point{
			Source: l.Source, Kind: l.Kind, ID: l.ID, Start: l.Start, Bytes: p.bytes(l),
			Restorable: l.Verified() && !l.Start.After(at.Add(retention.FutureSkew)),
			Before:     before, After: after,
		}
		if isLost(before, after) {
			v.lost.Add(impact.SetOf(l.String()))
			v.losing[l.Source] = true
		}
	}
	v.windows = p.rules.windows(listed, at)
	for _, w := range v.windows {
		if w.lost() {
			v.lost.Add(w.set())
			v.losing[w.server.Source] = true
		}
	}
	return v
}

// bytes of a point, 0 where they are not known.
func (p *past) bytes(l *repo.Listed) int64 {
	if !l.Deleted.IsZero() {
		return p.stones[l.Key].Bytes
	}
	return p.sizes[l.String()]
}

// stoneReaders is how many tombstones are read at once.
const stoneReaders = 32

// readStones reads the tombstones of points that were deleted since: they alone
// tell their size, what they were built on and when they were committed.
func (p *past) readStones(ctx context.Context, points []repo.Listed) error {
	var wanted []repo.Listed
	for _, l := range points {
		if _, read := p.stones[l.Key]; !read && !l.Deleted.IsZero() {
			wanted = append(wanted, l)
		}
	}
	stones := make([]repo.Tombstone, len(wanted))
	err := parallel.Each(ctx, stoneReaders, len(wanted), func(ctx context.Context, i int) (err error) {
		stones[i], err = p.opts.Repo.Tombstone(ctx, wanted[i].Ref)
		if errors.Is(err, repo.ErrDamaged) || errors.Is(err, repo.ErrNotFound) {
			err = nil
		}
		return err
	})
	if err != nil {
		return err
	}
	for i, l := range wanted {
		p.stones[l.Key] = stones[i]
	}
	return nil
}
