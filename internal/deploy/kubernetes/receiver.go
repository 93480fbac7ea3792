package kubernetes

import (
	"errors"
	"fmt"
	"path"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// deployment keeps the receiver of a job running: one pod, which is ended before
// another begins. Where two run for a moment, because a node is lost, the lease in the
// repository lets one of them receive.
func (s Spec) deployment(r Rendered) (deployment, error) {
	pod, err := s.pod(r)
	if err != nil {
		return deployment{}, err
	}
	pod.RestartPolicy = "Always"
	s.receives(&pod)
	m := s.metadata(r)
	m.Annotations = annotated(s.Tags)
	d := deployment{APIVersion: "apps/v1", Kind: "Deployment", Metadata: m, Spec: deploymentSpec{
		Replicas: 1, RevisionHistoryLimit: 3, Strategy: strategy{Type: "Recreate"},
		Selector: selector{MatchLabels: s.labels()},
		Template: podTemplate{
			// The digest makes a changed job a changed pod, which a ConfigMap alone is not.
			Metadata: metadata{Labels: s.labels(), Annotations: map[string]string{"pgbackup/job-digest": s.Job.Digest()}},
			Spec:     pod,
		},
	}}
	if s.Config.Suspend {
		d.Spec.Replicas = 0
	}
	return d, nil
}

// aliveFile is what a receiver that is at work touches every few seconds: the runner's
// PGBACKUP_ALIVE_FILE. While it waits for another one to end there is none.
const aliveFile = "/tmp/pgbackup-alive"

// stale is the age of that file, in seconds, from which on a receiver hangs.
const stale = 120

// alive lets the cluster start a receiver anew that hangs for five minutes. What it
// waits for, such as a server or a repository that is down, is no reason.
func alive() *probe {
	return &probe{
		Exec:                execAction{Command: []string{"/bin/sh", "-c", fmt.Sprintf(`[ ! -e %[1]s ] || [ $(($(date +%%s) - $(stat -c %%Y %[1]s))) -lt %[2]d ]`, aliveFile, stale)}},
		InitialDelaySeconds: 60, PeriodSeconds: 60, TimeoutSeconds: 30, FailureThreshold: 5,
	}
}

// receives makes the container of a job that of a receiver, which has no end that a
// shell would have to judge, and has a place for what is not stored yet.
func (s Spec) receives(p *podSpec) {
	c := &p.Containers[0]
	c.Command, c.Args = []string{program}, append(s.Job.Words(), "--job", path.Join(jobFolder, s.jobFile()))
	c.Env = append(c.Env, variable{Name: "PGBACKUP_ALIVE_FILE", Value: aliveFile})
	c.LivenessProbe = alive()
	if at := s.Job.WAL.Spool; at != "" && !within(at, "/tmp") && !s.Config.mounts(at) {
		p.Volumes = append(p.Volumes, volume{Name: "spool", EmptyDir: &emptyDir{}})
		c.VolumeMounts = append(c.VolumeMounts, mount{Name: "spool", MountPath: at})
	}
}

// checkWAL holds that a job of WAL can do its work in a pod of its own.
func (s Spec) checkWAL() error {
	c := s.Config
	if !s.Job.Receives() {
		return deploy.CheckPush(s.Job)
	}
	var errs []error
	if s.Job.Schedule != nil {
		errs = append(errs, errors.New("a receiver of WAL runs all the time: it has no schedule"))
	}
	if c.BackoffLimit != 0 || c.Deadline != 0 {
		errs = append(errs, errors.New("backoff_limit and deadline have no meaning for a receiver of WAL, which runs all the time: leave them out"))
	}
	at, durable := s.Job.WAL.Spool, s.Job.WAL.Confirm == job.ConfirmSpooled
	switch {
	case durable && (at == "" || !c.writable(at)):
		errs = append(errs, fmt.Errorf("wal.confirm = %q: the server then removes WAL that is in wal.spool alone, and in a pod that is gone with the pod: give a spool in a writable volume, or leave confirm out", s.Job.WAL.Confirm))
	case at != "" && c.mounts(at) && !c.writable(at):
		errs = append(errs, fmt.Errorf("wal.spool = %q is in a volume that is not writable: set writable = true", at))
	case at != "" && !c.mounts(at) && !within(at, "/tmp"):
		errs = append(errs, mountable("wal.spool", at))
	}
	return errors.Join(errs...)
}
