package recoverypoint

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	awsrds "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/fargate"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
)

// snapshot takes a manual snapshot of RDS.
func (r *Resource) snapshot(ctx context.Context, m model, t awsrds.Target, opened connection.Opened, policy string, limit time.Duration, diags *diag.Diagnostics) (*repo.Manifest, error) {
	if !opened.HasKey() {
		return nil, fmt.Errorf("%w: the repository is encrypted; give key_ref, a reference that Terraform can read here", repo.ErrNoKey)
	}
	client, err := r.clients(ctx, m.Region.ValueString())
	if err != nil {
		return nil, err
	}
	tags, err := r.tags(ctx, m)
	if err != nil {
		return nil, err
	}
	o := rds.Options{
		Repo: opened.Repository, RDS: client, Target: t, Source: cmp.Or(m.Source.ValueString(), rds.DefaultSource(t, client.Region())),
		Tags: tags, Request: m.request(ctx), Policy: policy, RunnerVersion: "terraform-provider-pgbackup " + r.conn.Version,
		Limit: limit, Self: repo.Self(),
	}
	if policy != "" {
		rev, err := opened.CurrentPolicy(ctx, policy)
		if err != nil {
			return nil, fmt.Errorf("policy %q: %w", policy, err)
		}
		o.PolicyRevision = rev.Number
	}
	// Points of one source are taken one after the other: its lease is not waited for long.
	defer r.conn.Lock("rds " + opened.ID() + " " + o.Source)()
	result, err := rds.Take(ctx, o)
	for _, w := range result.Warnings {
		diags.AddWarning(fmt.Sprintf("pgbackup_recovery_point (%s): %s", m.name(), w), "The snapshot is good all the same.")
	}
	for _, other := range result.Adopted {
		diags.AddWarning(fmt.Sprintf("pgbackup_recovery_point (%s): snapshot %s, which an earlier run had begun, was finished as recovery point %s", m.name(), other.RDS.Snapshot, other.ID), "Its policy decides about it from now on.")
	}
	return result.Manifest, err
}

// clockSkew is how far the clock of a task may be behind this one.
const clockSkew = 2 * time.Minute

// runSchedule runs the task of a schedule once and finds the point it made.
func (r *Resource) runSchedule(ctx context.Context, m model, opened connection.Opened) (*repo.Manifest, error) {
	id := m.Schedule.ValueString()
	if err := checkSchedule(id); err != nil {
		return nil, err
	}
	cfg, err := r.conn.AWS(strings.SplitN(id, ":", 6)[3])
	if err != nil {
		return nil, err
	}
	defer r.conn.Lock("schedule " + id)()
	hasSource := m.Source.ValueString() != ""
	switch err := r.examine(ctx, id, hasSource, opened.Repository); {
	case errors.Is(err, errUnread) && !hasSource:
		// Whatever it makes would be made again by the next apply.
		return nil, fmt.Errorf("%w. Say with source which database this resource is about: then it is not needed", err)
	case err != nil && !errors.Is(err, errUnread):
		return nil, err
	}
	began := time.Now()
	target := fargate.New(cfg, fargate.Options{})
	task, err := target.StartNow(ctx, id)
	if err != nil {
		return nil, err
	}
	code, reason, err := target.Wait(ctx, task)
	switch {
	case err != nil:
		return nil, err
	case code != 0 && code != 3: // 3: done, with warnings
		return nil, fmt.Errorf("task %s ended with exit code %d: %s; its log in CloudWatch says why", task, code, cmp.Or(reason, "no reason given"))
	}
	return madeBy(ctx, opened.Repository, path.Base(id), m.Source.ValueString(), began)
}

// madeBy finds the point that a schedule's task has made since a moment.
func madeBy(ctx context.Context, r *repo.Repository, schedule, source string, since time.Time) (*repo.Manifest, error) {
	points, err := r.List(ctx, repo.Filter{Source: source})
	if err != nil {
		return nil, err
	}
	points = slices.DeleteFunc(points, func(p repo.Listed) bool { return p.Start.Before(since.Add(-clockSkew)) || !p.Verified() })
	if err := r.LoadManifests(ctx, points); err != nil {
		return nil, err
	}
	var found []*repo.Manifest
	for _, p := range points {
		if p.Problem == nil && isOf(schedule, p.Manifest.Job) {
			found = append(found, p.Manifest)
		}
	}
	if len(found) == 0 {
		return nil, errors.New("its task ended well and left no recovery point: is it a schedule of backups, and does it write to this repository?")
	}
	newest := map[string]*repo.Manifest{} // a source may have been backed up by its schedule just before
	for _, m := range found {
		if at := newest[m.Source]; at == nil || m.Start.After(at.Start) {
			newest[m.Source] = m
		}
	}
	if len(newest) > 1 {
		var names []string
		for name := range newest {
			names = append(names, name)
		}
		slices.Sort(names)
		return nil, fmt.Errorf("its task made recovery points of several sources, which are good and in the repository: say with source which one this resource is about: %s", strings.Join(names, ", "))
	}
	return newest[found[0].Source], nil
}

// maxJob is how much of a job's name is in that of its EventBridge schedule.
const maxJob = 36

// isOf reports whether a job is that of an EventBridge schedule: the names of these
// are pgbackup-<job, cut short>-<digest>.
func isOf(schedule, job string) bool {
	name, ok := strings.CutPrefix(schedule, "pgbackup-")
	cut := strings.LastIndexByte(name, '-')
	if len(job) > maxJob {
		job = strings.TrimRight(job[:maxJob], "-")
	}
	return ok && cut > 0 && name[:cut] == job
}
