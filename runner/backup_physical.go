package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/physical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// physicalFlags of the command backup.
type physicalFlags struct {
	checkpoint, compression, fullEvery, walTimeout string
	maxRate                                        int64
	incremental                                    bool
	jobs                                           int
}

func (f *physicalFlags) register(set *pflag.FlagSet) {
	set.StringVar(&f.checkpoint, "checkpoint", "", "physical: `HOW` the checkpoint is done that it begins with: fast (default, a burst of writes), or spread over minutes as the server's own are")
	set.Int64Var(&f.maxRate, "max-rate", 0, "physical: the server sends at most so many `BYTES` a second")
	set.StringVar(&f.compression, "server-compression", "", "physical: the server compresses what it sends by this `METHOD`: zstd, lz4 or gzip, for a network that is the limit")
	set.BoolVar(&f.incremental, "incremental", false, "physical: only what changed since the base backup before (PostgreSQL 17 and newer, with summarize_wal = on); a full one where that is not possible, with a warning")
	set.StringVar(&f.fullEvery, "full-every", "", "physical: with --incremental, take a full one when the last full one is older than this `DURATION` (default 7d)")
	set.IntVar(&f.jobs, "jobs", 0, "physical: how many parts are compressed at once (default 2)")
	set.StringVar(&f.walTimeout, "wal-timeout", "", "physical: fail when WAL that was written during the backup is not in the repository after this `DURATION` (default 10m)")
}

// over puts the flags over what a job says.
func (f physicalFlags) over(p job.Physical) (job.Physical, error) {
	p.Checkpoint, p.Compression, p.MaxRate = cmp.Or(f.checkpoint, p.Checkpoint), cmp.Or(f.compression, p.Compression), cmp.Or(f.maxRate, p.MaxRate)
	if f.incremental && p.Incremental == nil {
		p.Incremental = &job.Incremental{}
	}
	if f.fullEvery != "" {
		every, err := duration.Parse(f.fullEvery)
		switch {
		case err != nil:
			return p, usagef("--full-every: %w", err)
		case p.Incremental == nil:
			return p, usagef("--full-every says how often an incremental backup is a full one: give --incremental too")
		}
		p.Incremental = &job.Incremental{FullEvery: every}
	}
	if f.walTimeout != "" {
		limit, err := duration.Parse(f.walTimeout)
		if err != nil {
			return p, usagef("--wal-timeout: %w", err)
		}
		p.WALTimeout = limit
	}
	if err := p.Validate(); err != nil {
		return p, usagef("physical: %w", err)
	}
	return p, nil
}

// takePhysical is a base backup of a whole server.
func (a *app) takePhysical(ctx context.Context, f backupFlags) ([]take, error) {
	var what job.Physical
	if a.job != nil {
		what = *a.job.Physical
	}
	what, err := f.physical.over(what)
	if err != nil {
		return nil, err
	}
	s, err := a.server(ctx)
	if err != nil {
		return nil, err
	}
	if f.physical.jobs < 0 || f.physical.jobs > 64 {
		return nil, usagef("--jobs %d: give a number from 1 to 64", f.physical.jobs)
	}
	options := func(o point.Options) physical.Options {
		o.Compressors = f.physical.jobs
		return physical.Options{Options: o, Target: s.Target, What: what}
	}
	return []take{{
		kind: job.KindPhysical, source: a.sourceName(hostName(s.Target)),
		run: func(ctx context.Context, o point.Options) (point.Result, error) {
			return physical.Run(ctx, options(o))
		},
		plan: func(ctx context.Context, o point.Options) (preview, error) {
			p, err := physical.Plan(ctx, options(o))
			return preview{document: p, skipped: p.Skipped, warnings: p.Warnings, text: describePhysical(p)}, err
		},
	}}, nil
}

// describePhysical says in a sentence, without a full stop, what a base backup would be.
func describePhysical(p physical.Preview) string {
	what, log := "a full base backup", "log archived as "+p.Archive
	if p.Parent != "" {
		what = "what changed since " + p.Parent
	}
	if p.Standby {
		what += ", from a standby"
	}
	if p.Archive == "" {
		log = "log not archived yet, and archive_mode is on"
	}
	return fmt.Sprintf("Would back up %s: %s of PostgreSQL %s, its %s", p.Source, what, p.Server, log)
}
