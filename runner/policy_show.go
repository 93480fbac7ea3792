package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

func newPolicyShow(a *app) *cobra.Command {
	var number int
	var noCost bool
	cmd := &cobra.Command{
		Use: "show [NAME]", Short: "Show the revision of a policy that is in force", Args: cobra.MaximumNArgs(1),
		Long: `Show what a policy says, who applied it and when, and an estimate of what the points
in an S3 repository cost by it: storage a month, and reading one back. Prices are list
prices of a month, never a bill.`,
		Example: "  pgbackup-runner policy show prod --repository s3://bucket/prefix\n  pgbackup-runner policy show --revision 2 --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("revision") && number < 1 {
				return usagef("--revision %d: revisions count from 1", number)
			}
			return a.policyShow(cmd.Context(), args, number, !noCost)
		},
	}
	cmd.Flags().IntVar(&number, "revision", 0, "another revision, by its `NUMBER`")
	cmd.Flags().BoolVar(&noCost, "no-cost", false, "without the estimate, which lists the whole repository")
	return cmd
}

func (a *app) policyShow(ctx context.Context, args []string, number int, withCost bool) error {
	r, name, past, err := a.openPolicy(ctx, args)
	if err != nil {
		return err
	}
	newest := past[len(past)-1].Number
	if number == 0 {
		number = newest
	}
	rev, err := findRevision(past, name, number)
	if err != nil {
		return err
	}
	var bill *estimate
	warned := false
	if withCost {
		if bill, err = a.estimate(ctx, r, rev.Document); err != nil {
			if ctx.Err() != nil {
				return err
			}
			a.warn("no estimate of the cost: " + err.Error())
			warned = true
		}
	}
	if a.flags.json {
		err = a.printJSON(showDocument(rev, number == newest, bill))
	} else if !a.flags.quiet {
		err = a.table([]string{"policy", name}, describeRevision(rev, newest, bill))
	}
	if err == nil && warned {
		return errWarned
	}
	return err
}

// showDocument is the document of `policy show --json`.
func showDocument(rev repo.PastRevision, current bool, bill *estimate) any {
	e := rev.Envelope
	return struct {
		Policy          string          `json:"policy"`
		Revision        int             `json:"revision"`
		Current         bool            `json:"current"`
		Retired         bool            `json:"retired"`
		Digest          string          `json:"digest"`
		At              time.Time       `json:"at"`
		By              string          `json:"by"`
		ProviderVersion string          `json:"provider_version"`
		Reason          string          `json:"reason"`
		Approval        string          `json:"approval"`
		Loss            *policy.Loss    `json:"loss"`
		Document        policy.Document `json:"document"`
		Cost            *estimate       `json:"cost"`
	}{rev.Document.Name, rev.Number, current, e.Retired, rev.Digest(), e.At, e.By, e.ProviderVersion, e.Reason, e.Approval, e.Loss, rev.Document, bill}
}

func describeRevision(rev repo.PastRevision, newest int, bill *estimate) [][]string {
	var rows [][]string
	add := func(name, format string, args ...any) {
		if text := fmt.Sprintf(format, args...); strings.TrimSpace(text) != "" {
			rows = append(rows, []string{name, text})
		}
	}
	e, d := rev.Envelope, rev.Document
	status := "in force"
	switch {
	case rev.Number != newest:
		status = fmt.Sprintf("superseded, the newest is %d", newest)
	case e.Retired:
		status = "retired: nothing is rotated under it"
	}
	add("revision", "%d, %s", rev.Number, status)
	add("digest", "%s", rev.Digest())
	add("written", "%s", stamp(e.At))
	add("by", "%s", e.By)
	add("provider version", "%s", e.ProviderVersion)
	add("reason", "%s", e.Reason)
	add("approval", "%s", e.Approval)
	add("loss", "%s", lossText(e.Loss))
	for _, c := range changesOf(policy.Document{}, d) {
		add(c.Label, "%s", c.After)
	}
	if d.Timezone == "" {
		add("time zone", "UTC")
	}
	return append(rows, bill.rows()...)
}
