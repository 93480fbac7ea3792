package deployment

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/github"
)

// githubTarget is GitHub Actions, which somebody else commits the workflow for.
type githubTarget struct{ awsSide }

type githubDeployment struct {
	in       input
	rendered github.Rendered
	files    *papers
}

func (t githubTarget) render(ctx context.Context, in input) (deployment, diag.Diagnostics, error) {
	on, errs := in.on.GitHub, []error(nil)
	spec, err := t.spec(ctx, in)
	config := github.Config{
		Repository: on.Repository.ValueString(), Branch: on.Branch.ValueString(), RoleARN: on.RoleARN.ValueString(), Region: on.Region.ValueString(),
		PostgresVersion: int(on.PostgresVersion.ValueInt64()), RunsOn: on.RunsOn.ValueString(), Architecture: on.Architecture.ValueString(),
		Secrets: TextMap(ctx, on.Secrets, &errs), Environment: TextMap(ctx, on.Environment, &errs), SlackSecret: on.SlackSecret.ValueString(), Disabled: !in.enabled(),
	}
	config.Timeout, _ = Span("run_on.github_actions.timeout", on.Timeout, &errs).Exact()
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, invalid(deploy.GitHub, err), nil
	}
	d := githubDeployment{in: in}
	if d.rendered, err = github.Render(github.Spec{Spec: spec, Config: config}); err == nil {
		d.files, err = newPapers(in.job, deploy.GitHub, in.release, true)
	}
	if err != nil {
		return nil, invalid(deploy.GitHub, err), nil
	}
	return d, nil, nil
}

func (d githubDeployment) describe(m *Model) {
	describeJob(m, d.in.job, d.files, d.rendered.Workflow)
	m.ID, m.GitHubWorkflow, m.GitHubTrustPolicy = types.StringValue(elsewhereID(d.in.job)), types.StringValue(d.rendered.Workflow), types.StringValue(d.rendered.TrustPolicy)
}

func (d githubDeployment) papers() *papers { return d.files }

func (githubDeployment) free(context.Context) error { return nil }

func (githubDeployment) apply(context.Context, string) error { return nil }

func (githubDeployment) undo(context.Context) error { return nil }

func (githubTarget) read(context.Context, *Model, runOnModel) error { return nil }

func (githubTarget) document(*Model, runOnModel) string { return "" }

func (githubTarget) remove(context.Context, left, string) error { return nil }

func (githubTarget) afterwards(before, after *Model) diag.Diagnostics {
	return ownHands(before, after, func(m *Model) string { return m.GitHubWorkflow.ValueString() },
		"commit github_workflow to the default branch", "remove the workflow from the repository: GitHub still starts it")
}

// ownHands tells what this provider leaves to others, when it changed.
func ownHands(before, after *Model, text func(*Model) string, bring, end string) (diags diag.Diagnostics) {
	of := func(m *Model) string {
		if m == nil {
			return ""
		}
		return text(m)
	}
	was, is := of(before), of(after)
	switch {
	case is != "" && is != was:
		diags.AddWarning(fmt.Sprintf("%s: %s, or nothing runs", after.Called(), bring), "The provider only writes the text. What the text before needed is kept in the repository.")
	case is == "" && was != "":
		diags.AddWarning(fmt.Sprintf("%s: %s", before.Called(), end), "The provider never applied it, and so cannot take it away.")
	}
	return diags
}
