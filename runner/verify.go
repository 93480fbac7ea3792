package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/observe"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/verify"
)

// verifyFlags of the command verify.
type verifyFlags struct {
	all, noMark, clear bool
	wal                bool
	jobs               int
	kind               string
	thaw               thawFlags
}

func newVerify(a *app) *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use: "verify [latest|ID…]", Short: "Re-read stored backups and compare everything there is to compare",
		Long: `Read recovery points back from the store to the last byte: checksums, encryption, the
structure of the archive, and every table's rows, bytes and hash against the list that
was made while dumping. Without arguments the newest point of each source is read.

A bad point is marked as bad: it is no longer "latest", takes no place in the
retention, and stays until somebody looks. Trouble in reaching the store is no
verdict: exit code 1, not 6. Points that are archived are named and not read, unless
--thaw brings them back; they do not make a verification of others fail.

With --wal the archived WAL is read instead: every file's seal and hash, and every record
of its segments. What is missing in it "wal status" tells.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.wal {
				return a.verifyWAL(cmd.Context(), args, f)
			}
			return a.verify(cmd.Context(), args, f)
		},
	}
	set := cmd.Flags()
	set.BoolVar(&f.all, "all", false, "every point of the repository (or of --source)")
	set.BoolVar(&f.wal, "wal", false, "read the archived WAL instead of recovery points")
	set.BoolVar(&f.noMark, "no-mark", false, "do not mark bad points, only report them")
	set.BoolVar(&f.clear, "clear", false, "take back the mark of points that prove good")
	set.IntVar(&f.jobs, "jobs", 1, "points read at once; each takes about 60 MiB of memory")
	set.StringVar(&f.kind, "kind", "", "only points of this `KIND`")
	f.thaw.register(set)
	return cmd
}

func (a *app) verify(ctx context.Context, names []string, f verifyFlags) error {
	switch {
	case f.all && len(names) > 0:
		return usagef("verify: give ids or --all, not both")
	case f.jobs < 1 || f.jobs > 64:
		return usagef("--jobs %d: give a number from 1 to 64", f.jobs)
	}
	if _, err := f.thaw.plan(); err != nil {
		return err
	}
	r, err := a.open(ctx)
	if err != nil {
		return err
	}
	if err := a.verifyCopy(&f); err != nil {
		return err
	}
	points, err := a.verifyPoints(ctx, r, names, f)
	if err != nil {
		return reading(err)
	}
	if len(points) == 0 {
		return a.nothingToVerify(ctx, r, f.kind)
	}
	if f.thaw.ask {
		if err := a.allThawed(ctx, r, refsOf(points), f.thaw); err != nil {
			return err
		}
	}
	// On a terminal the list at the end says what is bad, once.
	log := a.log
	if a.screen.Terminal() {
		log = slog.New(slog.DiscardHandler)
	}
	var read atomic.Int64
	stop := a.screen.Draw(func() observe.Status { return observe.Status{Step: "verifying", Done: read.Load()} })
	report, err := verify.Run(ctx, verify.Options{
		Repo: r, Points: points, Jobs: f.jobs, Mark: !f.noMark, Clear: f.clear, By: by(), Now: a.now(), Log: log, Read: &read, Outside: a.checkRDS(),
		Progress: func(done int, ref repo.Ref) {
			a.log.Info("read a recovery point", "point", ref.String(), "done", done, "of", len(points))
		},
	})
	stop()
	if err != nil {
		return err
	}
	return a.verifyReport(report, func() error { return a.toldArchived(ctx, r, report, len(names) > 0) })
}

// verifyPoints selects what to read: ids, everything, or the newest of each source.
func (a *app) verifyPoints(ctx context.Context, r *repo.Repository, names []string, f verifyFlags) ([]repo.Listed, error) {
	var points []repo.Listed
	for _, name := range names {
		p, err := a.find(ctx, r, name, f.kind)
		if err != nil && (p.ID == "" || codeOf(reading(err)) != exitcode.BadBackup) {
			return nil, err
		}
		points = append(points, p)
	}
	if len(names) > 0 {
		return points, nil
	}
	points, err := r.List(ctx, a.filter(f.kind))
	if err != nil {
		return nil, err
	}
	if a.job != nil && a.job.Kind == job.KindVerify {
		match, err := a.ownSources(ctx)
		if err != nil {
			return nil, err
		}
		points = slices.DeleteFunc(points, func(p repo.Listed) bool { return match != nil && !match(p.Source) })
	}
	if f.all {
		return points, nil
	}
	type group struct{ source, kind string }
	seen := map[group]bool{}
	return slices.DeleteFunc(points, func(p repo.Listed) bool {
		g := group{p.Source, p.Kind}
		older := seen[g] && p.Problem == nil
		seen[g] = true
		return older
	}), nil
}

// nothingToVerify is an error: whoever asks for a verification believes that
// there are backups.
func (a *app) nothingToVerify(ctx context.Context, r *repo.Repository, kind string) error {
	if err := a.checkSelection(ctx, r, kind); err != nil {
		return err
	}
	of := ""
	if a.job != nil {
		of = fmt.Sprintf(" for job %q", a.job.Name)
	}
	return exitcode.Errorf(exitcode.NotFound, "there is nothing to verify%s: no recovery points in %s", of, r.URL())
}

// verifyReport tells what was found. archived tells of what was not read because it is
// archived, and whether that is an error.
func (a *app) verifyReport(report verify.Report, archived func() error) error {
	a.warn(report.Warnings...)
	for i, u := range report.Unchecked {
		if i > 0 || len(report.Bad) > 0 { // the first one is the error, unless something is bad
			a.warn(oneLine(u.Problem))
		}
	}
	switch {
	case a.flags.json:
		if err := a.printJSON(report); err != nil {
			return err
		}
	case len(report.Bad) > 0 && !a.flags.quiet:
		var rows [][]string
		for _, b := range report.Bad {
			rows = append(rows, []string{b.ID, b.Source, b.Object, oneLine(b.Problem)})
		}
		if err := a.table([]string{"BAD", "SOURCE", "OBJECT", "PROBLEM"}, rows); err != nil {
			return err
		}
		b := report.Bad[0]
		return fmt.Errorf("%w: %s, %s: see the list of what is bad", verify.ErrBad, b.ID, b.Object)
	}
	if err := report.Err(); err != nil {
		return err
	}
	if err := archived(); err != nil {
		return err
	}
	if report.Checked > 0 {
		are := "recovery points are"
		if report.Checked == 1 {
			are = "recovery point is"
		}
		a.say("%s %s good, %s read.", count(int64(report.Checked)), are, size(report.Bytes))
	}
	if len(report.Warnings) > 0 {
		return errWarned
	}
	return nil
}
