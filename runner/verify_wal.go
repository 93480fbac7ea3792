package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/observe"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/verify"
)

// verifyWAL reads the archived WAL of the source, or of all, instead of recovery points.
func (a *app) verifyWAL(ctx context.Context, names []string, f verifyFlags) error {
	switch {
	case len(names) > 0 || f.all || f.clear || f.kind != "":
		return usagef("verify --wal reads all archived WAL of --source, or of every source: give no ids, --all, --clear or --kind with it")
	case f.jobs < 1 || f.jobs > 64:
		return usagef("--jobs %d: give a number from 1 to 64", f.jobs)
	}
	r, err := a.open(ctx)
	if err != nil {
		return err
	}
	archives, err := r.WALArchives(ctx, a.sourceName(""))
	if err != nil {
		return err
	}
	if len(archives) == 0 {
		return exitcode.Errorf(exitcode.NotFound, "there is no archived WAL to verify in %s", r.URL())
	}
	log := a.log
	if a.screen.Terminal() {
		log = slog.New(slog.DiscardHandler)
	}
	var read atomic.Int64
	stop := a.screen.Draw(func() observe.Status { return observe.Status{Step: "verifying WAL", Done: read.Load()} })
	all := verify.Report{Bad: []verify.Bad{}}
	for _, at := range archives {
		report, err := verify.WAL(ctx, verify.WALOptions{Repo: r, Archive: at, Jobs: f.jobs, Log: log, Read: &read})
		if err != nil {
			stop()
			return reading(err)
		}
		all.Checked += report.Checked
		all.Bytes += report.Bytes
		all.Bad = append(all.Bad, report.Bad...)
		all.Unchecked = append(all.Unchecked, report.Unchecked...)
		all.Warnings = append(all.Warnings, report.Warnings...)
	}
	stop()
	return a.tellWALVerified(all)
}

func (a *app) tellWALVerified(report verify.Report) error {
	a.warn(report.Warnings...)
	switch {
	case a.flags.json:
		if err := a.printJSON(report); err != nil {
			return err
		}
	case len(report.Bad) > 0 && !a.flags.quiet:
		var rows [][]string
		for _, b := range report.Bad {
			rows = append(rows, []string{b.Object, oneLine(b.Problem)})
		}
		if err := a.table([]string{"BAD FILE OF WAL", "PROBLEM"}, rows); err != nil {
			return err
		}
		return fmt.Errorf("%w: %s of WAL cannot be used, %s first; a recovery stops there: take a new base backup", verify.ErrBad, plural(int64(len(report.Bad)), "file"), report.Bad[0].Object)
	}
	if err := report.Err(); err != nil {
		return err
	}
	a.say("%s of WAL are good, %s read.", plural(int64(report.Checked), "file"), size(report.Bytes))
	return nil
}
