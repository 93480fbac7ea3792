// Package deploy carries jobs to where they run. What all targets share is here;
// each target has a package below: host, fargate, lambda, kubernetes, github.
//
// A target renders a job into the texts and values of its platform, which is pure
// and known at plan, and applies them, which is thin. What must not live here:
// what a job means (package job) and running it.
package deploy

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist"
)

// The targets, as run_on names them.
const (
	Host       = "host"
	Fargate    = "fargate"
	Lambda     = "lambda"
	Kubernetes = "kubernetes"
	GitHub     = "github_actions"
)

// Spec is what every target but a host needs: they fetch job and runner from a
// repository in S3.
type Spec struct {
	Job    job.Job // with Schedule
	Runner Runner
	Tags   map[string]string // of everything that is made
}

// Runner says where the builds of the runner are and what they are.
type Runner struct {
	Repository job.RepositoryURL // in S3
	SHA256     map[string]string // by name of the architecture, x86_64 or arm64
}

// Object is the URL of the build for an architecture, as the AWS CLI takes it, and
// its hash.
func (r Runner) Object(arch string) (url, sha256 string, err error) {
	sum, ok := r.SHA256[arch]
	if !ok {
		var have []string
		for name := range r.SHA256 {
			have = append(have, name)
		}
		slices.Sort(have)
		return "", "", fmt.Errorf("the runner was not brought for %s, only for %s: add it to architectures of the pgbackup_runner", arch, strings.Join(have, ", "))
	}
	goarch, err := runnerdist.ParseArch(arch)
	if err != nil {
		return "", "", err
	}
	return ObjectURL(r.Repository, runnerdist.Key(sum, goarch)), sum, nil
}

// ObjectURL is s3://bucket/key of an object in a repository.
func ObjectURL(at job.RepositoryURL, key string) string {
	return "s3://" + path.Join(at.Bucket, at.Prefix, key)
}

// JobKey is the key, in the repository, of the job's file. It holds the hash, so
// that what was planned is what runs, and the job that is being replaced stands
// beside the new one.
func JobKey(j job.Job) (string, error) {
	data, err := j.Encode()
	if err != nil {
		return "", err
	}
	return job.Key(j.Name, data), nil
}

// JobURL is what `pgbackup-runner --job` takes on a target: the repository's own
// URL with the key of the job's file, so that region and endpoint are known.
func JobURL(j job.Job) (string, error) {
	at, err := job.ParseRepository(j.Repository)
	if err != nil {
		return "", err
	}
	if at.IsDirectory() {
		return "", fmt.Errorf("repository %s is a directory of one machine: this target needs one in S3", at)
	}
	key, err := JobKey(j)
	if err != nil {
		return "", err
	}
	at.Prefix = path.Join(at.Prefix, key)
	return at.String(), nil
}

// CheckReferences holds that everything a job refers to can be read on a target:
// reach says why one cannot, nil when it can.
func CheckReferences(target string, j job.Job, reach func(job.Reference) error) error {
	var errs []error
	for _, r := range j.References() {
		if err := reach(r); err != nil {
			errs = append(errs, fmt.Errorf("%s = %q cannot be read on %s: %w", r.Field, r.Ref, target, err))
		}
	}
	return errors.Join(errs...)
}
