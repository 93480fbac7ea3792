package deployment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist/usemark"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// ImportState takes what the id attribute has: the path of a job file, with the
// folders of its units behind a '?', such as
// /etc/pgbackup/nightly.job.json?systemd_directory=/etc/systemd/system; the ARN of
// an EventBridge schedule; or <repository>#job/<name>.
func (r *Resource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	var attributes map[string]any
	var diags diag.Diagnostics
	var err error
	switch {
	case strings.HasPrefix(req.ID, "arn:"):
		attributes, diags, err = r.importARN(ctx, req.ID)
	case strings.Contains(req.ID, "#job/"):
		attributes, diags, err = r.importElsewhere(ctx, req.ID)
	default:
		attributes, diags, err = r.importHost(ctx, req.ID)
	}
	if err != nil {
		resp.Diagnostics.AddError(fmt.Sprintf("importing %s (%s)", r.typ.called(), req.ID), valid.Sentence(err))
		return
	}
	resp.Diagnostics.Append(diags...)
	generation, err := r.generationThere(ctx, req.ID)
	if err != nil {
		resp.Diagnostics.AddError(fmt.Sprintf("importing %s (%s)", r.typ.called(), req.ID), valid.Sentence(err))
		return
	}
	resp.Diagnostics.Append(keepGeneration(ctx, resp.Private, cmp.Or(generation, newGeneration()))...)
	for name, value := range attributes {
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(name), value)...)
	}
}

func (r *Resource) importHost(ctx context.Context, id string) (map[string]any, diag.Diagnostics, error) {
	on, j, err := readImport(id)
	if err != nil {
		return nil, nil, err
	}
	attributes, diags := r.fromJob(ctx, j)
	if !diags.HasError() {
		p := placesOf(j.Name, on, j.Receives())
		attributes["id"], attributes["job_path"], attributes["run_on"] = p.job, p.job, runOnModel{Host: &on}
	}
	return attributes, diags, nil
}

func readImport(id string) (on hostModel, j job.Job, err error) {
	u, err := url.Parse(id)
	if err != nil || u.Scheme != "" || u.Host != "" || !filepath.IsAbs(u.Path) {
		return on, j, errors.New("give the absolute path of a job file, such as /etc/pgbackup/nightly.job.json, the ARN of an EventBridge schedule, or <repository>#job/<name>")
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
	on.fromUnits(placesOf(j.Name, on, j.Receives()))
	return on, j, nil
}

// importElsewhere reads the newest job file of a name. What applied the text, and
// with what settings, is not in the repository: the next plan sets it.
func (r *Resource) importElsewhere(ctx context.Context, id string) (map[string]any, diag.Diagnostics, error) {
	place, name, _ := strings.Cut(id, "#job/")
	at, err := location.Parse(place)
	if err != nil {
		return nil, nil, err
	}
	store, err := r.conn.OpenStore(ctx, at, false)
	if err != nil {
		return nil, nil, err
	}
	var files []objstore.Info
	for info, err := range store.List(ctx, "jobs/"+name+"/") {
		if err != nil {
			return nil, nil, err
		}
		files = append(files, info)
	}
	if len(files) == 0 {
		return nil, nil, fmt.Errorf("%s has no job file of %q; with a repository in a directory, a job on Kubernetes is made anew instead of imported", at, name)
	}
	newest := slices.MaxFunc(files, func(a, b objstore.Info) int { return a.Modified.Compare(b.Modified) })
	at.Prefix = strings.TrimPrefix(at.Prefix+"/"+newest.Key, "/")
	j, attributes, diags, err := r.importJob(ctx, at.String())
	if err != nil || diags.HasError() {
		return nil, diags, err
	}
	on, err := markedTarget(ctx, store, name, newest.Key)
	attributes["id"], attributes["run_on"] = elsewhereID(j), on
	return attributes, diags, err
}

// markedTarget tells by the marks beside the runner where a job file is used.
func markedTarget(ctx context.Context, store objstore.Store, name, key string) (runOnModel, error) {
	none := types.MapNull(types.StringType)
	for info, err := range store.List(ctx, usemark.Folder) {
		if err != nil {
			return runOnModel{}, err
		}
		if u, ok := usemark.ParseUse(info.Key); ok && u.Job == name && u.Target == deploy.Kubernetes && strings.HasSuffix(key, "/"+u.File+".json") {
			return runOnModel{Kubernetes: &kubernetesModel{NodeSelector: none, Environment: none}}, nil
		}
	}
	return runOnModel{GitHub: &githubModel{Secrets: none, Environment: none}}, nil
}

// importJob reads a job file by its URL.
func (r *Resource) importJob(ctx context.Context, jobURL string) (j job.Job, attributes map[string]any, diags diag.Diagnostics, err error) {
	at, key, _, err := splitJobURL(jobURL)
	if err != nil {
		return j, nil, nil, err
	}
	store, err := r.conn.OpenStore(ctx, at, false)
	var data []byte
	if err == nil {
		data, err = readAll(ctx, store, key)
	}
	if err == nil {
		err = job.CheckFile(key, data)
	}
	if err == nil {
		j, err = job.Parse(data)
	}
	if err != nil {
		return j, nil, nil, fmt.Errorf("reading the job file: %w", err)
	}
	attributes, diags = r.fromJob(ctx, j)
	if !diags.HasError() {
		attributes["job_url"], attributes["job_json"] = jobURL, string(data)
	}
	return j, attributes, diags, nil
}
