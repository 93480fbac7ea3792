package kubernetes

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/shell"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
)

// Places in the pod.
const (
	programFolder = "/pgbackup" // an empty folder that the init container fills
	program       = programFolder + "/pgbackup-runner"
	jobFolder     = "/etc/pgbackup-job"
)

func (s Spec) metadata(r Rendered) metadata {
	return metadata{Name: r.Name, Namespace: r.Namespace, Labels: s.labels()}
}

// labels of everything. What users call tags has more letters than Kubernetes
// allows in labels, so they are annotations.
func (s Spec) labels() map[string]string {
	return map[string]string{
		"app.kubernetes.io/name": "pgbackup", "app.kubernetes.io/instance": Name(s.Job.Name),
		"app.kubernetes.io/component": string(s.Job.Kind), "app.kubernetes.io/managed-by": "pgbackup",
	}
}

func (s Spec) serviceAccount(r Rendered) serviceAccount {
	m := s.metadata(r)
	m.Name = r.ServiceAccount
	if s.Config.RoleARN != "" {
		m.Annotations = map[string]string{"eks.amazonaws.com/role-arn": s.Config.RoleARN}
	}
	return serviceAccount{APIVersion: "v1", Kind: "ServiceAccount", Metadata: m}
}

func (s Spec) configMap(r Rendered) (configMap, error) {
	file, err := s.Job.Encode()
	if err != nil {
		return configMap{}, err
	}
	return configMap{APIVersion: "v1", Kind: "ConfigMap", Metadata: s.metadata(r), Data: map[string]string{s.jobFile(): string(file)}}, nil
}

// annotated are tags as one annotation: what AWS allows in the name of a tag is no
// name of an annotation, and the cluster would refuse the whole object.
func annotated(tags map[string]string) map[string]string {
	if len(tags) == 0 {
		return nil
	}
	var text strings.Builder
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(tags); err != nil {
		panic(fmt.Sprintf("tags cannot be written: %v", err)) // texts only
	}
	return map[string]string{"pgbackup/tags": strings.TrimSpace(text.String())}
}

func (s Spec) jobFile() string { return s.Job.Name + ".job.json" }

func (s Spec) cronJob(r Rendered, when schedule.Schedule) (cronJob, error) {
	expression, zone, err := when.Kubernetes()
	if err != nil {
		return cronJob{}, err
	}
	pod, err := s.pod(r)
	if err != nil {
		return cronJob{}, err
	}
	m := s.metadata(r)
	m.Annotations = annotated(s.Tags)
	c := s.Config
	template := jobSpec{BackoffLimit: c.BackoffLimit, Template: podTemplate{
		// The digest makes a changed job a changed pod, which a ConfigMap alone is not.
		Metadata: metadata{Labels: s.labels(), Annotations: map[string]string{"pgbackup/job-digest": s.Job.Digest()}},
		Spec:     pod,
	}}
	if limit, exact := s.Job.Limits.MaxDuration.Exact(); exact && limit > 0 {
		// The runner keeps the limit itself, and says so; this is for one that hangs.
		template.ActiveDeadlineSeconds = int64((limit + grace).Seconds())
	}
	return cronJob{APIVersion: "batch/v1", Kind: "CronJob", Metadata: m, Spec: cronJobSpec{
		Schedule: expression, TimeZone: zone,
		// The repository has a lease of its own; a second pod would only wait for it.
		ConcurrencyPolicy:          "Forbid",
		StartingDeadlineSeconds:    int64(cmp.Or(c.Deadline, DefaultDeadline).Seconds()),
		Suspend:                    c.Suspend,
		SuccessfulJobsHistoryLimit: 3, FailedJobsHistoryLimit: 3,
		JobTemplate: jobTemplate{Metadata: metadata{Labels: s.labels()}, Spec: template},
	}}, nil
}

func (s Spec) pod(r Rendered) (podSpec, error) {
	c := s.Config
	url, sum, err := s.Runner.Object(cmp.Or(c.Architecture, "x86_64"))
	if err != nil {
		return podSpec{}, err
	}
	user := cmp.Or(c.RunAsUser, DefaultRunAsUser)
	selector := map[string]string{"kubernetes.io/arch": nodeArch(c.Architecture)}
	maps.Copy(selector, c.NodeSelector)
	p := podSpec{
		ServiceAccountName: r.ServiceAccount, RestartPolicy: "Never", TerminationGracePeriodSeconds: int(grace.Seconds()),
		SecurityContext: podSecurity{
			RunAsNonRoot: true, RunAsUser: user, RunAsGroup: user, FSGroup: user, FSGroupChangePolicy: "OnRootMismatch",
			SeccompProfile: seccompProfile{Type: "RuntimeDefault"},
		},
		NodeSelector: selector,
		Volumes: []volume{
			{Name: "program", EmptyDir: &emptyDir{SizeLimit: "256Mi"}},
			{Name: "tmp", EmptyDir: &emptyDir{}},
			{Name: "job", ConfigMap: &configSource{Name: r.Name}},
		},
	}
	for _, t := range c.Tolerations {
		p.Tolerations = append(p.Tolerations, toleration(t))
	}
	programs, tmp := mount{Name: "program", MountPath: programFolder}, mount{Name: "tmp", MountPath: "/tmp"}
	p.InitContainers = []container{{
		Name: "fetch", Image: cmp.Or(c.FetchImage, DefaultFetchImage),
		Command: []string{"/bin/sh", "-c", shell.Fetch(shell.Program{
			URL: url, SHA256: sum, Region: s.Runner.Repository.Region, Endpoint: s.Runner.Repository.Endpoint,
		}, program)},
		// The AWS CLI keeps the session of its role below the home directory.
		Env:             []variable{{Name: "HOME", Value: "/tmp"}},
		Resources:       resources{Requests: map[string]string{"cpu": "100m", "memory": "128Mi"}},
		SecurityContext: locked(), VolumeMounts: []mount{programs, tmp},
	}}
	runner := container{
		Name: "pgbackup", Image: c.image(),
		Command:         []string{"/bin/sh", "-c", shell.WarningsAreSuccess(), "pgbackup"},
		Args:            append(append([]string{program}, s.Job.Words()...), "--job", path.Join(jobFolder, s.jobFile())),
		Env:             s.environment(sum),
		Resources:       c.Resources.rendered(),
		SecurityContext: locked(),
		VolumeMounts: []mount{
			{Name: programs.Name, MountPath: programs.MountPath, ReadOnly: true}, tmp,
			{Name: "job", MountPath: jobFolder, ReadOnly: true},
		},
	}
	c.mountSecrets(&p, &runner)
	c.mountVolumes(&p, &runner)
	if at := s.Job.ScratchDirectory(); at != "" && !within(at, "/tmp") && !c.mounts(at) {
		// No limit of its own: the kubelet would end the pod, and PostgreSQL can say what
		// is full.
		p.Volumes = append(p.Volumes, volume{Name: "scratch", EmptyDir: &emptyDir{}})
		runner.VolumeMounts = append(runner.VolumeMounts, mount{Name: "scratch", MountPath: at})
	}
	p.Containers = []container{runner}
	return p, nil
}

// environment of the runner: what the user gave, plain before secret.
func (s Spec) environment(sum string) []variable {
	env := []variable{{Name: "HOME", Value: "/tmp"}, {Name: deploy.RunnerHash, Value: sum}}
	for _, name := range slices.Sorted(maps.Keys(s.Config.Environment)) {
		env = append(env, variable{Name: name, Value: s.Config.Environment[name]})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Config.SecretEnv)) {
		k := s.Config.SecretEnv[name]
		env = append(env, variable{Name: name, ValueFrom: &valueSource{secretKeyRef{Name: k.Secret, Key: k.Key}}})
	}
	return env
}

// mountSecrets puts each secret file at its path. 0440 with the pod's group is what
// libpq accepts of a private key that root owns.
func (c Config) mountSecrets(p *podSpec, runner *container) {
	for i, at := range slices.Sorted(maps.Keys(c.SecretFiles)) {
		k, name := c.SecretFiles[at], fmt.Sprintf("secret-%d", i+1)
		p.Volumes = append(p.Volumes, volume{Name: name, Secret: &secretSource{SecretName: k.Secret, DefaultMode: 0o440, Items: []keyToPath{{Key: k.Key, Path: path.Base(at)}}}})
		runner.VolumeMounts = append(runner.VolumeMounts, mount{Name: name, MountPath: at, SubPath: path.Base(at), ReadOnly: true})
	}
}

func (c Config) mountVolumes(p *podSpec, runner *container) {
	for i, at := range slices.Sorted(maps.Keys(c.Volumes)) {
		v, name := c.Volumes[at], fmt.Sprintf("volume-%d", i+1)
		p.Volumes = append(p.Volumes, volume{Name: name, PersistentVolumeClaim: &claimSource{ClaimName: v.Claim}})
		runner.VolumeMounts = append(runner.VolumeMounts, mount{Name: name, MountPath: at, ReadOnly: !v.Writable})
	}
}

func (c Config) image() string {
	return cmp.Or(c.Image, fmt.Sprintf("public.ecr.aws/docker/library/postgres:%d", cmp.Or(c.PostgresVersion, DefaultPostgresVersion)))
}

func (r Resources) rendered() resources {
	out := resources{Requests: map[string]string{"cpu": cmp.Or(r.CPURequest, "100m"), "memory": cmp.Or(r.MemoryRequest, "256Mi")}, Limits: map[string]string{}}
	if r.CPULimit != "" {
		out.Limits["cpu"] = r.CPULimit
	}
	if r.MemoryLimit != "" {
		out.Limits["memory"] = r.MemoryLimit
	}
	return out
}

// locked is a container that can write to its volumes and do nothing else.
func locked() containerSecurity {
	return containerSecurity{ReadOnlyRootFilesystem: true, Capabilities: capabilities{Drop: []string{"ALL"}}}
}

// nodeArch is how nodes are labelled.
func nodeArch(architecture string) string {
	if architecture == "arm64" {
		return "arm64"
	}
	return "amd64"
}
