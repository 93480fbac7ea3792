package runnerbinary

import (
	"context"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// program is the name of the installed file.
const program = "pgbackup-runner"

// ValidateConfig holds that one host gets one program.
func (r *Resource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var m model
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || m.InstallDir.IsNull() || m.Architectures.IsUnknown() {
		return
	}
	if n := len(m.Architectures.Elements()); n > 1 {
		resp.Diagnostics.AddAttributeError(path.Root("architectures"), "Invalid value for architectures", "A host has one architecture: give one with install_dir, or leave architectures out for that of this host.")
	}
}

// ModifyPlan fills in everything that follows from the builds at hand. They are
// read without contacting anything.
func (r *Resource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() || r.conn == nil {
		return
	}
	var m model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	var wanted types.Set
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("architectures"), &wanted)...)
	if resp.Diagnostics.HasError() || wanted.IsUnknown() || r.conn.Unknown {
		return
	}
	if wanted.IsNull() {
		m.Architectures = m.defaultArchitectures()
		resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("architectures"), m.Architectures)...)
	}
	builds, diags := r.builds(ctx, m)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(m.describe(ctx, builds)...)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, m)...)
}

func (m model) defaultArchitectures() types.Set {
	names := []string{runnerdist.ArchName(runtime.GOARCH)}
	if m.InstallDir.IsNull() {
		names = []string{runnerdist.ArchName(runnerdist.AMD64), runnerdist.ArchName(runnerdist.ARM64)}
	}
	var values []types.String
	for _, n := range names {
		values = append(values, types.StringValue(n))
	}
	set, _ := types.SetValueFrom(context.Background(), types.StringType, values) // strings are always accepted
	return set
}

// builds finds the build of every architecture of the model.
func (r *Resource) builds(ctx context.Context, m model) (builds []runnerdist.Build, diags diag.Diagnostics) {
	var names []string
	diags.Append(m.Architectures.ElementsAs(ctx, &names, false)...)
	set, err := r.conn.Runners()
	if err != nil {
		diags.AddError("Finding pgbackup-runner", valid.Sentence(err))
		return nil, diags
	}
	for _, name := range names {
		arch, err := runnerdist.ParseArch(name)
		var b runnerdist.Build
		if err == nil {
			b, err = set.Find(arch)
		}
		if err != nil {
			diags.AddError("Finding pgbackup-runner for linux on "+name, valid.Sentence(err))
			continue
		}
		if !slices.ContainsFunc(builds, func(other runnerdist.Build) bool { return other.Arch == arch }) {
			builds = append(builds, b)
		}
	}
	return builds, diags
}

// describe sets what follows from the builds. What depends on a repository that
// is not known yet stays unknown.
func (m *model) describe(ctx context.Context, builds []runnerdist.Build) (diags diag.Diagnostics) {
	sums, keys, archives := map[string]string{}, map[string]string{}, map[string]string{}
	for _, b := range builds {
		name := runnerdist.ArchName(b.Arch)
		sums[name], keys[name], archives[name] = b.SHA256, b.Key(), runnerdist.LambdaKey(b.SHA256, b.Arch)
	}
	var more diag.Diagnostics
	m.SHA256, more = types.MapValueFrom(ctx, types.StringType, sums)
	diags.Append(more...)
	if m.InstallDir.IsNull() {
		m.Path = types.StringNull()
		m.Keys, more = types.MapValueFrom(ctx, types.StringType, keys)
		diags.Append(more...)
	} else {
		m.Keys = types.MapNull(types.StringType)
	}
	if !m.Repository.IsUnknown() {
		m.LambdaKeys = types.MapNull(types.StringType)
	}
	if m.inBucket() {
		m.LambdaKeys, more = types.MapValueFrom(ctx, types.StringType, archives)
		diags.Append(more...)
	}
	diags.Append(m.release(sums)...)
	return diags
}

// inBucket reports whether the programs go to S3, where Lambda can take them from.
func (m model) inBucket() bool {
	at, err := location.Parse(m.Repository.ValueString())
	return err == nil && !at.IsDirectory()
}

func (m *model) release(sums map[string]string) (diags diag.Diagnostics) {
	release := runnerdist.Release{SHA256: sums}
	switch {
	case m.InstallDir.IsUnknown() || m.Repository.IsUnknown():
		return nil
	case !m.InstallDir.IsNull():
		release.Program = filepath.Join(m.InstallDir.ValueString(), program)
		m.Path, m.ID = types.StringValue(release.Program), types.StringValue(release.Program)
	default:
		at, err := location.Parse(m.Repository.ValueString())
		if err != nil {
			diags.AddAttributeError(path.Root("repository"), "Invalid value for repository", valid.Sentence(err))
			return diags
		}
		release.Repository = at.String()
		m.ID = types.StringValue(release.Repository)
	}
	m.Release = types.StringValue(release.String())
	return nil
}
