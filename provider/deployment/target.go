package deployment

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist"
)

// target is one way to have a job run: one of run_on.
type target interface {
	// render makes what is to be there, of values that are all known. Nothing is
	// asked but whose AWS account this is. Everything that is wrong with the values
	// is in the diagnostics. The error wraps errNoAccount when only the account is
	// missing.
	render(ctx context.Context, in input) (deployment, diag.Diagnostics, error)
	// read takes what is there into the computed attributes, so that whatever was
	// done to it by hand differs from what is rendered. awsapi.ErrGone when nothing
	// of it is there.
	read(ctx context.Context, m *Model, on runOnModel) error
	// document is what remove needs besides the id.
	document(m *Model, on runOnModel) string
	// remove ends a deployment, however much of it is there: awsapi.ErrSuperseded,
	// and nothing goes, when what is there can be told to be of another generation.
	remove(ctx context.Context, l left, generation string) error
	// afterwards tells people what they have to do now, as warnings: before is nil
	// for a deployment that is new, and after is nil for one that was removed.
	afterwards(before, after *Model) diag.Diagnostics
}

// deployment is what a target rendered.
type deployment interface {
	// describe sets the computed attributes of the target, all of which are known.
	describe(m *Model)
	// papers are what the deployment needs in repositories; nil for nothing.
	papers() *papers
	// free holds that a new deployment takes nothing over that works and differs.
	free(ctx context.Context) error
	// apply makes it be there, of a generation.
	apply(ctx context.Context, generation string) error
	// undo removes what apply made, and nothing that was there before.
	undo(ctx context.Context) error
}

// input is what a target renders.
type input struct {
	*Model
	on      runOnModel
	job     job.Job
	release runnerdist.Release // the zero one when no runner is given
}

// errNoAccount: the account is not known, for which STS is asked.
var errNoAccount = errors.New("the AWS account is not known")

// name of the one target that is given.
func (on runOnModel) name() (string, error) {
	var given []string
	for _, t := range []struct {
		name string
		is   bool
	}{{deploy.Fargate, on.Fargate != nil}, {deploy.Lambda, on.Lambda != nil}, {deploy.Host, on.Host != nil}, {deploy.Kubernetes, on.Kubernetes != nil}, {deploy.GitHub, on.GitHub != nil}} {
		if t.is {
			given = append(given, t.name)
		}
	}
	if len(given) != 1 {
		return "", fmt.Errorf("run_on: give exactly one of fargate, lambda, host, kubernetes and github_actions, not %d%s", len(given), list(given))
	}
	return given[0], nil
}

func list(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " (" + strings.Join(names, ", ") + ")"
}

// target of a name. Without a connection it can only render.
func (r *Resource) target(name string) (target, error) {
	side := awsSide{r.conn}
	switch name {
	case deploy.Host:
		return hostTarget{}, nil
	case deploy.Fargate:
		return fargateTarget{side}, nil
	case deploy.Lambda:
		return lambdaTarget{side}, nil
	case deploy.Kubernetes:
		return kubernetesTarget{side}, nil
	case deploy.GitHub:
		return githubTarget{side}, nil
	}
	return nil, fmt.Errorf("run_on: %q is not known to this version of the provider", name)
}

// byHand: what is rendered is applied by somebody else, some time, so that what
// an earlier text needs may still be in use.
func byHand(target string) bool { return target != deploy.Fargate && target != deploy.Lambda }
