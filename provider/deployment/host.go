package deployment

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/host"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/shell"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// hostTarget is this host: files for systemd or cron; or, without a directory,
// another machine, which user data is made for.
type hostTarget struct{}

// hostDeployment is what a job brings to its host.
type hostDeployment struct {
	places
	rendered  host.Rendered
	digest    string
	elsewhere string  // id of a job for another machine
	url       string  // of the job's file, for another machine
	brought   *papers // for another machine
}

func (hostTarget) render(_ context.Context, in input) (deployment, diag.Diagnostics, error) {
	var diags diag.Diagnostics
	on := *in.on.Host
	d := hostDeployment{places: placesOf(in.job.Name, on, in.job.Receives())}
	fetch, err := d.forAnother(in)
	if err != nil {
		return nil, invalid(deploy.Host, err), nil
	}
	program, sum, err := program(on, in.release)
	if err != nil {
		diags.AddAttributeError(path.Root("runner"), "No runner for this host", valid.Sentence(err))
		return nil, diags, nil
	}
	if !in.enabled() {
		d.places = d.stopped(in.job.Receives())
	}
	var errs []error
	delay, _ := Span("run_on.host.randomized_delay", on.RandomizedDelay, &errs).Exact()
	zone, zoneErr := host.LocalZone()
	d.rendered, err = host.Render(host.Spec{
		Job: in.job, JobPath: cmp.Or(d.job, filepath.Join(jobFolder, jobFile(in.job.Name))), Runner: program, RunnerSHA256: sum, Zone: zone, Fetch: fetch,
		User: on.User.ValueString(), EnvironmentFile: on.EnvironmentFile.ValueString(), RandomizedDelay: delay,
	})
	if err := errors.Join(append(errs, err)...); err != nil {
		diags.AddAttributeError(path.Root("run_on"), "Invalid deployment", valid.Sentence(err))
		return nil, diags, nil
	}
	if zoneErr != nil {
		d.rendered.Cron, d.rendered.CronError = "", zoneErr
	}
	if d.cron != "" && d.rendered.CronError != nil {
		diags.AddAttributeError(path.Root("run_on").AtName("host").AtName("cron_directory"), "cron cannot run this job", valid.Sentence(d.rendered.CronError))
	}
	d.digest = digest(string(in.job.Canonical()), in.Runner.ValueString(), d.job, d.rendered.Service, d.rendered.Timer, d.rendered.Cron)
	return d, diags, nil
}

// program is the runner's path on the host, and its hash where it is known.
func program(on hostModel, release runnerdist.Release) (path, sum string, err error) {
	path = on.RunnerPath.ValueString()
	switch {
	case len(release.SHA256) == 0 && path == "":
		return "", "", errors.New("give runner = pgbackup_runner.….release, or run_on.host.runner_path")
	case len(release.SHA256) == 0:
		return path, "", nil
	case path == "":
		path = release.Program
	}
	if path == "" && on.Directory.IsNull() {
		return defaultProgram, "", nil
	}
	if path == "" {
		return "", "", fmt.Errorf("%s is in a repository, and a host needs the program on its disk: use a pgbackup_runner with install_dir, or say where it is with run_on.host.runner_path", release.Repository)
	}
	return path, release.SHA256[runnerdist.ArchName(runtime.GOARCH)], nil
}

// Where things are on a machine that `pgbackup-runner install` sets up.
const (
	jobFolder      = "/etc/pgbackup"
	defaultProgram = "/usr/local/bin/pgbackup-runner"
)

// forAnother prepares a job for another machine than this one; nil for this one.
func (d *hostDeployment) forAnother(in input) (*host.Fetch, error) {
	if !in.on.Host.Directory.IsNull() {
		return nil, nil
	}
	runner, err := fetched(in.release)
	if err != nil {
		return nil, fmt.Errorf("without directory the job is for another machine: %w", err)
	}
	if d.url, err = deploy.JobURL(in.job); err != nil {
		return nil, fmt.Errorf("without directory the job is for another machine: %w", err)
	}
	if d.brought, err = newPapers(in.job, deploy.Host, in.release, true); err != nil {
		return nil, err
	}
	d.elsewhere = elsewhereID(in.job)
	f := &host.Fetch{JobURL: d.url, Programs: map[string]shell.Program{}}
	for arch := range runner.SHA256 {
		url, sum, err := runner.Object(arch)
		if err != nil {
			return nil, err
		}
		f.Programs[arch] = shell.Program{URL: url, SHA256: sum, Region: runner.Repository.Region, Endpoint: runner.Repository.Endpoint}
	}
	return f, nil
}

// elsewhereID is the id of a job that is not in AWS and not on this host.
func elsewhereID(j job.Job) string { return j.Repository + "#job/" + j.Name }

func (d hostDeployment) describe(m *Model) {
	m.ID, m.JobPath = types.StringValue(cmp.Or(d.elsewhere, d.job)), Optional(d.job)
	m.JobURL, m.CloudInit = Optional(d.url), Optional(d.rendered.CloudInit)
	m.JobJSON, m.JobDigest = types.StringValue(d.rendered.Job), types.StringValue(d.digest)
	m.SystemdService, m.SystemdTimer = types.StringValue(d.rendered.Service), Optional(d.rendered.Timer)
	m.CronLine, m.archiveCommand = Optional(d.rendered.Cron), Optional(d.rendered.ArchiveCommand)
}

func (d hostDeployment) papers() *papers { return d.brought }

// apply writes the files, and removes those it made when one cannot be written.
func (d hostDeployment) apply(context.Context, string) error {
	if d.job == "" {
		return nil
	}
	return write(d)
}

func (hostDeployment) undo(context.Context) error { return nil }

// free keeps a job that is there already from being written over.
func (d hostDeployment) free(context.Context) error {
	if d.job == "" {
		return nil
	}
	there, err := os.ReadFile(d.job)
	if errors.Is(err, fs.ErrNotExist) || err == nil && string(there) == d.rendered.Job {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%s is there already, with another job: import it (terraform import ADDRESS '%s'), give this one another name, or remove the file", d.job, d.job)
}

// write brings the files of a deployment to the host and makes their folders.
// When one cannot be written, those that were not there before are removed again.
func write(d hostDeployment) error {
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
			return At(path.Root("run_on").AtName("host").AtName(name), errors.Join(fmt.Errorf("run_on.host.%s: %w", name, err), host.Remove(made...)))
		}
		if fresh {
			made = append(made, f.Path)
		}
	}
	return nil
}

// read takes the files as they are.
func (hostTarget) read(_ context.Context, m *Model, on runOnModel) error {
	if on.Host.Directory.IsNull() {
		return nil // on a machine that is out of reach
	}
	p := placesOf(m.Name.ValueString(), *on.Host, m.always())
	if !m.enabled() {
		p = p.stopped(m.always())
	}
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
			return err
		}
	}
	if found == 0 {
		return fmt.Errorf("%s, and every other file of it, %w", p.job, awsapi.ErrGone)
	}
	return nil
}

// document lists the paths of the files.
func (hostTarget) document(m *Model, on runOnModel) string {
	data, err := json.Marshal(placesOf(m.Name.ValueString(), *on.Host, m.always()).all())
	if err != nil {
		return "" // texts can always be written
	}
	return string(data)
}

// remove removes the files; what starts the job goes before the job.
func (hostTarget) remove(_ context.Context, l left, _ string) error {
	paths, err := hostPaths(l)
	if err != nil {
		return err
	}
	slices.Reverse(paths)
	return host.Remove(paths...)
}

func hostPaths(l left) (paths []string, err error) {
	if err := json.Unmarshal([]byte(l.Document), &paths); err != nil {
		return nil, fmt.Errorf("what is on the host is not known: %w", err)
	}
	return paths, nil
}
