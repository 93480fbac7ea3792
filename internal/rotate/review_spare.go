package rotate

import (
	"context"
	"errors"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// spare asks the guards of a rotation which of the doomed points they would keep.
// Manifests are read only of sources that lose points. vanished tells that some
// of them were deleted meanwhile: then the verdict has to be made anew.
func (p *past) spare(ctx context.Context, v *verdict, at time.Time) (vanished bool, err error) {
	if v.lost.Len() == 0 {
		return false, nil
	}
	var listed []repo.Listed // whole sources, those that lose points
	for _, l := range v.listed {
		if !v.losing[sourceOf(l)] {
			continue
		}
		if read, ok := p.manifests[l.Key]; ok && l.Deleted.IsZero() {
			l.Manifest, l.End, l.System, l.Problem = read.Manifest, read.End, read.System, read.Problem
		}
		listed = append(listed, l)
	}
	if vanished, err := p.readManifests(ctx, listed, func(*repo.Listed) bool { return true }); vanished || err != nil {
		return vanished, err
	}
	rotation := Options{Repo: p.opts.Repo, Rules: p.rules.after, Now: at, Policy: p.opts.New.Name, madeUnder: p.madeUnder(listed), archives: p.rules.wal.at(at)}
	if at.Before(p.opts.Now) {
		// What another policy said then must not depend on whether it was changed
		// since, by the same apply for one.
		rotation.othersAsOf = at
	}
	rotation.defaults()
	out, err := rotation.guarded(ctx, listed, repo.Filter{})
	if err != nil {
		return false, err
	}
	kept := make(map[repo.Ref]*Decision, len(out.Keep))
	for i := range out.Keep {
		kept[out.Keep[i].ref] = &out.Keep[i]
	}
	for i := range v.points {
		point := &v.points[i]
		if d := kept[v.listed[i].Ref]; d != nil && isLost(point.Before, point.After) {
			// What the rules themselves keep here they keep because of what a manifest
			// says, or fails to say.
			point.Spared, point.Protected = d.Reasons[0], d.keeper == keptByOther
		}
	}
	return false, rotation.spareWindows(ctx, v, listed, out)
}

// madeUnder gives the policies of points that were deleted since.
func (p *past) madeUnder(listed []repo.Listed) map[string]string {
	policies := map[string]string{}
	for _, l := range listed {
		if !l.Deleted.IsZero() {
			policies[l.String()] = p.stones[l.Key].MadeUnder
		}
	}
	return policies
}

// readManifests reads the manifests of the points that want says. vanished tells
// that some were deleted since the listing was taken.
func (p *past) readManifests(ctx context.Context, listed []repo.Listed, want func(*repo.Listed) bool) (vanished bool, err error) {
	wanted := func(l *repo.Listed) bool { return l.Deleted.IsZero() && l.Problem == nil && want(l) }
	if err := loadSome(ctx, p.opts.Repo, listed, wanted); err != nil {
		return false, err
	}
	for i := range listed {
		l := &listed[i]
		if !errors.Is(l.Problem, repo.ErrNotFound) {
			if l.Manifest != nil || l.Problem != nil {
				p.manifests[l.Key] = *l
			}
			continue
		}
		stone, err := p.opts.Repo.Tombstone(ctx, l.Ref)
		switch {
		case err == nil:
			p.stones[l.Key], p.gone[l.Key], vanished = stone, true, true
		case errors.Is(err, repo.ErrNotFound), errors.Is(err, repo.ErrDamaged):
			p.manifests[l.Key] = *l
		default:
			return false, err
		}
	}
	return vanished, nil
}
