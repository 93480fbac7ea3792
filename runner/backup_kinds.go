package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/command"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/files"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

// takeFiles is a backup of directories as a tar.
func (a *app) takeFiles(f backupFlags, r *repo.Repository) ([]take, error) {
	var selection job.Files
	otherwise := thisHost()
	if a.job != nil {
		selection, otherwise = *a.job.Files, a.machineSource()
	}
	if len(f.paths) > 0 {
		selection.Paths = f.paths
	}
	if len(f.exclude) > 0 {
		selection.Exclude = f.exclude
	}
	selection.OneFileSystem = selection.OneFileSystem || f.oneFileSystem
	if err := selection.Validate(); err != nil {
		return nil, usagef("files: %w", err)
	}
	omit, _ := strings.CutPrefix(r.URL(), "file://")
	if !filepath.IsAbs(omit) {
		omit = ""
	}
	options := func(o point.Options) files.Options {
		return files.Options{Options: o, Selection: selection, Omit: omit}
	}
	return []take{{
		kind: job.KindFiles, source: a.sourceName(otherwise),
		run: func(ctx context.Context, o point.Options) (point.Result, error) { return files.Run(ctx, options(o)) },
		plan: func(ctx context.Context, o point.Options) (preview, error) {
			p, err := files.Plan(ctx, options(o))
			return preview{document: p, skipped: p.Skipped, warnings: p.Warnings,
				text: fmt.Sprintf("Would back up %s: %s (%s, %s)", p.Source, strings.Join(p.Paths, ", "), plural(p.Files, "file"), size(p.Bytes))}, err
		},
	}}, nil
}

// takeCommand is a backup of what a program writes.
func (a *app) takeCommand(f backupFlags) ([]take, error) {
	var c job.Command
	if a.job != nil {
		c = *a.job.Command
	}
	if len(f.argv) > 0 {
		c.Argv = f.argv
	}
	c.FileName = cmp.Or(f.fileName, c.FileName)
	if f.timeLimit != "" {
		d, err := duration.Parse(f.timeLimit)
		if err != nil {
			return nil, usagef("--time-limit: %w", err)
		}
		c.TimeLimit = d
	}
	if err := c.Validate(); err != nil {
		return nil, usagef("command: %w", err)
	}
	otherwise := filepath.Base(c.Argv[0]) + "@" + thisHost()
	if a.job != nil {
		otherwise = a.machineSource()
	}
	type previewed struct {
		Source string   `json:"source"`
		Argv   []string `json:"argv"`
	}
	return []take{{
		kind: job.KindCommand, source: a.sourceName(otherwise),
		run: func(ctx context.Context, o point.Options) (point.Result, error) {
			return command.Run(ctx, command.Options{Options: o, Command: c, HideEnv: a.secretVariables()})
		},
		plan: func(_ context.Context, o point.Options) (preview, error) {
			if err := repo.CheckSource(o.Source); err != nil {
				return preview{}, err
			}
			p := preview{document: previewed{o.Source, c.Argv}, text: fmt.Sprintf("Would run %q and back up %s: what it writes", strings.Join(c.Argv, " "), o.Source)}
			if _, err := command.Find(c.Argv[0]); err != nil {
				return p, err
			}
			return p, nil
		},
	}}, nil
}

// secretVariables are the variables of our environment that open the repository or
// that the job names as secrets: the program may be anything, and what it prints is
// stored. One that needs PGPASSWORD gets it as long as no reference of the job
// names it.
func (a *app) secretVariables() []string {
	names := []string{envKey}
	hide := func(ref secretref.Ref) {
		if ref.Scheme == secretref.Env {
			names = append(names, ref.Value)
		}
	}
	if ref, err := secretref.Parse(a.keyReference()); err == nil {
		hide(ref)
	}
	if a.job != nil {
		for _, r := range a.job.References() {
			hide(r.Ref)
		}
	}
	return names
}
