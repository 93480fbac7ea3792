package schedule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/host"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// places are the paths of a deployment's files; "" is a file that is not
// written.
type places struct{ job, service, timer, cron string }

func (p places) all() []string {
	var paths []string
	for _, f := range []string{p.job, p.service, p.timer, p.cron} {
		if f != "" {
			paths = append(paths, f)
		}
	}
	return paths
}

// attribute of run_on.host that says where the file at a path is.
func (p places) attribute(file string) string {
	switch file {
	case p.service, p.timer:
		return "systemd_directory"
	case p.cron:
		return "cron_directory"
	}
	return "directory"
}

// jobFile is the name of a job's file, without the folder.
func jobFile(name string) string { return name + ".job.json" }

func placesOf(name string, on hostModel) places {
	p := places{job: filepath.Join(on.Directory.ValueString(), jobFile(name))}
	if d := on.SystemdDirectory.ValueString(); d != "" {
		p.service, p.timer = filepath.Join(d, host.UnitName(name)+".service"), filepath.Join(d, host.UnitName(name)+".timer")
	}
	if d := on.CronDirectory.ValueString(); d != "" {
		p.cron = filepath.Join(d, host.UnitName(name))
	}
	return p
}

// deployment is what a schedule brings to its host.
type deployment struct {
	places
	rendered host.Rendered
	digest   string
}

// files of the deployment, the job first: nothing that starts it may be there
// before it.
func (d deployment) files() []host.File {
	const mode = 0o644
	files := []host.File{{Path: d.job, Content: d.rendered.Job, Mode: mode}}
	if d.service != "" {
		files = append(files, host.File{Path: d.service, Content: d.rendered.Service, Mode: mode}, host.File{Path: d.timer, Content: d.rendered.Timer, Mode: mode})
	}
	if d.cron != "" {
		files = append(files, host.File{Path: d.cron, Content: d.rendered.Cron, Mode: mode})
	}
	return files
}

// deployment renders a model whose inputs are all known. Everything that is
// wrong with it is in the diagnostics.
func (m model) deployment(ctx context.Context) (d deployment, diags diag.Diagnostics) {
	block, on, diags := m.blocks(ctx)
	if _, err := schedule.Parse(m.Cron.ValueString(), m.Timezone.ValueString()); err != nil {
		diags.AddAttributeError(path.Root("cron"), "Invalid value for cron", valid.Sentence(err))
	}
	program, sum, err := m.program(on)
	if err != nil {
		diags.AddAttributeError(path.Root("runner"), "No runner for this host", valid.Sentence(err))
	}
	j, err := m.toJob(ctx, block)
	if err == nil {
		err = j.Validate()
	}
	if err != nil && !diags.HasError() {
		// Not tied to the attribute: Terraform would print all of the block, and a
		// password that stands there instead of its reference with it.
		diags.AddError("Invalid job of pgbackup_schedule ("+m.Name.ValueString()+")", valid.Sentence(err))
	}
	if diags.HasError() {
		return d, diags
	}
	d.places = placesOf(j.Name, on)
	var errs []error
	delay, _ := span("run_on.host.randomized_delay", on.RandomizedDelay, &errs).Exact()
	zone, zoneErr := host.LocalZone()
	d.rendered, err = host.Render(host.Spec{
		Job: j, JobPath: d.job, Runner: program, RunnerSHA256: sum, Zone: zone,
		User: on.User.ValueString(), EnvironmentFile: on.EnvironmentFile.ValueString(), RandomizedDelay: delay,
	})
	if err := errors.Join(append(errs, err)...); err != nil {
		diags.AddAttributeError(path.Root("run_on"), "Invalid deployment", valid.Sentence(err))
		return d, diags
	}
	if zoneErr != nil {
		d.rendered.Cron, d.rendered.CronError = "", zoneErr
	}
	if d.cron != "" && d.rendered.CronError != nil {
		diags.AddAttributeError(path.Root("run_on").AtName("host").AtName("cron_directory"), "cron cannot run this schedule", valid.Sentence(d.rendered.CronError))
	}
	d.digest = d.sum(j.Canonical(), m.Runner.ValueString())
	return d, diags
}

// program is the runner's path on the host, and its hash where it is known.
func (m model) program(on hostModel) (path, sum string, err error) {
	path = on.RunnerPath.ValueString()
	if m.Runner.ValueString() == "" {
		if path == "" {
			return "", "", errors.New("give runner = pgbackup_runner.….release, or run_on.host.runner_path")
		}
		return path, "", nil
	}
	release, err := runnerdist.ParseRelease(m.Runner.ValueString())
	if err != nil {
		return "", "", err
	}
	if path == "" {
		path = release.Program
	}
	if path == "" {
		return "", "", fmt.Errorf("%s is in a repository, and a host needs the program on its disk: use a pgbackup_runner with install_dir, or say where it is with run_on.host.runner_path", release.Repository)
	}
	return path, release.SHA256[runnerdist.ArchName(runtime.GOARCH)], nil
}

// sum is the digest of everything that is deployed.
func (d deployment) sum(job []byte, release string) string {
	h := sha256.New()
	for _, part := range []string{string(job), release, d.job, d.rendered.Service, d.rendered.Timer, d.rendered.Cron} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// describe sets the computed attributes.
func (m *model) describe(d deployment) {
	m.ID, m.JobPath = types.StringValue(d.job), types.StringValue(d.job)
	m.JobJSON, m.JobDigest = types.StringValue(d.rendered.Job), types.StringValue(d.digest)
	m.SystemdService, m.SystemdTimer = types.StringValue(d.rendered.Service), types.StringValue(d.rendered.Timer)
	m.CronLine = optional(d.rendered.Cron)
}
