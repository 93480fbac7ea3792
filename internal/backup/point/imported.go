package point

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Errors of points that are made of files.
var (
	// ErrImported: the source has a point of the same file already.
	ErrImported = errors.New("this file was imported before")
	// ErrFuture: the file's date is not over yet.
	ErrFuture = errors.New("the date is in the future")
)

// oldest is before anything that pg_dump ever wrote: a date before it is a mistake.
var oldest = time.Date(1997, 1, 1, 0, 0, 0, 0, time.UTC)

// checkImported holds that a file is imported once, and under a date that it can
// have. It runs under the source's lease.
func (w *Writing) checkImported(ctx context.Context) error {
	if w.Imported == nil {
		return nil
	}
	if err := CheckStart(w.Start, w.Clock()); err != nil {
		return err
	}
	found, err := FindImported(ctx, w.Repo, repo.Filter{Source: w.Source, Kind: w.kind}, *w.Imported)
	if err != nil {
		return err
	}
	if found != nil {
		return fmt.Errorf("%w, as %s", ErrImported, found.ID)
	}
	return nil
}

// CheckStart holds that a dump can have been made then. Points are ordered by
// their start: one of tomorrow would count as newer than the backups of tonight.
func CheckStart(start, now time.Time) error {
	switch {
	case start.After(now):
		return fmt.Errorf("%w: %s", ErrFuture, start.UTC().Format(time.RFC3339))
	case start.Before(oldest):
		return fmt.Errorf("%s is before anything that pg_dump wrote", start.UTC().Format(time.RFC3339))
	}
	return nil
}

// FindImported is the point that was made of the same database of the same file,
// nil when there is none. Points whose manifest is damaged are passed over.
func FindImported(ctx context.Context, r *repo.Repository, f repo.Filter, file repo.Imported) (*repo.Listed, error) {
	points, err := r.List(ctx, f)
	if err != nil {
		return nil, err
	}
	if err := r.LoadManifests(ctx, points); err != nil {
		return nil, err
	}
	for i, p := range points {
		if p.Manifest == nil || p.Manifest.Origin == nil {
			continue
		}
		if was := p.Manifest.Origin.Imported; was != nil && was.SHA256 == file.SHA256 && was.Database == file.Database {
			return &points[i], nil
		}
	}
	return nil, nil
}

// stampImported says in the manifest where the contents are from. The server that
// the file was loaded into lived for that alone: its identity and its clock say
// nothing, and when the dump ended nobody knows.
func (w *Writing) stampImported(m *repo.Manifest) {
	if w.Imported == nil {
		return
	}
	m.Origin = &repo.Origin{Imported: w.Imported}
	m.Server.SystemIdentifier, m.Server.Clock = "", time.Time{}
	m.End = w.start
}
