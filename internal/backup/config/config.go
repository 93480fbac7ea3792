// Package config backs up the configuration of a server: its files as the server
// itself or a disk has them with all they include, the settings in force, or the
// parameter group of an RDS instance.
//
// What lives here: where configuration is found. What must not: SQL (package
// postgres), AWS (a ParameterSource brings it), the tar (package tarstream), flags
// and printing (the faces).
package config

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/tarstream"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Options of Run and Plan.
type Options struct {
	point.Options
	From Source
}

// Source is where a configuration is read: Server, Directory or ParameterGroup.
type Source interface {
	Read(ctx context.Context) (Configuration, error)
	String() string // for messages
}

// Configuration is what was read at one moment.
type Configuration struct {
	Files   []File // by name
	Server  repo.Server
	Origin  repo.Origin
	Asked   time.Time // on our clock, when the server told its own; zero without one
	Tool    string
	Skipped []repo.Skipped // what should be there and is not: worth a warning
}

// File of a configuration. Its name is its path on the server without the first
// slash, or one below Own for what is in no file there.
type File struct {
	Name     string
	Data     []byte
	Modified time.Time
}

// Own is the directory of what was asked of a server and is in none of its files.
const Own = "pgbackup/"

// Preview is what a backup would store, from a dry run.
type Preview struct {
	Source     string         `json:"source"`
	From       string         `json:"from"`
	Files      []string       `json:"files"`
	Bytes      int64          `json:"bytes"`
	Repository string         `json:"repository"`
	Sealed     bool           `json:"sealed"`
	Skipped    []repo.Skipped `json:"skipped,omitempty"`
}

// Run takes one backup.
func Run(ctx context.Context, o Options) (point.Result, error) {
	return point.Take(ctx, o.Options, string(job.KindConfig), "configuration of "+o.From.String(), func(ctx context.Context, w *point.Writing) (*repo.Manifest, error) {
		var found Configuration
		err := w.Timed("reading", func() (err error) {
			found, err = Read(ctx, o.From, w.StallTimeout)
			return err
		})
		if err != nil {
			return nil, err
		}
		if found.Origin.Directory != "" {
			found.Origin.Host = o.OriginHost()
		}
		if !found.Asked.IsZero() {
			w.ServerAsked(found.Asked)
		}
		for _, s := range found.Skipped {
			w.Skip(s.What, s.Why)
			w.Warn("%s is not in this backup: %s", s.What, s.Why)
		}
		m := &repo.Manifest{Tool: found.Tool, Server: found.Server, Origin: &found.Origin, Verification: repo.Verification{Archive: true, Reference: tarstream.Reference}}
		err = w.Timed("storing", func() (err error) {
			m.Totals, err = tarstream.Store(ctx, w, func(_ context.Context, t *tarstream.Writer) error {
				for _, f := range found.Files {
					if err := t.AddBytes(f.Name, f.Data, f.Modified); err != nil {
						return err
					}
				}
				return nil
			})
			return err
		})
		return m, err
	})
}

// Plan says what Run would store.
func Plan(ctx context.Context, o Options) (Preview, error) {
	o.Defaults()
	p := Preview{Source: o.Source, From: o.From.String(), Repository: o.Repo.URL(), Sealed: o.Repo.Sealed()}
	if err := repo.CheckSource(o.Source); err != nil {
		return p, err
	}
	found, err := Read(ctx, o.From, o.StallTimeout)
	for _, f := range found.Files {
		p.Files = append(p.Files, f.Name)
		p.Bytes += int64(len(f.Data))
	}
	p.Skipped = found.Skipped
	return p, err
}

// Read reads a configuration in at most limit. One without any bytes is
// point.ErrEmpty.
func Read(ctx context.Context, from Source, limit time.Duration) (Configuration, error) {
	ctx, stop := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w for %s: %s does not answer", point.ErrStalled, limit, from))
	defer stop()
	found, err := from.Read(ctx)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		return found, err
	}
	slices.SortFunc(found.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	for _, f := range found.Files {
		if len(f.Data) > 0 {
			return found, nil
		}
	}
	return found, fmt.Errorf("%w: the configuration of %s is empty", point.ErrEmpty, from)
}
