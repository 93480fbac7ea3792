package main

import (
	"context"
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/globals"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// takeDatabases is a logical backup of each database.
func (a *app) takeDatabases(ctx context.Context, f backupFlags) ([]take, error) {
	dumps, every, err := a.dumps(ctx, f.all)
	if err != nil {
		return nil, err
	}
	selection, withGlobals := a.selection(f)
	takes := make([]take, len(dumps))
	for i, d := range dumps {
		options := func(o point.Options) backup.Options {
			return backup.Options{Options: o, Target: d.target, Selection: selection, Globals: withGlobals}
		}
		takes[i] = take{
			kind: job.KindLogical, source: d.source, database: d.target.Database, every: every,
			run: func(ctx context.Context, o point.Options) (point.Result, error) { return backup.Run(ctx, options(o)) },
			plan: func(ctx context.Context, o point.Options) (preview, error) {
				p, err := backup.Plan(ctx, options(o))
				return preview{document: p, skipped: p.Skipped, text: fmt.Sprintf("Would back up %s: database %s (%s, %s) of PostgreSQL %s with %s",
					p.Source, p.Database, size(p.DatabaseBytes), plural(int64(p.TableCount), "table"), p.Server, p.Tool)}, err
			},
		}
	}
	return takes, nil
}

// selection is what of each database is dumped. Flags replace the job's lists.
func (a *app) selection(f backupFlags) (s postgres.Selection, globals bool) {
	globals = true
	if a.job != nil && a.job.Logical != nil {
		l := a.job.Logical
		globals = l.WithGlobals()
		s = postgres.Selection{IncludeTables: l.IncludeTables, ExcludeTables: l.ExcludeTables, IncludeSchemas: l.IncludeSchemas, ExcludeSchemas: l.ExcludeSchemas}
	}
	for _, l := range []struct {
		list  *[]string
		given []string
	}{
		{&s.IncludeTables, f.includeTables}, {&s.ExcludeTables, f.excludeTables},
		{&s.IncludeSchemas, f.includeSchemas}, {&s.ExcludeSchemas, f.excludeSchemas},
	} {
		if len(l.given) > 0 {
			*l.list = l.given
		}
	}
	return s, globals && !f.noGlobals
}

// takeGlobals is a backup of a server's roles and tablespaces.
func (a *app) takeGlobals(ctx context.Context) ([]take, error) {
	s, err := a.server(ctx)
	if err != nil {
		return nil, err
	}
	options := func(o point.Options) globals.Options { return globals.Options{Options: o, Target: s.Target} }
	return []take{{
		kind: job.KindGlobals, source: a.sourceName(hostName(s.Target)),
		run: func(ctx context.Context, o point.Options) (point.Result, error) { return globals.Run(ctx, options(o)) },
		plan: func(ctx context.Context, o point.Options) (preview, error) {
			p, err := globals.Plan(ctx, options(o))
			return preview{document: p, text: fmt.Sprintf("Would back up %s: roles and tablespaces of PostgreSQL %s with %s", p.Source, p.Server, p.Tool)}, err
		},
	}}, nil
}
