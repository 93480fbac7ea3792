package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rotate"
)

func newRotate(a *app) *cobra.Command {
	var dryRun bool
	var kind string
	cmd := &cobra.Command{
		Use: "rotate", Short: "Delete the recovery points that the policy does not keep", Args: cobra.NoArgs,
		Long: `Apply the current revision of a policy to the repository, or --keep-… rules over or
without a policy. Every decision comes with its reasons. The newest verified point of
a source is never deleted, nor is a held one, nor anything of a source that has a
manifest which can not be read.

With base backups and archived WAL, what no base backup needs that stays goes too, and
the output says from when on every moment can be recovered to, before and after. Without
the rule wal that is the end of the oldest base backup.`,
		Example: "  pgbackup-runner rotate --job nightly.job.json --dry-run\n  pgbackup-runner rotate --repository file:///var/backups/pg --keep-daily 14 --keep-weekly 8",
	}
	keep := newKeepFlags(cmd.Flags())
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show what would be deleted and delete nothing")
	cmd.Flags().StringVar(&kind, "kind", "", "only points of this `KIND`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.rotate(cmd.Context(), keep, kind, dryRun) }
	return cmd
}

func (a *app) rotate(ctx context.Context, keep *keepFlags, kind string, dryRun bool) error {
	r, err := a.open(ctx)
	if err != nil {
		return err
	}
	found, err := a.rules(ctx, r, keep)
	if err != nil {
		return err
	}
	if found.none != "" {
		return a.nothingToRotate(found)
	}
	opts, err := a.rotateOptions(ctx, r, found)
	if err != nil {
		return err
	}
	opts.Filter = a.filter(cmp.Or(kind, a.jobKind()))
	if opts.Match, err = a.ownSources(ctx); err != nil {
		return err
	}
	if dryRun {
		out, err := rotate.Plan(ctx, opts)
		if err != nil {
			return err
		}
		return a.rotated(ctx, out, rotation{rules: found, filter: opts.Filter, repo: r, dryRun: true}, nil)
	}
	out, err := rotate.Run(ctx, opts)
	return a.rotated(ctx, out, rotation{rules: found, filter: opts.Filter, repo: r}, err)
}

// rotateOptions says what to apply. A revision of the repository is held to what
// was approved, and it puts points into their tiers; rules that the operator gives
// for one run do neither.
func (a *app) rotateOptions(ctx context.Context, r *repo.Repository, found rules) (rotate.Options, error) {
	opts := rotate.Options{
		Repo: r, Rules: found.Rules, Now: a.now(), Policy: found.name, PolicyRevision: found.revision,
		By: by(), Self: repo.Self(), Log: a.log, Release: rds.Release(a.rdsClient, r, a.log), Standing: rds.Standing(a.rdsClient),
	}
	rev := found.declared()
	if rev == nil {
		return opts, nil
	}
	opts.Tiers = hasTiers(rev.Document)
	var err error
	if opts.Restrict, err = rotate.Restrictions(ctx, r, *rev); err != nil {
		return opts, fmt.Errorf("whether revision %d of policy %q was approved is not known, so nothing is rotated: %w", rev.Number, found.name, err)
	}
	return opts, nil
}

// nothingToRotate is for a policy that is retired, which is fine, and for no
// rules at all, which is a mistake.
func (a *app) nothingToRotate(found rules) error {
	if found.name == "" {
		return usagef("rotate: nothing says what to keep: give --policy NAME, --keep-daily 30 or another --keep-… rule, or a --job file with a policy")
	}
	if a.flags.json {
		return a.printJSON(rotate.Outcome{Keep: []rotate.Decision{}, Delete: []rotate.Decision{}, Policy: found.name, Revision: found.revision, Warnings: []string{found.none + ": nothing is rotated"}})
	}
	a.say("%s: nothing is rotated.", found.none)
	return nil
}

// ownSources matches the sources that a job of backups makes; nil matches all.
// --source, and a job that rotates, say themselves what they mean.
func (a *app) ownSources(ctx context.Context) (func(string) bool, error) {
	if a.flags.source != "" || a.job == nil {
		return nil, nil
	}
	if a.job.Kind != job.KindLogical {
		return a.otherSources(ctx)
	}
	s, err := a.server(ctx)
	if err != nil {
		return nil, err
	}
	name := a.job.Source
	if s.one {
		if name == "" {
			name = s.Database + "@" + hostName(s.Target)
		}
		return func(s string) bool { return s == name }, nil
	}
	if name == "" {
		name = hostName(s.Target)
	}
	return func(source string) bool {
		db, ok := strings.CutSuffix(source, "@"+name)
		return ok && (len(s.databases) == 0 || slices.Contains(s.databases, db))
	}, nil
}

// otherSources matches the source of a job that makes one, and what the source of
// any other job says.
func (a *app) otherSources(ctx context.Context) (func(string) bool, error) {
	if a.readsMachine() {
		return a.ofMachines, nil
	}
	name := a.jobSource()
	var err error
	switch {
	case name != "":
	case a.job.Kind == job.KindGlobals, a.job.Kind == job.KindConfig, a.job.Kind == job.KindPhysical:
		name, err = a.serverSource(ctx)
	case a.job.Kind == job.KindWAL:
		name, err = a.walSource(ctx)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case name != "":
		return func(s string) bool { return s == name }, nil
	case a.job.Source != "":
		return func(s string) bool { return s == a.job.Source || strings.HasSuffix(s, "@"+a.job.Source) }, nil
	}
	return nil, nil
}

// serverSource is the source that a job of globals, configuration or base backups makes
// where it does not name it.
func (a *app) serverSource(ctx context.Context) (string, error) {
	if a.job.Config != nil {
		_, name, err := a.configSource(ctx, job.Config{})
		return name, err
	}
	s, err := a.server(ctx)
	return hostName(s.Target), err
}

// rotation is what was asked for, to tell its outcome.
type rotation struct {
	rules  rules
	filter repo.Filter
	repo   *repo.Repository
	dryRun bool
}

// rotated prints an outcome.
func (a *app) rotated(ctx context.Context, out rotate.Outcome, asked rotation, failed error) error {
	if failed == nil && len(out.Keep)+len(out.Delete) == 0 {
		if err := a.checkSelection(ctx, asked.repo, asked.filter.Kind); err != nil {
			return err
		}
	}
	a.warn(out.Warnings...)
	if !asked.dryRun {
		a.deletedAll(out.Delete)
	}
	if a.flags.json {
		if err := a.printJSON(out); err != nil {
			return errors.Join(failed, err)
		}
	} else if !a.flags.quiet {
		if err := a.rotateTable(out, asked); err != nil {
			return errors.Join(failed, err)
		}
	}
	if failed != nil {
		return failed
	}
	if len(out.Warnings) > 0 {
		return errWarned
	}
	return nil
}

func (a *app) rotateTable(out rotate.Outcome, asked rotation) error {
	if len(out.Keep)+len(out.Delete) == 0 {
		a.say("There are no recovery points to rotate.")
		a.sayWAL(out.WAL, asked.dryRun)
		return nil
	}
	verb, did := "delete", "Deleted"
	if asked.dryRun {
		did = "Would delete"
	}
	var rows [][]string
	var bytes int64
	add := func(what string, list []rotate.Decision) {
		for _, d := range list {
			rows = append(rows, []string{what, d.ID, d.Source, d.Kind, size(d.Bytes), strings.Join(d.Reasons, "; ")})
		}
	}
	add("keep", out.Keep)
	add(verb, out.Delete)
	for _, d := range out.Delete {
		bytes += d.Bytes
	}
	if err := a.table([]string{"", "ID", "SOURCE", "KIND", "SIZE", "REASONS"}, rows); err != nil {
		return err
	}
	policy := ""
	if out.Policy != "" {
		policy = fmt.Sprintf(" by policy %s", out.Policy)
		if out.Revision > 0 {
			policy += fmt.Sprintf(", revision %d", out.Revision)
		}
		if overrides := asked.rules.overrides; len(overrides) > 0 {
			policy += ", overridden by " + strings.Join(overrides, " ")
		}
	}
	a.say("%s %d of %d recovery points (%s)%s.", did, len(out.Delete), len(out.Keep)+len(out.Delete), size(bytes), policy)
	a.sayWAL(out.WAL, asked.dryRun)
	return nil
}
