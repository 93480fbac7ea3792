package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

func newPolicyHistory(a *app) *cobra.Command {
	var state string
	var all bool
	cmd := &cobra.Command{
		Use: "history [NAME]", Short: "Tell what each revision of a policy changed, newest first", Args: cobra.MaximumNArgs(1),
		Long: `Tell who changed what in a policy, newest first, as sentences: from its revisions in
the repository or, with --state, from the versions of a Terraform state file in S3.
Nothing but policies is ever shown of a state.`,
		Example: "  pgbackup-runner policy history prod --repository s3://bucket/prefix\n  pgbackup-runner policy history --state 's3://acme-terraform/prod/terraform.tfstate?region=eu-west-1'",
		RunE: func(cmd *cobra.Command, args []string) error {
			if state != "" {
				return a.stateHistory(cmd.Context(), state, args, all)
			}
			if all {
				return usagef("--all belongs to --state: every revision of a repository is shown")
			}
			return a.policyHistory(cmd.Context(), args)
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "`URL` of a Terraform state file: s3://bucket/key?region=…")
	cmd.Flags().BoolVar(&all, "all", false, "with --state, also versions that changed no policy")
	limitFlag(cmd, &a.stateLimit)
	return cmd
}

// toldRevision is a revision in the documents of `policy history` and `diff`.
type toldRevision struct {
	Revision        int             `json:"revision"`
	At              *time.Time      `json:"at"` // null when it can not be read
	By              string          `json:"by"`
	ProviderVersion string          `json:"provider_version"`
	Reason          string          `json:"reason"`
	Approval        string          `json:"approval"`
	Loss            *policy.Loss    `json:"loss"`
	Retired         bool            `json:"retired"`
	Digest          string          `json:"digest"`
	Against         int             `json:"against"` // the revision it is compared with, 0 for none
	Changes         []policy.Change `json:"changes"`
	Sentences       []string        `json:"sentences"`
	Problem         string          `json:"problem,omitempty"`
}

// tell makes what is told of each revision, newest first.
func tell(past []repo.PastRevision) []toldRevision {
	told := make([]toldRevision, 0, len(past))
	var before *repo.PastRevision // the newest readable one so far
	for i := range past {
		rev := &past[i]
		t := toldRevision{Revision: rev.Number, Changes: []policy.Change{}, Sentences: []string{}}
		if rev.Problem != nil {
			t.Problem = oneLine(rev.Problem.Error())
			t.Sentences = append(t.Sentences, "can not be read: "+t.Problem)
		} else {
			t.describe(rev, before)
			before = rev
		}
		told = append(told, t)
	}
	slices.Reverse(told)
	return told
}

// tellBegun is told in the place of a revision that was begun and is not there.
func tellBegun(begun *repo.BegunRevision) toldRevision {
	problem := fmt.Sprintf("begun %s and not there: an apply is writing it, or died, or the object was lost; until the policy is applied again, no rotation deletes anything", stamp(begun.Claimed))
	return toldRevision{Revision: begun.Number, By: begun.By, Changes: []policy.Change{}, Sentences: []string{problem}, Problem: problem}
}

func (t *toldRevision) describe(rev, before *repo.PastRevision) {
	e := rev.Envelope
	t.At, t.By, t.ProviderVersion, t.Reason, t.Approval, t.Loss, t.Retired, t.Digest = &e.At, e.By, e.ProviderVersion, e.Reason, e.Approval, e.Loss, e.Retired, rev.Digest()
	old, wasRetired := policy.Document{}, false
	if before != nil {
		t.Against, old, wasRetired = before.Number, before.Document, before.Envelope.Retired
		if rev.Number-before.Number > 1 {
			t.Sentences = append(t.Sentences, fmt.Sprintf("compared with revision %d, the newest before it that can be read", before.Number))
		}
	}
	t.Changes = nonNil(changesOf(old, rev.Document))
	switch {
	case before == nil:
		t.Sentences = append(t.Sentences, "declared with "+declared(t.Changes))
		return
	case rev.Envelope.Retired:
		t.Sentences = append(t.Sentences, "retired: from then on nothing is rotated under it")
	case wasRetired:
		t.Sentences = append(t.Sentences, "declared again")
	case len(t.Changes) == 0:
		t.Sentences = append(t.Sentences, "written again, nothing changed")
	}
	t.Sentences = append(t.Sentences, sentencesOf(t.Changes)...)
}

func (a *app) policyHistory(ctx context.Context, args []string) error {
	r, name, past, err := a.openPolicy(ctx, args)
	if err != nil {
		return err
	}
	told := tell(past)
	begun, err := r.BegunRevision(ctx, name)
	if err != nil {
		return err
	}
	if begun != nil {
		told = slices.Insert(told, 0, tellBegun(begun))
	}
	damaged := 0
	for _, t := range told {
		if t.Problem != "" {
			damaged++
			a.warn(fmt.Sprintf("revision %d of policy %q: %s", t.Revision, name, t.Sentences[0]))
		}
	}
	if a.flags.json {
		document := struct {
			Policy    string         `json:"policy"`
			Revisions []toldRevision `json:"revisions"`
		}{name, told}
		if err := a.printJSON(document); err != nil {
			return err
		}
	} else {
		a.say("Policy %s in %s, newest revision first:", name, printable(r.URL()))
		for _, t := range told {
			a.sayRevision(t)
		}
	}
	if damaged > 0 {
		return errWarned
	}
	return nil
}

func (a *app) sayRevision(t toldRevision) {
	a.say("")
	a.say("%s", printable(t.headline()))
	for _, s := range t.Sentences {
		a.say("  %s", printable(s))
	}
	if loss := lossText(t.Loss); loss != "" {
		a.say("  %s", loss)
	}
	if t.Reason != "" {
		a.say("  reason given: %s", printable(t.Reason))
	}
}

// headline says which revision it is, when it was written, by whom, and with
// which approval.
func (t toldRevision) headline() string {
	text := fmt.Sprintf("revision %d", t.Revision)
	if t.At != nil {
		text += ", " + stamp(*t.At)
	}
	if t.By != "" {
		text += ", by " + t.By
	}
	if t.Approval != "" {
		text += ", approved with " + t.Approval
	}
	return text
}

// lossText says what the writer of a revision found that it loses.
func lossText(l *policy.Loss) string {
	if l == nil || l.Points == 0 {
		return ""
	}
	return fmt.Sprintf("loses %s (%s), as of %s", plural(int64(l.Points), "recovery point"), size(l.Bytes), stamp(l.AsOf))
}
