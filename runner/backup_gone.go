package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// warnOfGone tells of databases that the job backed up when it last ran and that the
// server does not have any more. Whoever backs up every database hears of one that
// was dropped, or renamed, by nothing else. It is said once: after this run, the
// last one is one without it.
func (b *backupRun) warnOfGone(ctx context.Context, takes []take) {
	every := takes[0].every
	if b.job == nil || every == "" {
		return
	}
	gone, err := b.gone(ctx, takes, every)
	if err != nil {
		b.warned("whether a database is gone since the last run is not known: %v", err)
	}
	for _, source := range gone {
		b.warned("database %s was backed up when this job last ran, and the server has it no more: its recovery points (%s) stay; if it was not dropped on purpose, restore the newest",
			strings.TrimSuffix(source, every), printable(source))
	}
}

// gone lists the sources that end with every, were made by the last run of the job
// that is known, and are not made by this one.
func (b *backupRun) gone(ctx context.Context, takes []take, every string) ([]string, error) {
	points, err := b.opts.Repo.List(ctx, repo.Filter{Kind: logical.Kind})
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	newest := slices.DeleteFunc(points, func(p repo.Listed) bool {
		if seen[p.Source] || !strings.HasSuffix(p.Source, every) || p.Problem != nil {
			return true
		}
		seen[p.Source] = true
		return false
	})
	here := func(source string) bool {
		return slices.ContainsFunc(takes, func(t take) bool { return t.source == source })
	}
	if !slices.ContainsFunc(newest, func(p repo.Listed) bool { return !here(p.Source) }) {
		return nil, nil
	}
	if err := b.opts.Repo.LoadManifests(ctx, newest); err != nil {
		return nil, err
	}
	var last time.Time
	var gone []string
	for _, p := range newest {
		if m := p.Manifest; m != nil && m.Job == b.job.Name && m.Run.After(last) {
			last = m.Run
		}
	}
	for _, p := range newest {
		if m := p.Manifest; m != nil && m.Job == b.job.Name && !last.IsZero() && m.Run.Equal(last) && !here(p.Source) {
			gone = append(gone, p.Source)
		}
	}
	slices.Sort(gone)
	return gone, nil
}
