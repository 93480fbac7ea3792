package main

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

func newPolicyDiff(a *app) *cobra.Command {
	var state string
	var impact bool
	cmd := &cobra.Command{
		Use: "diff [A B]", Short: "Say what changed between two revisions of a policy", Args: noneOrTwo,
		Long: `Say as sentences what changed between two revisions of a policy, by default the last
two. A and B are numbers of revisions, "current", or files with a policy document; with
--state ids of versions or serials of a Terraform state file in S3. --impact says what
the change from A to B would delete of the recovery points there are now.`,
		Example: "  pgbackup-runner policy diff 3 4 --policy prod\n  pgbackup-runner policy diff current ./shorter.json --policy prod --impact\n" +
			"  pgbackup-runner policy diff --state s3://acme-terraform/prod/terraform.tfstate 41 42",
		RunE: func(cmd *cobra.Command, args []string) error {
			if state == "" {
				return a.policyDiff(cmd.Context(), args, impact)
			}
			if impact {
				return usagef("--impact needs the revisions of a repository: leave --state out")
			}
			return a.stateDiff(cmd.Context(), state, args)
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "`URL` of a Terraform state file: s3://bucket/key?region=…")
	cmd.Flags().BoolVar(&impact, "impact", false, "also what the change means for the recovery points there are")
	limitFlag(cmd, &a.stateLimit)
	return cmd
}

func noneOrTwo(_ *cobra.Command, args []string) error {
	if len(args) != 0 && len(args) != 2 {
		return usagef("give none or two revisions to compare, not %d", len(args))
	}
	return nil
}

// comparedPolicy is one side of a comparison.
type comparedPolicy struct {
	Revision int        `json:"revision"` // 0 for a file
	At       *time.Time `json:"at"`       // null for a file
	By       string     `json:"by"`
	File     string     `json:"file,omitempty"`

	document policy.Document
}

func (c comparedPolicy) headline() string {
	if c.File != "" {
		return "file " + c.File
	}
	return toldRevision{Revision: c.Revision, At: c.At, By: c.By}.headline()
}

func (a *app) policyDiff(ctx context.Context, args []string, impact bool) error {
	r, name, past, err := a.openPolicy(ctx, nil)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		if len(past) < 2 {
			return exitcode.Errorf(exitcode.NotFound, "policy %q has one revision: there is nothing to compare it with", name)
		}
		args = []string{strconv.Itoa(past[len(past)-2].Number), strconv.Itoa(past[len(past)-1].Number)}
	}
	from, err := comparedRevision(past, name, args[0])
	if err != nil {
		return err
	}
	to, err := comparedRevision(past, name, args[1])
	if err != nil {
		return err
	}
	changes := nonNil(policy.Diff(from.document, to.document))
	var review *reviewed
	if impact {
		if review, err = a.review(ctx, r, name, from, to, past[len(past)-1].Number); err != nil {
			return err
		}
	}
	if a.flags.json {
		return a.printJSON(struct {
			Policy    string          `json:"policy"`
			From      comparedPolicy  `json:"from"`
			To        comparedPolicy  `json:"to"`
			Changes   []policy.Change `json:"changes"`
			Sentences []string        `json:"sentences"`
			Impact    *reviewed       `json:"impact,omitempty"`
		}{name, from, to, changes, sentencesOf(changes), review})
	}
	a.say("Policy %s in %s", name, printable(r.URL()))
	a.say("from %s", printable(from.headline()))
	a.say("to   %s", printable(to.headline()))
	a.say("")
	for _, c := range changes {
		a.say("  %s", printable(c.String()))
	}
	if len(changes) == 0 {
		a.say("  nothing changed")
	}
	a.sayReview(review)
	return nil
}

// comparedRevision is what an argument of diff means.
func comparedRevision(past []repo.PastRevision, name, text string) (comparedPolicy, error) {
	if isPolicyFile(text) {
		document, err := readPolicyFile(text)
		return comparedPolicy{File: text, document: document}, err
	}
	number := past[len(past)-1].Number
	if text != "current" {
		var err error
		if number, err = strconv.Atoi(text); err != nil || number < 1 {
			return comparedPolicy{}, usagef("%.60q is no revision: give its number, such as 3, or \"current\", or a file such as ./policy.json", text)
		}
	}
	rev, err := findRevision(past, name, number)
	return comparedPolicy{Revision: rev.Number, At: &rev.Envelope.At, By: rev.Envelope.By, document: rev.Document}, err
}
