package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

func newHold(a *app) *cobra.Command {
	var why string
	cmd := &cobra.Command{
		Use: "hold latest|ID", Short: "Keep a recovery point from every retention rule until it is released", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.mark(cmd.Context(), args[0], why, "held", (*repo.Repository).Hold)
		},
	}
	cmd.Flags().StringVar(&why, "why", "", "the `REASON`, kept with the hold")
	return cmd
}

func newRelease(a *app) *cobra.Command {
	var why string
	cmd := &cobra.Command{
		Use: "release ID", Short: "End the hold of a recovery point", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.mark(cmd.Context(), args[0], why, "released", (*repo.Repository).Release)
		},
	}
	cmd.Flags().StringVar(&why, "why", "", "the `REASON`, kept with the release")
	return cmd
}

// mark writes a fact about a point and says so.
func (a *app) mark(ctx context.Context, name, why, done string, write func(*repo.Repository, context.Context, repo.Ref, repo.Mark) error) error {
	r, err := a.open(ctx)
	if err != nil {
		return err
	}
	p, err := a.find(ctx, r, name, "")
	if err != nil {
		return err
	}
	if done == "released" && !p.Held {
		if a.flags.json {
			return a.printJSON(map[string]any{"id": p.ID, "source": p.Source, "kind": p.Kind, "held": false})
		}
		a.say("%s of %s was not held.", p.ID, p.Source)
		return nil
	}
	if err := write(r, ctx, p.Ref, repo.Mark{At: a.now(), By: by(), Why: why}); err != nil {
		return err
	}
	if a.flags.json {
		return a.printJSON(map[string]any{"id": p.ID, "source": p.Source, "kind": p.Kind, "held": done == "held"})
	}
	a.say("%s of %s is %s.", p.ID, p.Source, done)
	return nil
}
