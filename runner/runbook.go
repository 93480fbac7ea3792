package main

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/runbook"
)

// runbookFlags of the command runbook.
type runbookFlags struct {
	title, out string
	contacts   []string
}

func newRunbook(a *app) *cobra.Command {
	var f runbookFlags
	cmd := &cobra.Command{
		Use: "runbook", Short: "Write what to do when data is lost, with today's ids", Args: cobra.NoArgs,
		Long: `Write a Markdown page that says, disaster by disaster, which commands bring the data
back: with the ids of the newest recovery points, the objectives of the policy, and how
long the last proven drill took. Keep it where it can be read when the rest is gone.`,
		Example: "  pgbackup-runner runbook --job /etc/pgbackup/nightly.job.json --contact 'Database on call|decides|+49 30 1234567' --out runbook.md",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.runbook(cmd.Context(), f) },
	}
	set := cmd.Flags()
	set.StringVar(&f.title, "title", "", "what is recovered, for the `HEADLINE`")
	set.StringArrayVar(&f.contacts, "contact", nil, "who to call, as `NAME|ROLE|HOW`; may be given several times")
	set.StringVar(&f.out, "out", "", "write to this `FILE` instead of standard output")
	return cmd
}

func (a *app) runbook(ctx context.Context, f runbookFlags) error {
	declared := runbook.Declared{Title: f.title, Key: a.keyReference(), Job: a.flags.job}
	for _, c := range f.contacts {
		parts := strings.Split(c, "|")
		if len(parts) != 3 || parts[0] == "" || parts[2] == "" {
			return usagef("--contact %q: give NAME|ROLE|HOW, such as 'Database on call|decides|+49 30 1234567'", c)
		}
		declared.Contacts = append(declared.Contacts, runbook.Contact{Name: parts[0], Role: parts[1], Reach: parts[2]})
	}
	name := a.policyName()
	if isPolicyFile(name) {
		return usagef("--policy %s: the page is written about a policy of the repository: give its name", name)
	}
	at, err := a.place()
	if err != nil {
		return err
	}
	declared.Repository = at.String()
	if a.job != nil {
		declared.Replica = a.job.Replica
	}
	r, err := a.open(ctx)
	if err != nil {
		return err
	}
	facts, err := runbook.Gather(ctx, r, name, declared, a.now())
	if err != nil {
		return reading(err)
	}
	page := facts.Markdown()
	if a.flags.json {
		return a.printJSON(map[string]any{"markdown": string(page), "written": facts.Written})
	}
	if f.out == "" {
		_, err = a.out.Write(page)
		return err
	}
	if err := os.WriteFile(f.out, page, 0o644); err != nil {
		return err
	}
	a.say("Wrote %s.", f.out)
	return nil
}
