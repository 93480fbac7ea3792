package kubernetes

import (
	"errors"
	"fmt"
	"maps"
	"path"
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
	label     = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	subdomain = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
	secretKey = regexp.MustCompile(`^[-._a-zA-Z0-9]{1,253}$`)
	quantity  = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?(m|[kMGTPE]|[KMGTPE]i)?$`)
	variables = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	image     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/:@-]*$`)
)

// check says everything that is wrong with a Spec.
func (s Spec) check() error {
	c := s.Config
	errs := []error{
		matches("namespace", c.Namespace, label, "the name of a namespace"),
		matches("service_account", c.ServiceAccount, subdomain, "the name of a service account"),
		scheduled.CheckRole("role_arn", c.RoleARN),
		scheduled.CheckEnvironment(c.Environment),
		matches("image", c.Image, image, "the name of an image"),
		matches("fetch_image", c.FetchImage, image, "the name of an image"),
		matches("resources.cpu_request", c.Resources.CPURequest, quantity, `a quantity such as "500m"`),
		matches("resources.cpu_limit", c.Resources.CPULimit, quantity, `a quantity such as "2"`),
		matches("resources.memory_request", c.Resources.MemoryRequest, quantity, `a quantity such as "512Mi"`),
		matches("resources.memory_limit", c.Resources.MemoryLimit, quantity, `a quantity such as "1Gi"`),
		s.checkNumbers(), s.checkSecrets(), s.checkVolumes(), s.checkReach(), s.checkWAL(),
	}
	if s.Job.Schedule == nil && !s.Job.Receives() {
		errs = append(errs, errors.New("the job has no schedule"))
	}
	if c.RoleARN != "" && c.PodIdentity {
		errs = append(errs, errors.New("role_arn and pod_identity: a pod gets its role in one of the two ways; with Pod Identity the association names it"))
	}
	return errors.Join(errs...)
}

func (s Spec) checkNumbers() error {
	c := s.Config
	var errs []error
	if v := c.PostgresVersion; v != 0 && (v < 10 || v > 18) {
		errs = append(errs, fmt.Errorf("postgres_version is %d: give 10 to 18", v))
	}
	if c.RunAsUser < 0 {
		errs = append(errs, fmt.Errorf("run_as_user is %d: give the number of a user other than root", c.RunAsUser))
	}
	if c.BackoffLimit < 0 || c.BackoffLimit > 10 {
		errs = append(errs, fmt.Errorf("backoff_limit is %d: give 0 to 10", c.BackoffLimit))
	}
	// Kubernetes looks every ten seconds: a shorter deadline may start nothing at all.
	if d := c.Deadline; d != 0 && (d < 10*time.Second || d%time.Second != 0) {
		errs = append(errs, fmt.Errorf("the deadline of a start is %s: give whole seconds, 10 at least", d))
	}
	return errors.Join(errs...)
}

func (s Spec) checkSecrets() error {
	var errs []error
	key := func(place string, k SecretKey) {
		errs = append(errs, required(place+".secret", k.Secret, subdomain, "the name of a Secret"), required(place+".key", k.Key, secretKey, "a key of that Secret"))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Config.SecretEnv)) {
		if !variables.MatchString(name) {
			errs = append(errs, fmt.Errorf("secret_env: %.100q is no name of a variable", name))
		}
		if _, both := s.Config.Environment[name]; both {
			errs = append(errs, fmt.Errorf("%s is in environment and in secret_env: leave one of them out", name))
		}
		key("secret_env."+name, s.Config.SecretEnv[name])
	}
	for _, p := range slices.Sorted(maps.Keys(s.Config.SecretFiles)) {
		errs = append(errs, mountable("secret_files", p))
		key("secret_files."+p, s.Config.SecretFiles[p])
	}
	return errors.Join(errs...)
}

func (s Spec) checkVolumes() error {
	var errs []error
	for _, p := range slices.Sorted(maps.Keys(s.Config.Volumes)) {
		errs = append(errs, mountable("volumes", p), required("volumes."+p+".claim", s.Config.Volumes[p].Claim, subdomain, "the name of a persistent volume claim"))
	}
	return errors.Join(errs...)
}

// checkReach holds that everything the job names is in the pod.
func (s Spec) checkReach() error {
	c := s.Config
	errs := []error{deploy.CheckReferences(deploy.Kubernetes, s.Job, func(r job.Reference) error {
		switch r.Ref.Scheme {
		case secretref.Env:
			_, secret := c.SecretEnv[r.Ref.Value]
			_, plain := c.Environment[r.Ref.Value]
			if !secret && !plain {
				return fmt.Errorf("say which Secret has it: secret_env = { %s = { secret = \"…\", key = \"…\" } }", r.Ref.Value)
			}
		case secretref.File:
			if _, ok := c.SecretFiles[r.Ref.Value]; !ok && !c.mounts(r.Ref.Value) {
				return fmt.Errorf("say which Secret has it: secret_files = { %q = { secret = \"…\", key = \"…\" } }", r.Ref.Value)
			}
		}
		return nil
	})}
	for _, f := range s.Job.ServerFiles() {
		if _, ok := c.SecretFiles[f.Path]; !ok && !c.mounts(f.Path) {
			errs = append(errs, fmt.Errorf("%s = %q is not in the pod: add it to secret_files", f.Field, f.Path))
		}
	}
	var wanted []string
	if s.Job.Files != nil {
		wanted = s.Job.Files.Paths
	}
	if s.Job.Config != nil && s.Job.Config.Directory != "" {
		wanted = append(wanted, s.Job.Config.Directory)
	}
	for _, p := range wanted {
		if !c.mounts(p) {
			errs = append(errs, fmt.Errorf("%q is not in the pod: say which persistent volume claim has it in volumes", p))
		}
	}
	errs = append(errs, s.checkScratch())
	at, err := job.ParseRepository(s.Job.Repository)
	if err == nil && at.IsDirectory() && !c.writable(at.Directory) {
		errs = append(errs, fmt.Errorf("repository %s is a directory that is not in the pod: give a writable volume there, or a repository in S3", at))
	}
	return errors.Join(errs...)
}

// checkScratch holds that the server of a drill has a folder it can write to.
func (s Spec) checkScratch() error {
	const field = "drill.into.scratch_cluster.directory"
	at, c := s.Job.ScratchDirectory(), s.Config
	switch {
	case at == "" || at == "/tmp" || c.writable(at):
		return nil
	case within(at, "/tmp"):
		return fmt.Errorf("%s = %q is not there, /tmp of the pod is empty: leave it out, or give another folder, which becomes a volume of its own", field, at)
	case c.mounts(at):
		return fmt.Errorf("%s = %q is in a volume that is not writable: set writable = true", field, at)
	}
	return mountable(field, at)
}

// mounts reports whether a path is in one of the volumes.
func (c Config) mounts(p string) bool {
	for at := range c.Volumes {
		if p == at || strings.HasPrefix(p, at+"/") {
			return true
		}
	}
	return false
}

func (c Config) writable(p string) bool {
	for at, v := range c.Volumes {
		if v.Writable && (p == at || strings.HasPrefix(p, at+"/")) {
			return true
		}
	}
	return false
}

// mountable: what is mounted over a folder hides what the runner needs there.
func mountable(field, p string) error {
	switch {
	case !path.IsAbs(p) || path.Clean(p) != p || strings.ContainsAny(p, ":"):
		return fmt.Errorf("%s: %.200q: give an absolute path without ':'", field, p)
	case p == "/" || within(p, programFolder) || within(p, jobFolder) || p == "/tmp":
		return fmt.Errorf("%s: %s is used by the job itself: give another path", field, p)
	}
	return nil
}

func within(p, folder string) bool { return p == folder || strings.HasPrefix(p, folder+"/") }

func matches(field, value string, pattern *regexp.Regexp, what string) error {
	if value == "" {
		return nil
	}
	return required(field, value, pattern, what)
}

func required(field, value string, pattern *regexp.Regexp, what string) error {
	if pattern.MatchString(value) {
		return nil
	}
	return fmt.Errorf("%s: %.200q: give %s", field, value, what)
}
