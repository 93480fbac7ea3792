package drill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// chooseMoment looks at base backups and archived WAL, and settles on a moment and the
// base backup that it is recovered from.
func (r *run) chooseMoment(ctx context.Context) (moment, error) {
	bases, survey, err := r.surveyArchive(ctx)
	if err != nil {
		return moment{}, err
	}
	chosen := r.Drill.Chosen()
	if chosen == job.DrillRandom {
		r.report.Point.Seed = cmp.Or(r.Drill.Seed, newSeed())
	}
	var why error
	passed := 0
	for {
		m, ok := pickMoment(bases, survey.Current, chosen, r.report.Point.Seed)
		if !ok {
			return moment{}, r.noMoment(bases, why)
		}
		r.settle(m, bases, survey)
		if r.Readable == nil || r.Drill.Archived {
			return m, nil
		}
		switch unreadable := r.Readable(ctx, r.ref, false); {
		case unreadable == nil && passed > 0:
			r.warn("%d base backups were passed over, for they can not be read without bringing them back first: %s", passed, oneLine(why.Error()))
			return m, nil
		case unreadable == nil:
			return m, nil
		case !errors.Is(unreadable, repo.ErrArchived):
			return m, unreadable // such as that a part of it is gone
		default:
			passed++
			why = cmp.Or(why, unreadable)
		}
		bases = slices.DeleteFunc(slices.Clone(bases), func(b archive.Base) bool { return b.Ref.ID == m.base.Ref.ID })
	}
}

// surveyArchive finds the base backups of the source, or the one that is named, and
// what the archive of their server's WAL covers.
func (r *run) surveyArchive(ctx context.Context) ([]archive.Base, *archive.Survey, error) {
	of, err := r.server(ctx)
	if err != nil {
		return nil, nil, err
	}
	r.archive = repo.WALArchive{Source: r.Source, System: of.Server.SystemIdentifier}
	survey, err := archive.Look(ctx, r.Repo, r.archive, archive.Options{Headers: true})
	if err != nil {
		return nil, nil, err
	}
	bases := slices.DeleteFunc(slices.Clone(survey.Bases), func(b archive.Base) bool {
		return b.Manifest == nil || b.Manifest.Physical == nil || r.Point != "" && b.Ref.ID != r.ref.ID
	})
	return bases, survey, nil
}

// server is the manifest that says which server is drilled: of the point that is
// named, else of the newest good one.
func (r *run) server(ctx context.Context) (*repo.Manifest, error) {
	if r.Point != "" {
		m, err := r.named(ctx)
		if m != nil {
			r.Point = m.ID
		}
		return m, err
	}
	points, err := r.Repo.List(ctx, repo.Filter{Source: r.Source, Kind: r.Drill.Kind})
	if err != nil {
		return nil, err
	}
	good := goodPoints(points, r.Now())
	if len(good) == 0 {
		return nil, fmt.Errorf("%w: %s has no good base backup (%d in all)", ErrNothing, r.Source, len(points))
	}
	return r.Repo.Manifest(ctx, good[len(good)-1].Ref)
}

// settle notes in the report what was chosen, among what.
func (r *run) settle(m moment, bases []archive.Base, survey *archive.Survey) {
	r.ref = m.base.Ref
	p := &r.report.Point
	p.ID, p.Start, p.Stored = r.ref.ID, m.base.Manifest.Start.UTC(), m.base.Manifest.StoredSize()
	p.Among = 0
	rec := r.report.Recovery
	rec.Target, rec.Timeline = m.at.UTC(), uint32(m.window.Timeline)
	rec.From, rec.To = time.Time{}, time.Time{}
	for _, w := range reachable(bases, survey.Current) {
		if rec.From.IsZero() || w.window.From.Before(rec.From) {
			rec.From = w.window.From.UTC()
		}
		if w.window.To.After(rec.To) {
			rec.To = w.window.To.UTC()
		}
	}
	for _, b := range bases {
		if b.Problem == "" {
			p.Among++
		}
	}
	seconds := max(0, r.report.Start.Sub(rec.To).Seconds())
	r.report.RPO = &drillreport.RPO{Seconds: seconds, Objective: r.RPO.Seconds()}
}

// noMoment says why none could be chosen.
func (r *run) noMoment(bases []archive.Base, why error) error {
	if why != nil {
		return fmt.Errorf("%w: no base backup of %s that can be recovered can be read now: %w", ErrNothing, r.Source, why)
	}
	for _, b := range bases {
		if b.Problem != "" {
			return fmt.Errorf("%w: no base backup of %s can be recovered; %s: %s", ErrNothing, r.Source, b.Ref.ID, b.Problem)
		}
	}
	return fmt.Errorf("%w: no base backup of %s can be recovered with the WAL in the archive", ErrNothing, r.Source)
}
