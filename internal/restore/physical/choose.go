package physical

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Choice is which base backup a target is recovered from.
type Choice struct {
	Archive repo.WALArchive
	Chain   []repo.Ref // from the full backup to the one that recovery begins with
	Window  archive.Window
}

// Point is the base backup that recovery begins with.
func (c *Choice) Point() repo.Ref { return c.Chain[len(c.Chain)-1] }

// Choose finds the base backup that reaches the target, or holds that the one which
// was named does, and what it builds on. Of base backups it reads manifests alone.
// *archive.Unreachable when there is no way to the target.
func Choose(ctx context.Context, o Options) (*Choice, error) {
	points, err := o.Repo.List(ctx, repo.Filter{Source: o.Source, Kind: string(job.KindPhysical)})
	if err != nil {
		return nil, err
	}
	if len(points) == 0 {
		return nil, fmt.Errorf("source %s: %w: it has no base backup in %s", o.Source, repo.ErrNotFound, o.Repo.URL())
	}
	c := &Choice{Archive: o.Archive}
	if c.Archive == (repo.WALArchive{}) {
		if c.Archive, err = archiveOf(ctx, o, points); err != nil {
			return nil, err
		}
	}
	base, window, err := look(ctx, o, c.Archive)
	for tries := 1; errors.Is(err, archive.ErrChanged) && tries < maxLooks; tries++ {
		base, window, err = look(ctx, o, c.Archive)
	}
	if err != nil {
		return nil, err
	}
	c.Window = window
	for ref := base.Ref; ; {
		c.Chain = append(c.Chain, ref)
		if ref.Parent == "" {
			break
		}
		i := slices.IndexFunc(points, func(l repo.Listed) bool { return l.ID == ref.Parent })
		if i < 0 || len(c.Chain) > len(points) {
			return nil, fmt.Errorf("%s builds on %s: %w", ref, ref.Parent, repo.ErrNotFound)
		}
		ref = points[i].Ref
	}
	slices.Reverse(c.Chain)
	return c, nil
}

// maxLooks is how often an archive is looked at that changes meanwhile.
const maxLooks = 3

// look surveys the archive for the target, and picks the base backup.
func look(ctx context.Context, o Options, a repo.WALArchive) (archive.Base, archive.Window, error) {
	survey, err := archive.Look(ctx, o.Repo, a, archive.Options{Headers: true})
	if err != nil {
		return archive.Base{}, archive.Window{}, err
	}
	of := survey
	if o.Point != "" {
		if of, err = only(survey, o.Point); err != nil {
			return archive.Base{}, archive.Window{}, err
		}
	}
	target, err := locate(ctx, o, of)
	if o.Point != "" && errors.As(err, new(*archive.Unreachable)) {
		// Where it is at all tells more than that the one base backup does not lead there.
		if elsewhere, at := locate(ctx, o, survey); at == nil {
			target, err = elsewhere, nil
		}
	}
	if err != nil {
		return archive.Base{}, archive.Window{}, err
	}
	return of.Choose(target)
}

// locate looks where in the archive a transaction or a restore point is: the base
// backup has to be from before it. The end of a transaction that was prepared first is
// not found so, and where there may be such, the server has to look itself.
func locate(ctx context.Context, o Options, s *archive.Survey) (archive.Target, error) {
	target, err := archive.Locate(ctx, o.Repo, s, o.Target, o.looking())
	var none *archive.Unreachable
	if target.XID == 0 || !errors.As(err, &none) || none.Target.Located() {
		return target, err
	}
	for _, b := range s.Bases {
		if b.Problem == "" && b.Manifest.Physical.Settings["max_prepared_transactions"] != "0" {
			return target, nil
		}
	}
	return target, err
}

// lookingTold is how long nothing is said of a search, and then between two words of it.
const lookingTold = 10 * time.Second

// looking tells of a search for a target that takes its time.
func (o Options) looking() func(read, all int) {
	said := time.Now()
	return func(read, all int) {
		if o.Log != nil && time.Since(said) > lookingTold {
			said = time.Now()
			o.Log.Info("looking through the archived WAL, newest first, for "+o.Target.String(), "read", read, "segments", all)
		}
	}
}

// link is one base backup of a chain, opened.
type link struct {
	*repo.Point
	index *repo.Index
}

// archiveOf is the archive of the WAL of the base backup that was named, or of the
// newest that can be read.
func archiveOf(ctx context.Context, o Options, points []repo.Listed) (repo.WALArchive, error) {
	var last error
	for _, p := range points {
		if o.Point != "" && p.ID != o.Point {
			continue
		}
		m, err := o.Repo.Manifest(ctx, p.Ref)
		if err != nil {
			last = err
			continue
		}
		return archive.Find(ctx, o.Repo, o.Source, m.Server.SystemIdentifier)
	}
	if last != nil {
		return repo.WALArchive{}, last
	}
	return repo.WALArchive{}, fmt.Errorf("base backup %s of %s: %w", o.Point, o.Source, repo.ErrNotFound)
}

// only is a survey that knows one base backup.
func only(s *archive.Survey, id string) (*archive.Survey, error) {
	for _, b := range s.Bases {
		if b.Ref.ID != id {
			continue
		}
		if b.Problem != "" {
			return nil, fmt.Errorf("base backup %s %w: %s", b.Ref, ErrUnusable, b.Problem)
		}
		one := *s
		one.Bases = []archive.Base{b}
		return &one, nil
	}
	return nil, fmt.Errorf("base backup %s in the archive of %s: %w", id, s.Archive, repo.ErrNotFound)
}

// open opens the base backups of a choice, and their indexes.
func (c *Choice) open(ctx context.Context, r *repo.Repository) ([]link, error) {
	var chain []link
	for _, ref := range c.Chain {
		p, err := r.OpenPoint(ctx, ref)
		if err != nil {
			return nil, err
		}
		if p.Physical == nil || p.Server.SystemIdentifier != c.Archive.System {
			return nil, fmt.Errorf("%s: %w: it is of system %s, the archive of %s", ref, repo.ErrDamaged, p.Server.SystemIdentifier, c.Archive.System)
		}
		x, err := p.Index(ctx)
		if err == nil && x.Stream != contents.StreamArchive {
			err = fmt.Errorf("%s: %w: its index is of stream %s", ref, repo.ErrDamaged, x.Stream)
		}
		if err == nil {
			err = logical.IndexFits(p.Manifest, x)
		}
		if err != nil {
			return nil, err
		}
		chain = append(chain, link{p, x})
	}
	return chain, nil
}
