package restoredrill

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/deployment"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

const (
	// lookTime bounds how long a plan looks into the repository.
	lookTime = 15 * time.Second
	// mostSources is of how many sources the newest point is looked at.
	mostSources = 50
)

// warn looks into the repository for what speaks against the drill: what the drills
// before found, and what the place it is restored to has not got. Nothing that is
// wrong there fails a plan.
func warn(ctx context.Context, p deployment.Planned) (diags diag.Diagnostics) {
	m := p.Base()
	at, err := location.Parse(p.Job.Repository)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	found, err := look(ctx, p, at)
	switch {
	case errors.Is(err, connection.ErrUnknown), errors.Is(err, repo.ErrNoRepository), errors.Is(err, objstore.ErrNoBucket):
		return nil // made by the apply that is planned
	case err != nil:
		diags.AddWarning(m.Called()+": not all of what speaks against its drills could be looked at", valid.Sentence(err))
	}
	for _, w := range found.warnings(p) {
		diags.AddWarning(m.Called()+": "+w.what, w.why)
	}
	return diags
}

// found is what a repository knows that a plan is held against.
type found struct {
	now      time.Time
	reports  []drillreport.Report // the newest of each source, newest first
	deployed time.Time            // since when the job is as it is; zero where that is not known
	points   []*repo.Manifest     // the newest good one of each source that is drilled
}

// look reads it. With an error, what was read before that is given too.
func look(ctx context.Context, p deployment.Planned, at location.Location) (f found, err error) {
	opened, err := p.Conn.OpenRepository(ctx, at, "")
	if err != nil {
		return f, err
	}
	f.now = time.Now().UTC()
	if p.Before != nil {
		listed, err := opened.DrillReports(ctx, repo.DrillFilter{Drill: p.Job.Name, Newest: 1})
		if err != nil {
			return f, err
		}
		for _, l := range listed {
			if l.Report != nil {
				f.reports = append(f.reports, *l.Report)
			}
		}
		f.deployed, _ = p.DeployedAt(ctx)
	}
	if p.Job.HasScratchCluster() {
		f.points, err = newest(ctx, opened.Repository, p.Job, f.now)
	}
	return f, err
}

// newest gives the newest good point of each source that a job drills.
func newest(ctx context.Context, r *repo.Repository, j job.Job, now time.Time) ([]*repo.Manifest, error) {
	points, err := r.List(ctx, repo.Filter{Kind: cmp.Or(j.Drill.Kind, string(job.KindLogical))})
	if err != nil {
		return nil, err
	}
	var first []repo.Listed
	seen := map[string]bool{}
	for _, p := range points { // newest first
		if seen[p.Source] || !p.Verified() || p.Start.After(now.Add(retention.FutureSkew)) || len(j.Drill.Of) > 0 && !slices.Contains(j.Drill.Of, p.Source) {
			continue
		}
		seen[p.Source] = true
		if first = append(first, p); len(first) == mostSources {
			break
		}
	}
	if err := r.LoadManifests(ctx, first); err != nil {
		return nil, err
	}
	var manifests []*repo.Manifest
	for _, p := range first {
		if p.Manifest != nil && (len(j.Drill.Of) > 0 || p.Manifest.Policy == j.Policy) {
			manifests = append(manifests, p.Manifest)
		}
	}
	return manifests, nil
}

// warning is the summary and the detail of one.
type warning struct{ what, why string }

func (f found) warnings(p deployment.Planned) []warning {
	var all []warning
	if p.Before != nil {
		was := p.Before.Base() // when it should have run, whatever it is changed to now
		when, err := schedule.Parse(was.Cron.ValueString(), was.Timezone.ValueString())
		if err == nil && (was.Enabled.IsNull() || was.Enabled.ValueBool()) {
			all = append(all, f.overdue(when, p.Job.Drill.Of)...)
		}
		all = append(all, f.outcomes(p.Job.Drill.Of)...)
	}
	if p.Job.HasScratchCluster() {
		all = append(all, f.lacking(p)...)
		all = append(all, f.otherMajor(p)...)
		all = append(all, f.room(p)...)
	}
	return all
}
