// Package github carries a job to GitHub Actions: the text of a workflow, and the
// trust policy of the role that its runs take on.
//
// It is pure. What must not live here: talking to GitHub, and what a job means
// (package job).
package github

import (
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
)

// What a zero Config means.
const (
	DefaultPostgresVersion = 17
	DefaultBranch          = "main"
	DefaultTimeout         = time.Hour
)

// Config says how the workflow runs.
type Config struct {
	Repository string // "org/name" that the workflow will be committed to
	Branch     string // its default branch, the only one whose schedules run; "" is DefaultBranch
	RoleARN    string // role that a run takes on through OpenID Connect
	Region     string // of AWS; "" is that of the repository of backups

	PostgresVersion int               // major version of the client programs; 0 is DefaultPostgresVersion
	RunsOn          string            // label of the machine; "" is an Ubuntu of GitHub's
	Architecture    string            // x86_64 or arm64; "" is x86_64
	Secrets         map[string]string // by name of the variable, for references env:NAME: names of GitHub secrets
	Environment     map[string]string // of the runner; nothing secret
	SlackSecret     string            // GitHub secret with the URL of a Slack webhook, told when a run fails; "" is nobody
	// Timeout of a run, and of its session in AWS: whole minutes, 15m to 6h, which is
	// as long as GitHub's own machines run. The role's max_session_duration, an hour
	// where nothing else is said, must not be shorter. 0 is DefaultTimeout.
	Timeout  time.Duration
	Disabled bool // no schedule; only started by hand
}

// Spec is one job for one repository of GitHub.
type Spec struct {
	deploy.Spec
	Config Config
}

// Rendered is what is to be committed, and who is to be trusted.
type Rendered struct {
	Path        string // in the repository: .github/workflows/pgbackup-<job>.yml
	Workflow    string // YAML
	TrustPolicy string // JSON, for the role
}

// Render makes the workflow. The error names everything that is wrong with spec.
func Render(spec Spec) (Rendered, error) {
	r, err := render(spec)
	if err != nil {
		return Rendered{}, fmt.Errorf("render job %q for GitHub Actions: %w", spec.Job.Name, err)
	}
	return r, nil
}
