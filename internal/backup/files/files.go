// Package files backs up directories and files as one tar stream.
//
// What lives here: the walk over a file system that others change meanwhile, and
// what is said about what could not be read as it was. What must not: the tar and
// its check (package tarstream), what every kind does alike (package point),
// flags and printing (the faces).
package files

import (
	"archive/tar"
	"context"
	"fmt"
	"io"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/tarstream"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Options of Run and Plan.
type Options struct {
	point.Options
	Selection job.Files
	// Omit is a directory that is never read: the repository, where it lies below
	// one of the paths. A backup of itself has no end. "" = none.
	Omit string
}

// Preview is what a backup would read, from a dry run.
type Preview struct {
	Source     string         `json:"source"`
	Paths      []string       `json:"paths"`
	Files      int64          `json:"files"`
	Bytes      int64          `json:"bytes"`
	Repository string         `json:"repository"`
	Sealed     bool           `json:"sealed"`
	Skipped    []repo.Skipped `json:"skipped,omitempty"`
	Warnings   []string       `json:"-"`
}

// Run takes one backup. Files that change, vanish or can not be read meanwhile do
// not end it: the manifest and a warning name them. No file at all is an error,
// such as of a disk that is not mounted.
func Run(ctx context.Context, o Options) (point.Result, error) {
	return point.Take(ctx, o.Options, string(job.KindFiles), "files", func(ctx context.Context, w *point.Writing) (*repo.Manifest, error) {
		walk := &walk{Options: o, progress: w.Progress}
		var totals repo.Totals
		err := w.Timed("reading", func() (err error) {
			totals, err = tarstream.Store(ctx, w, func(ctx context.Context, t *tarstream.Writer) error {
				walk.add = t.Add
				return walk.all(ctx)
			})
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, s := range walk.skipped() {
			w.Skip(s.What, s.Why)
		}
		for _, warning := range walk.warnings() {
			w.Warn("%s", warning)
		}
		return &repo.Manifest{
			Tool:         "tar",
			Verification: repo.Verification{Archive: true, Reference: tarstream.Reference},
			Totals:       totals,
			Origin:       &repo.Origin{Host: o.OriginHost(), Paths: o.Selection.Paths, Exclude: o.Selection.Exclude},
		}, nil
	})
}

// Plan says what Run would read. It opens every file and reads none.
func Plan(ctx context.Context, o Options) (Preview, error) {
	o.Defaults()
	if err := repo.CheckSource(o.Source); err != nil {
		return Preview{}, err
	}
	p := Preview{Source: o.Source, Paths: o.Selection.Paths, Repository: o.Repo.URL(), Sealed: o.Repo.Sealed()}
	walk := &walk{Options: o, progress: o.Progress, add: func(h *tar.Header, _ io.Reader) error {
		if h.Typeflag == tar.TypeReg {
			p.Files++
			p.Bytes += h.Size
		}
		return nil
	}}
	if err := walk.all(ctx); err != nil {
		return p, fmt.Errorf("back up %s (files): %w", o.Source, err)
	}
	p.Skipped, p.Warnings = walk.skipped(), walk.warnings()
	return p, nil
}
