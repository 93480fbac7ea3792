package github

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/scheduled"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

var (
	repository = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}$`)
	branch     = regexp.MustCompile(`^[A-Za-z0-9._/-]{1,200}$`)
	region     = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)
	machine    = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	variable   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	roleParts  = regexp.MustCompile(`^arn:([a-z-]+):iam::(\d{12}):role/`)
)

// check says everything that is wrong with a Spec.
func (s Spec) check() error {
	c := s.Config
	errs := []error{
		required("repository", c.Repository, repository, `the repository of the workflow, such as "acme/infrastructure"`),
		required("branch", cmp.Or(c.Branch, DefaultBranch), branch, "the name of the default branch"),
		required("region", s.region(), region, "a region such as us-east-1"),
		required("runs_on", s.machine(), machine, "the label of a machine"),
		scheduled.CheckRole("role_arn", c.RoleARN),
		scheduled.CheckEnvironment(c.Environment),
		s.checkNumbers(), s.checkSecrets(), s.checkReach(),
		deploy.CheckPush(s.Job), deploy.CheckEnds(s.Job, "a run of a workflow ends after hours"),
	}
	if c.RoleARN == "" {
		errs = append(errs, errors.New("role_arn is missing: give the role that a run takes on through OpenID Connect"))
	}
	if s.Job.Schedule == nil && !s.Job.Receives() {
		errs = append(errs, errors.New("the job has no schedule"))
	}
	return errors.Join(errs...)
}

func (s Spec) checkNumbers() error {
	var errs []error
	if v := s.Config.PostgresVersion; v != 0 && (v < 10 || v > 18) {
		errs = append(errs, fmt.Errorf("postgres_version is %d: give 10 to 18", v))
	}
	if t := s.Config.Timeout; t != 0 && (t < 15*time.Minute || t > 6*time.Hour || t%time.Minute != 0) {
		errs = append(errs, fmt.Errorf("timeout is %s: give whole minutes from 15m to 6h", t))
	}
	return errors.Join(errs...)
}

func (s Spec) checkSecrets() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(s.Config.Secrets)) {
		if !variable.MatchString(name) {
			errs = append(errs, fmt.Errorf("secrets: %.100q is no name of a variable", name))
		}
		if _, both := s.Config.Environment[name]; both {
			errs = append(errs, fmt.Errorf("%s is in environment and in secrets: leave one of them out", name))
		}
		errs = append(errs, secretName("secrets."+name, s.Config.Secrets[name]))
	}
	if s.Config.SlackSecret != "" {
		errs = append(errs, secretName("slack_secret", s.Config.SlackSecret))
	}
	return errors.Join(errs...)
}

// secretName: GitHub keeps the prefix for itself.
//
// Source: GitHub documentation, "Using secrets in GitHub Actions".
func secretName(field, name string) error {
	if !variable.MatchString(name) || strings.HasPrefix(strings.ToUpper(name), "GITHUB_") {
		return fmt.Errorf("%s: %.100q: give the name of a GitHub secret: letters, digits and '_', not beginning with GITHUB_ (the name, not the secret itself)", field, name)
	}
	return nil
}

// checkReach holds that everything the job names is there on a machine that was
// made a minute ago.
func (s Spec) checkReach() error {
	errs := []error{deploy.CheckReferences(deploy.GitHub, s.Job, func(r job.Reference) error {
		switch r.Ref.Scheme {
		case secretref.Env:
			_, secret := s.Config.Secrets[r.Ref.Value]
			_, plain := s.Config.Environment[r.Ref.Value]
			if !secret && !plain {
				return fmt.Errorf("say which GitHub secret has it: secrets = { %s = \"NAME_OF_THE_SECRET\" }", r.Ref.Value)
			}
		case secretref.File:
			return errors.New("the machine is new for every run and has no such file: use env:NAME with secrets, or a secretsmanager: or ssm: reference")
		}
		return nil
	})}
	for _, f := range s.Job.ServerFiles() {
		errs = append(errs, fmt.Errorf("%s = %q is not there: the machine is new for every run; use sslrootcert_ref, or a password instead of a certificate", f.Field, f.Path))
	}
	switch {
	case s.Job.Kind == job.KindFiles:
		errs = append(errs, errors.New("the machine is new for every run and has no files to back up: use another target"))
	case s.Job.Config != nil && s.Job.Config.Directory != "":
		errs = append(errs, fmt.Errorf("config.directory = %q is not there: the machine is new for every run; use server, or another target", s.Job.Config.Directory))
	}
	return errors.Join(errs...)
}

func (s Spec) region() string { return cmp.Or(s.Config.Region, s.Runner.Repository.Region) }

func required(field, value string, pattern *regexp.Regexp, what string) error {
	if pattern.MatchString(value) {
		return nil
	}
	if value == "" {
		return fmt.Errorf("%s is missing: give %s", field, what)
	}
	return fmt.Errorf("%s: %.200q: give %s", field, value, what)
}
