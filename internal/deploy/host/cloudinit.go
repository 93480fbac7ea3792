package host

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/shell"
)

// machines are the architectures as users name them, and as `uname -m` does.
var machines = map[string]string{"x86_64": "x86_64", "arm64": "aarch64"}

func (s Spec) checkFetch() error {
	if s.Fetch == nil {
		return nil
	}
	var errs []error
	for arch := range s.Fetch.Programs {
		if machines[arch] == "" {
			errs = append(errs, fmt.Errorf("architecture %q: give x86_64 or arm64", arch))
		}
	}
	if len(s.Fetch.Programs) == 0 || s.Fetch.JobURL == "" {
		errs = append(errs, errors.New("user data needs the place of the runner and of the job in a repository in S3"))
	}
	return errors.Join(errs...)
}

// cloudInit renders user data: a script, and the order to run it once. The machine
// needs a role that may read the repository, which is what the script finds first
// when it has none.
func (s Spec) cloudInit() string {
	script := "/usr/local/sbin/" + UnitName(s.Job.Name) + "-install"
	var b strings.Builder
	fmt.Fprintf(&b, `#cloud-config
# Installs the runner of pgbackup and the job %s. The machine needs a role that may
# read the repository.
write_files:
  - path: %s
    permissions: "0755"
    content: |
`, s.Job.Name, script)
	for line := range strings.Lines(s.installScript()) {
		b.WriteString("      " + line)
	}
	fmt.Fprintf(&b, "runcmd:\n  - [%s]\n", script)
	return b.String()
}

// installScript brings the runner, which then installs the job by itself.
func (s Spec) installScript() string {
	var b strings.Builder
	b.WriteString(`#!/bin/sh
set -eu
if ! command -v aws >/dev/null; then
  if command -v dnf >/dev/null; then
    dnf install -y awscli-2
  else
    apt-get update -q
    apt-get install -y -q awscli || snap install aws-cli --classic
  fi
fi
`)
	fmt.Fprintf(&b, "mkdir -p %s\ncase $(uname -m) in\n", shell.Quote(path.Dir(s.Runner)))
	for _, arch := range slices.Sorted(maps.Keys(s.Fetch.Programs)) {
		fmt.Fprintf(&b, "%s)\n%s;;\n", machines[arch], shell.Fetch(s.Fetch.Programs[arch], s.Runner))
	}
	fmt.Fprintf(&b, "*)\n  echo \"There is no runner for $(uname -m): add the architecture to the pgbackup_runner.\" >&2\n  exit 2\n  ;;\nesac\n")
	install := []string{s.Runner, "install", "--job", s.Fetch.JobURL}
	if s.User != "" {
		install = append(install, "--user", s.User)
	}
	if s.EnvironmentFile != "" {
		install = append(install, "--environment-file", s.EnvironmentFile)
	}
	if s.RandomizedDelay > 0 {
		install = append(install, "--randomized-delay", fmt.Sprintf("%ds", int64(s.RandomizedDelay.Seconds())))
	}
	b.WriteString(shell.Join(install...) + "\n")
	return b.String()
}
