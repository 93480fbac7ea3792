package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

func newPolicy(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "policy", Short: "Show a policy, how it changed, and what it would keep",
		Long: `Every change of a policy that Terraform applied is a revision in the repository: show
prints the one in force, history tells what each one changed, diff compares two.
simulate says what a policy would keep, without touching anything.`,
	}
	return group(cmd, newPolicyShow(a), newPolicyHistory(a), newPolicyDiff(a), newPolicySimulate(a))
}

// openPolicy opens the repository and reads the history of the policy that is
// meant, oldest revision first.
func (a *app) openPolicy(ctx context.Context, args []string) (r *repo.Repository, name string, past []repo.PastRevision, err error) {
	if r, err = a.open(ctx); err != nil {
		return nil, "", nil, err
	}
	if name, err = a.choosePolicy(ctx, r, args); err != nil {
		return nil, "", nil, err
	}
	past, err = a.pastPolicy(ctx, r, name)
	return r, name, past, err
}

// choosePolicy is the policy that is meant: the one named, or the job's, or the
// only one there is.
func (a *app) choosePolicy(ctx context.Context, r *repo.Repository, args []string) (string, error) {
	name := a.policyName()
	if len(args) > 0 {
		name = args[0]
	}
	if isPolicyFile(name) {
		return "", usagef("policy %s is a file: revisions are of policies in the repository, give a name", name)
	}
	if name != "" {
		if err := policy.ValidateName(name); err != nil {
			return "", usage(err)
		}
		return name, nil
	}
	names, err := r.Policies(ctx)
	switch {
	case err != nil:
		return "", err
	case len(names) == 0:
		return "", exitcode.Errorf(exitcode.NotFound, "there is no policy in %s: declare a pgbackup_policy and apply it", r.URL())
	case len(names) > 1:
		return "", usagef("there are several policies in %s, give a name: %s", r.URL(), strings.Join(names, ", "))
	}
	return names[0], nil
}

// pastPolicy reads the history of a policy, oldest first.
func (a *app) pastPolicy(ctx context.Context, r *repo.Repository, name string) ([]repo.PastRevision, error) {
	past, err := r.PolicyHistory(ctx, name)
	if !errors.Is(err, repo.ErrNotFound) {
		return past, err
	}
	names, listErr := r.Policies(ctx)
	if listErr != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w%s", err, nearest.Suggestion(name, names))
}

// findRevision is the revision of a number, which must be readable.
func findRevision(past []repo.PastRevision, name string, number int) (repo.PastRevision, error) {
	for _, rev := range past {
		if rev.Number != number {
			continue
		}
		return rev, rev.Problem
	}
	return repo.PastRevision{}, exitcode.Errorf(exitcode.NotFound, "policy %q has no revision %d: there are %d, the newest is %d", name, number, len(past), past[len(past)-1].Number)
}

// changesOf lists what differs, without the name of a policy that is new: it is
// in the headline.
func changesOf(before, after policy.Document) []policy.Change {
	changes := policy.Diff(before, after)
	kept := changes[:0]
	for _, c := range changes {
		if c.Field != "name" || before.Name != "" {
			kept = append(kept, c)
		}
	}
	return kept
}

func sentencesOf(changes []policy.Change) []string {
	sentences := make([]string, len(changes))
	for i, c := range changes {
		sentences[i] = c.String()
	}
	return sentences
}

// declared lists what a policy says, of its changes against none.
func declared(changes []policy.Change) string {
	parts := make([]string, len(changes))
	for i, c := range changes {
		parts[i] = c.Label + ": " + c.After
	}
	return strings.Join(parts, ", ")
}
