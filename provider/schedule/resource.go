package schedule

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/host"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// Resource is pgbackup_schedule.
type Resource struct{}

var (
	_ resource.ResourceWithValidateConfig = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan     = (*Resource)(nil)
	_ resource.ResourceWithImportState    = (*Resource)(nil)
)

// New makes the resource.
func New() resource.Resource { return &Resource{} }

func (r *Resource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_schedule"
}

func summary(verb, name string) string { return fmt.Sprintf("%s pgbackup_schedule (%s)", verb, name) }

func (r *Resource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	d, diags := m.deployment(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	if err := refuseOthers(d); err != nil {
		resp.Diagnostics.AddError(summary("creating", m.Name.ValueString()), valid.Sentence(err))
		return
	}
	if at, err := write(d); err != nil {
		resp.Diagnostics.AddAttributeError(at, summary("creating", m.Name.ValueString()), valid.Sentence(err))
		return
	}
	resp.Diagnostics.Append(m.warnAboutAccess(ctx)...)
	m.describe(d)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
	if d.timer != "" {
		resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_schedule (%s) starts once systemd was told: systemctl daemon-reload && systemctl enable --now %s.timer", m.Name.ValueString(), d.rendered.Name),
			"The units were written to "+filepath.Dir(d.timer)+". Terraform does not start them.")
	}
}

// refuseOthers keeps a job that is there already from being written over.
func refuseOthers(d deployment) error {
	there, err := os.ReadFile(d.job)
	if errors.Is(err, fs.ErrNotExist) || err == nil && string(there) == d.rendered.Job {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%s is there already, with another job: import it (terraform import ADDRESS '%s'), give this schedule another name, or remove the file", d.job, d.job)
}

// write brings the files of a deployment to the host and makes their folders.
// When one cannot be written, those that were not there before are removed again,
// and at is the attribute that names its folder.
func write(d deployment) (at path.Path, err error) {
	var made []string
	for _, f := range d.files() {
		_, err := os.Lstat(f.Path)
		fresh := errors.Is(err, fs.ErrNotExist)
		err = os.MkdirAll(filepath.Dir(f.Path), 0o755) //nolint:gosec // the job's user, systemd or cron reads it
		if err == nil {
			err = host.Write(f)
		}
		if err != nil {
			name := d.attribute(f.Path)
			slices.Reverse(made) // what starts the job goes before the job
			return path.Root("run_on").AtName("host").AtName(name), errors.Join(fmt.Errorf("run_on.host.%s: %w", name, err), host.Remove(made...))
		}
		if fresh {
			made = append(made, f.Path)
		}
	}
	return path.Empty(), nil
}

// Read takes the files as they are, so that whatever was done to them by hand
// differs from what is rendered.
func (r *Resource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	_, on, diags := m.blocks(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	p := placesOf(m.Name.ValueString(), on)
	found := 0
	for _, f := range []struct {
		path string
		into *types.String
	}{{p.job, &m.JobJSON}, {p.service, &m.SystemdService}, {p.timer, &m.SystemdTimer}, {p.cron, &m.CronLine}} {
		if f.path == "" {
			continue // an attribute only
		}
		content, err := os.ReadFile(f.path)
		switch {
		case err == nil:
			found++
			*f.into = types.StringValue(string(content))
		case errors.Is(err, fs.ErrNotExist):
			*f.into = types.StringNull()
		default:
			resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_schedule (%s) cannot be read: its state is kept as it was", m.Name.ValueString()), valid.Sentence(err))
			return
		}
	}
	if found == 0 {
		resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_schedule (%s) is gone: it will be deployed anew", m.Name.ValueString()), p.job+" is not there, nor is any other file of it.")
		resp.State.RemoveResource(ctx)
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// Update writes the new files before it removes those that have no place any
// more: at no moment is the job without a deployment.
func (r *Resource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var m, state model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	_, on, diags := state.blocks(ctx)
	resp.Diagnostics.Append(diags...)
	d, diags := m.deployment(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	old := placesOf(state.Name.ValueString(), on)
	if at, err := write(d); err != nil {
		resp.Diagnostics.AddAttributeError(at, summary("updating", m.Name.ValueString()), valid.Sentence(err))
		return
	}
	if err := host.Remove(slices.DeleteFunc(old.all(), func(p string) bool { return slices.Contains(d.all(), p) })...); err != nil {
		resp.Diagnostics.AddError(summary("updating", m.Name.ValueString()), valid.Sentence(err))
		return
	}
	resp.Diagnostics.Append(m.warnAboutAccess(ctx)...)
	m.describe(d)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
	if d.timer != "" && (!m.SystemdTimer.Equal(state.SystemdTimer) || !m.SystemdService.Equal(state.SystemdService) || d.timer != old.timer) {
		resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_schedule (%s) changes once systemd was told: systemctl daemon-reload && systemctl restart %s.timer", m.Name.ValueString(), d.rendered.Name),
			"The units were written to "+filepath.Dir(d.timer)+". Terraform does not start them.")
	}
}

func (r *Resource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	_, on, diags := m.blocks(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	p := placesOf(m.Name.ValueString(), on)
	paths := p.all()
	slices.Reverse(paths) // what starts the job goes before the job
	if err := host.Remove(paths...); err != nil {
		resp.Diagnostics.AddError(summary("deleting", m.Name.ValueString()), valid.Sentence(err))
		return
	}
	if p.timer != "" {
		resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_schedule (%s) ends once systemd was told: systemctl stop %s && systemctl daemon-reload", m.Name.ValueString(), filepath.Base(p.timer)),
			"The units were removed from "+filepath.Dir(p.timer)+". Terraform does not stop them.")
	}
}

// ImportState takes the path of a job file, and behind a '?' the folders its
// units are in: /etc/pgbackup/nightly.job.json?systemd_directory=/etc/systemd/system
func (r *Resource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	on, j, err := readImport(req.ID)
	if err != nil {
		resp.Diagnostics.AddError(summary("importing", req.ID), valid.Sentence(err))
		return
	}
	attributes, diags := fromJob(ctx, j, on)
	resp.Diagnostics.Append(diags...)
	for name, value := range attributes {
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(name), value)...)
	}
}

func readImport(id string) (on hostModel, j job.Job, err error) {
	u, err := url.Parse(id)
	if err != nil || u.Scheme != "" || u.Host != "" || !filepath.IsAbs(u.Path) {
		return on, j, errors.New("give the absolute path of a job file, such as /etc/pgbackup/nightly.job.json")
	}
	for name, values := range u.Query() {
		into := map[string]*types.String{"systemd_directory": &on.SystemdDirectory, "cron_directory": &on.CronDirectory}[name]
		if into == nil || len(values) != 1 {
			return on, j, fmt.Errorf("after '?' only systemd_directory and cron_directory can be given, not %q", name)
		}
		*into = types.StringValue(values[0])
	}
	data, err := os.ReadFile(u.Path)
	if err != nil {
		return on, j, err
	}
	if j, err = job.Parse(data); err != nil {
		return on, j, fmt.Errorf("%s: %w", u.Path, err)
	}
	if filepath.Base(u.Path) != jobFile(j.Name) {
		return on, j, fmt.Errorf("%s holds job %q: its file must be called %s", u.Path, j.Name, jobFile(j.Name))
	}
	on.Directory = types.StringValue(filepath.Dir(u.Path))
	on.fromUnits(placesOf(j.Name, on))
	return on, j, nil
}
