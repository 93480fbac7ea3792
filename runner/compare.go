package main

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical/comparison"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/observe"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// compareFlags of the command compare.
type compareFlags struct {
	with string
	jobs int
	thaw thawFlags
}

// errDiffer ends a comparison that found differences; they were printed.
var errDiffer = exitcode.Errorf(exitcode.BadBackup, "the contents differ")

func newCompare(a *app) *cobra.Command {
	var f compareFlags
	cmd := &cobra.Command{
		Use: "compare [latest|ID]", Short: "Compare a database with a backup, or with another database, table by table",
		Long: `Read every table of a database and hold its rows and their hash against what a
backup has, as a restore and a drill do. Sequences may be ahead of the backup, not
behind it. With --with, two databases are compared instead of a backup and one.

Tables that differ, that are missing, and that the other side does not have are
named, and the exit code is 6. Nothing is changed. Each table is read at a moment of
its own: a database that is written to meanwhile, or since the backup, differs.`,
		Example: "  pgbackup-runner compare latest --database postgres://postgres@localhost/app_restored\n  pgbackup-runner compare --database postgres://postgres@localhost/app --with postgres://postgres@other.example.org/app",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.compare(cmd.Context(), strings.Join(args, ""), f)
		},
	}
	set := cmd.Flags()
	set.StringVar(&f.with, "with", "", "`URI` of another database, or only its NAME on the same server, to compare with instead of a backup")
	set.IntVar(&f.jobs, "jobs", 2, "tables read at once")
	f.thaw.register(set)
	return cmd
}

func (a *app) compare(ctx context.Context, name string, f compareFlags) error {
	switch {
	case f.jobs < 1 || f.jobs > 64:
		return usagef("--jobs %d: give a number from 1 to 64", f.jobs)
	case name == "" && f.with == "":
		return usagef("compare: name the backup (latest, or an id that `pgbackup-runner list` shows), or another database by --with")
	case name != "" && f.with != "":
		return usagef("compare: give a backup or --with, not both")
	case f.with != "":
		return a.compareDatabases(ctx, f)
	}
	return a.comparePoint(ctx, name, f)
}

func (a *app) compareDatabases(ctx context.Context, f compareFlags) error {
	s, err := a.server(ctx)
	if err != nil {
		return err
	}
	other := s.WithDatabase(f.with)
	if strings.Contains(f.with, "://") || strings.Contains(f.with, "=") {
		if other, err = postgres.ParseTarget(f.with); err != nil {
			return usagef("--with: %w", err)
		}
		if hasPassword(f.with) {
			a.warn("the password in --with can be read by every user of this machine while the program runs; put it into ~/.pgpass")
		}
	}
	begun := a.now()
	stop := a.screen.Draw(func() observe.Status { return observe.Status{Step: "comparing"} })
	result, err := comparison.Databases(ctx, s.Target, other, f.jobs)
	stop()
	if err != nil {
		return fmt.Errorf("compare %s with %s: %w", s.Target, other, err)
	}
	return a.tellComparison(result, sides{first: s.String(), second: other.String(), took: a.now().Sub(begun)})
}

func (a *app) comparePoint(ctx context.Context, name string, f compareFlags) error {
	r, err := a.open(ctx)
	if err != nil {
		return err
	}
	found, err := a.find(ctx, r, name, logical.Kind)
	if err != nil {
		return reading(err)
	}
	if found.Kind != logical.Kind {
		return usagef("compare: %s is of kind %s; only %s backups say what is in a database", found, found.Kind, logical.Kind)
	}
	if err := a.thawed(ctx, r, found.Ref, f.thaw); err != nil {
		return err
	}
	point, err := r.OpenPoint(ctx, found.Ref)
	if err != nil {
		return reading(err)
	}
	options, err := comparison.Point(ctx, point)
	if err != nil {
		return reading(err)
	}
	if options.Target, err = a.comparedDatabase(ctx, point.Manifest); err != nil {
		return err
	}
	var done atomic.Int64
	options.Jobs, options.AtLeast, options.Progress = f.jobs, true, &done
	// A backup of some tables lacks the others by intent.
	options.Extra = point.Selection == nil
	begun := a.now()
	stop := a.screen.Draw(func() observe.Status {
		return observe.Status{Step: "comparing", Done: done.Load(), Total: point.Totals.Bytes}
	})
	result, err := comparison.Run(ctx, options)
	stop()
	if err != nil {
		return reading(fmt.Errorf("compare %s with %s: %w", options.Target, found, err))
	}
	return a.tellComparison(result, sides{id: found.ID, source: found.Source, first: options.Target.String(), second: "the backup " + found.ID, took: a.now().Sub(begun)})
}

// comparedDatabase is the one that is named, or on a server of many the one that
// the backup is of.
func (a *app) comparedDatabase(ctx context.Context, m *repo.Manifest) (postgres.Target, error) {
	s, err := a.server(ctx)
	if err != nil {
		return postgres.Target{}, err
	}
	if !s.one {
		return s.WithDatabase(m.Server.Database), nil
	}
	return s.Target, nil
}

// sides are what a result is about.
type sides struct {
	id, source    string // of the backup, "" between databases
	first, second string
	took          time.Duration
}

func (a *app) tellComparison(result comparison.Result, of sides) error {
	if a.flags.json {
		doc := map[string]any{
			"equal": result.Equal(), "database": of.first, "tables": result.Tables, "rows": result.Rows, "bytes": result.Bytes,
			"large_objects": result.LargeObjects, "sequences": result.Sequences, "differences": nonNil(result.Differences), "seconds": of.took.Seconds(),
		}
		if of.id != "" {
			doc["id"], doc["source"] = of.id, of.source
		} else {
			doc["with"] = of.second
		}
		if err := a.printJSON(doc); err != nil {
			return err
		}
	}
	contents := fmt.Sprintf("%s, %s, %s and %s", plural(result.Tables, "table"), plural(result.Rows, "row"), plural(result.Sequences, "sequence"), plural(result.LargeObjects, "large object"))
	if result.Equal() {
		a.say("%s equals %s: %s, compared in %s.", of.first, of.second, contents, took(of.took))
		return nil
	}
	if !a.flags.json {
		var rows [][]string
		for _, d := range result.Differences {
			rows = append(rows, []string{d.Object, d.Problem})
		}
		if err := a.table([]string{"DIFFERS", "HOW"}, rows); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s and %s: %w in %s of %s", of.first, of.second, errDiffer, plural(int64(len(result.Differences)), "place"), contents)
}
