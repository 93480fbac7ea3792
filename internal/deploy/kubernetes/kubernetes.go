// Package kubernetes carries a job to a Kubernetes cluster: the YAML of a CronJob, or
// of a Deployment for a receiver of WAL, with the ConfigMap and the ServiceAccount that
// belong to it, for kubectl, a GitOps repository or Terraform's kubernetes provider to
// apply.
//
// It is pure. What must not live here: talking to a cluster, and what a job means
// (package job).
package kubernetes

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/host"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
)

// What a zero Config means.
const (
	DefaultPostgresVersion = 17
	DefaultFetchImage      = "public.ecr.aws/aws-cli/aws-cli:2.31.9"
	DefaultRunAsUser       = 999 // postgres in the stock image
	DefaultDeadline        = time.Hour
)

// grace is what a run gets to end by itself: to stop its children, to abort its
// uploads and to release its lease.
const grace = 2 * time.Minute

// Config says where in a cluster the job runs, and as whom.
type Config struct {
	Namespace            string // "" is default
	ServiceAccount       string // "" is the name of the job's objects, which is then created
	CreateServiceAccount bool   // its YAML is part of the manifest
	RoleARN              string // IAM role of the service account (IRSA), which is then created
	PodIdentity          bool   // the role comes by an EKS Pod Identity association instead

	PostgresVersion int    // major version of the image and its tools; 0 is DefaultPostgresVersion
	Image           string // "" is the stock postgres image of that version
	FetchImage      string // with /bin/sh, aws and sha256sum; "" is DefaultFetchImage
	Architecture    string // of the nodes: x86_64 or arm64; "" is x86_64
	RunAsUser       int64  // and group; 0 is DefaultRunAsUser

	Resources    Resources
	NodeSelector map[string]string
	Tolerations  []Toleration
	Environment  map[string]string // of the runner; nothing secret

	SecretEnv   map[string]SecretKey // by name of the variable, for references env:NAME
	SecretFiles map[string]SecretKey // by absolute path, for references file:/path and certificates
	Volumes     map[string]Volume    // by absolute path, for files to back up

	Suspend      bool          // no run is started, and no receiver
	BackoffLimit int           // how often a failed run is tried again
	Deadline     time.Duration // how late a run may still start; 0 is DefaultDeadline
}

// Resources of the container that runs the job, in Kubernetes' own notation such as
// "500m" and "512Mi".
type Resources struct {
	CPURequest, CPULimit       string // "" is 100m, and no limit
	MemoryRequest, MemoryLimit string // "" is 256Mi, and no limit
}

// Toleration lets the pod run on tainted nodes, in the words of Kubernetes.
type Toleration struct {
	Key, Operator, Value, Effect string
}

// SecretKey is one value of a Secret of the namespace.
type SecretKey struct {
	Secret, Key string
}

// Volume is a persistent volume claim of the namespace.
type Volume struct {
	Claim    string
	Writable bool
}

// Spec is one job for one cluster.
type Spec struct {
	deploy.Spec
	Config Config
}

// Rendered is what is to be applied.
type Rendered struct {
	Name           string // of the CronJob or Deployment and its ConfigMap
	Namespace      string
	ServiceAccount string
	Manifest       string // YAML, several documents
}

// maxName is what a CronJob may be called: its jobs append 11 characters to that,
// and end at 63.
const maxName = 52

// Name of the objects of a job: pgbackup-<job>, shortened with a hash where
// Kubernetes would not take it.
func Name(job string) string {
	name := host.UnitName(job)
	if len(name) <= maxName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:maxName-9] + "-" + hex.EncodeToString(sum[:4])
}

// Render makes the manifest. The error names everything that is wrong with spec.
func Render(spec Spec) (Rendered, error) {
	r, err := render(spec)
	if err != nil {
		return Rendered{}, fmt.Errorf("render job %q for Kubernetes: %w", spec.Job.Name, err)
	}
	return r, nil
}

func render(spec Spec) (Rendered, error) {
	if err := spec.check(); err != nil {
		return Rendered{}, err
	}
	c := spec.Config
	r := Rendered{Name: Name(spec.Job.Name), Namespace: cmp.Or(c.Namespace, "default")}
	r.ServiceAccount = cmp.Or(c.ServiceAccount, r.Name)
	job, err := spec.workload(r)
	if err != nil {
		return Rendered{}, err
	}
	file, err := spec.configMap(r)
	if err != nil {
		return Rendered{}, err
	}
	objects := []any{file, job}
	if c.createsAccount() {
		objects = append([]any{spec.serviceAccount(r)}, objects...)
	}
	var b bytes.Buffer
	b.WriteString("# Written by pgbackup. Changes made by hand are undone by the next apply.\n")
	for _, o := range objects {
		text, err := yaml.Marshal(o)
		if err != nil {
			return Rendered{}, err
		}
		b.WriteString("---\n")
		b.Write(text)
	}
	r.Manifest = b.String()
	return r, nil
}

// workload is the object that runs the job.
func (s Spec) workload(r Rendered) (any, error) {
	if s.Job.Receives() {
		return s.deployment(r)
	}
	when, err := schedule.Parse(s.Job.Schedule.Cron, s.Job.Schedule.Timezone)
	if err != nil {
		return nil, err
	}
	return s.cronJob(r, when)
}

// createsAccount: an account nobody named belongs to the job, and a role can only
// be given to an account that is written here.
func (c Config) createsAccount() bool {
	return c.CreateServiceAccount || c.RoleARN != "" || c.ServiceAccount == ""
}
