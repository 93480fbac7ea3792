package runnerbinary

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// Resource is pgbackup_runner.
type Resource struct{ conn *connection.Connection }

var (
	_ resource.ResourceWithConfigure        = (*Resource)(nil)
	_ resource.ResourceWithConfigValidators = (*Resource)(nil)
	_ resource.ResourceWithValidateConfig   = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan       = (*Resource)(nil)
	_ resource.ResourceWithImportState      = (*Resource)(nil)
)

// New makes the resource.
func New() resource.Resource { return &Resource{} }

func (r *Resource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_runner"
}

func (r *Resource) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	r.conn, _ = req.ProviderData.(*connection.Connection)
}

func (m model) name() string {
	if m.InstallDir.IsNull() {
		return m.Repository.ValueString()
	}
	return filepath.Join(m.InstallDir.ValueString(), program)
}

func summary(verb string, m model) string {
	return fmt.Sprintf("%s pgbackup_runner (%s)", verb, m.name())
}

func (r *Resource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if m.Architectures.IsUnknown() {
		m.Architectures = m.defaultArchitectures()
	}
	builds, diags := r.builds(ctx, m)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(m.describe(ctx, builds)...)
	seen := memory{}
	if err := r.bringAll(ctx, m, builds, seen); err != nil {
		resp.Diagnostics.AddError(summary("creating", m), valid.Sentence(err))
		return
	}
	resp.Diagnostics.Append(seen.save(ctx, resp.Private)...)
	resp.Diagnostics.Append(saveEarlier(ctx, resp.Private, withBuilds(nil, builds))...)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (r *Resource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var m, state model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	builds, diags := r.builds(ctx, m)
	resp.Diagnostics.Append(diags...)
	resp.Diagnostics.Append(m.describe(ctx, builds)...)
	if resp.Diagnostics.HasError() {
		return
	}
	seen := memory{}
	if err := r.bringAll(ctx, m, builds, seen); err != nil {
		resp.Diagnostics.AddError(summary("updating", m), valid.Sentence(err))
		return
	}
	stored, diags := req.Private.GetKey(ctx, earlierKey)
	resp.Diagnostics.Append(diags...)
	earlier, err := r.tidy(ctx, m, withBuilds(recallEarlier(stored), builds), builds, state)
	if err != nil {
		resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_runner (%s): earlier programs could not be removed", m.name()), "They cost storage and do no harm; the next update tries again. "+valid.Sentence(err))
	}
	resp.Diagnostics.Append(saveEarlier(ctx, resp.Private, earlier)...)
	resp.Diagnostics.Append(seen.save(ctx, resp.Private)...)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (r *Resource) bringAll(ctx context.Context, m model, builds []runnerdist.Build, seen memory) error {
	p, err := openPlace(ctx, r.conn, m, seen)
	if err != nil {
		return err
	}
	for _, b := range builds {
		name := b.Key()
		if !m.InstallDir.IsNull() {
			name = m.name()
		}
		if err := bring(ctx, p, name, b); err != nil {
			return fmt.Errorf("bring the runner for linux on %s: %w", runnerdist.ArchName(b.Arch), err)
		}
		if o, ok := p.(objects); ok && m.inBucket() {
			if err := bringArchive(ctx, o, b); err != nil {
				return fmt.Errorf("bring the runner for Lambda on %s: %w", runnerdist.ArchName(b.Arch), err)
			}
		}
	}
	return nil
}

// tidy removes earlier programs from a bucket that nobody uses, but for the one
// before, and gives the hashes of all that remain.
func (r *Resource) tidy(ctx context.Context, m model, brought []string, builds []runnerdist.Build, before model) ([]string, error) {
	if !m.inBucket() {
		return brought, nil
	}
	var keep []string
	for _, b := range builds {
		keep = append(keep, b.SHA256)
	}
	if release, err := runnerdist.ParseRelease(before.Release.ValueString()); err == nil {
		keep = append(keep, slices.Collect(maps.Values(release.SHA256))...)
	}
	p, err := openPlace(ctx, r.conn, m, nil)
	o, ok := p.(objects)
	if err != nil || !ok {
		return brought, err
	}
	return o.removeUnused(ctx, brought, keep)
}

// programs maps each architecture of the state to its program there.
func (m model) programs(ctx context.Context) map[string]string {
	programs := map[string]string{}
	if m.InstallDir.IsNull() {
		m.Keys.ElementsAs(ctx, &programs, false) // our own state: always strings
		return programs
	}
	for arch := range m.SHA256.Elements() {
		programs[arch] = m.name()
	}
	return programs
}

// Read hashes what is there. Another content or a missing program changes the
// hashes in state, which the next plan puts right. The release stays: it is what
// was brought, and what Delete may remove.
func (r *Resource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	stored, diags := req.Private.GetKey(ctx, memoryKey)
	resp.Diagnostics.Append(diags...)
	seen := recall(stored)
	sums, err := r.hashes(ctx, m, seen)
	switch {
	case errors.Is(err, repo.ErrNoRepository), err == nil && len(sums) == 0:
		resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_runner (%s) is gone: it will be brought again", m.name()), "None of its programs is there.")
		resp.State.RemoveResource(ctx)
		return
	case err != nil:
		resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_runner (%s) cannot be read: its state is kept as it was", m.name()), valid.Sentence(err))
		return
	}
	values, diags := types.MapValueFrom(ctx, types.StringType, sums)
	resp.Diagnostics.Append(diags...)
	m.SHA256 = values
	if m.LambdaKeys, err = r.archives(ctx, m, seen); err != nil {
		resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_runner (%s) cannot be read: its state is kept as it was", m.name()), valid.Sentence(err))
		return
	}
	resp.Diagnostics.Append(seen.save(ctx, resp.Private)...)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (r *Resource) hashes(ctx context.Context, m model, seen memory) (map[string]string, error) {
	p, err := openPlace(ctx, r.conn, m, seen)
	if err != nil {
		return nil, err
	}
	sums := map[string]string{}
	for arch, name := range m.programs(ctx) {
		sum, err := p.hash(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("read the runner for linux on %s: %w", arch, err)
		}
		if sum != "" {
			sums[arch] = sum
		}
	}
	return sums, nil
}

// archives are the keys of those archives for Lambda that are there and right.
func (r *Resource) archives(ctx context.Context, m model, seen memory) (types.Map, error) {
	if m.LambdaKeys.IsNull() {
		return m.LambdaKeys, nil
	}
	p, err := openPlace(ctx, r.conn, m, seen)
	o, ok := p.(objects)
	if err != nil || !ok {
		return m.LambdaKeys, err
	}
	keys, good := map[string]string{}, map[string]string{}
	m.LambdaKeys.ElementsAs(ctx, &keys, false) // our own state: always strings
	for arch, key := range keys {
		sum, err := o.archived(ctx, key)
		if err != nil {
			return m.LambdaKeys, fmt.Errorf("read the runner for Lambda on %s: %w", arch, err)
		}
		if sum != "" && strings.Contains(key, sum) {
			good[arch] = key
		}
	}
	there, _ := types.MapValueFrom(ctx, types.StringType, good) // strings are always accepted
	return there, nil
}

// Delete removes the programs that are still ours; one that somebody changed
// since the last refresh is left, with a warning.
func (r *Resource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	p, err := openPlace(ctx, r.conn, m, nil)
	if errors.Is(err, repo.ErrNoRepository) {
		return
	}
	var ours runnerdist.Release
	if err == nil {
		ours, err = runnerdist.ParseRelease(m.Release.ValueString())
	}
	if err != nil {
		resp.Diagnostics.AddError(summary("deleting", m), valid.Sentence(err))
		return
	}
	if o, ok := p.(objects); ok && m.inBucket() {
		stored, diags := req.Private.GetKey(ctx, earlierKey)
		resp.Diagnostics.Append(diags...)
		resp.Diagnostics.Append(o.deleteAll(ctx, m, append(recallEarlier(stored), slices.Collect(maps.Values(ours.SHA256))...))...)
		return
	}
	for arch, name := range m.programs(ctx) {
		sum, err := p.hash(ctx, name)
		if err == nil && sum != "" && sum != ours.SHA256[arch] {
			resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_runner (%s): %s was left where it is", m.name(), name), "It is not the program that was put there: somebody replaced it.")
			continue
		}
		if err == nil {
			err = p.remove(ctx, name)
		}
		if err != nil {
			resp.Diagnostics.AddError(summary("deleting", m), valid.Sentence(err))
		}
	}
}

// ImportState takes a repository's id or the path of an installed program. What
// is there is compared with the builds at hand by the next plan.
func (r *Resource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	var m model
	if strings.HasPrefix(req.ID, "/") {
		if filepath.Base(req.ID) != program {
			resp.Diagnostics.AddError("importing pgbackup_runner ("+req.ID+")", "Give the path of a program named "+program+", or the id of a repository.")
			return
		}
		m.InstallDir = types.StringValue(filepath.Dir(req.ID))
	} else {
		at, err := location.Parse(req.ID)
		if err != nil {
			resp.Diagnostics.AddError("importing pgbackup_runner ("+req.ID+")", valid.Sentence(err))
			return
		}
		m.Repository = types.StringValue(at.String())
	}
	m.Architectures = m.defaultArchitectures()
	builds, diags := r.builds(ctx, m)
	resp.Diagnostics.Append(diags...)
	resp.Diagnostics.Append(m.describe(ctx, builds)...)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(r.keepPresent(ctx, &m, builds)...)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// keepPresent leaves only the architectures whose program is there, if any is: a
// configuration that brings one architecture is imported as it was declared.
func (r *Resource) keepPresent(ctx context.Context, m *model, builds []runnerdist.Build) (diags diag.Diagnostics) {
	sums, err := r.hashes(ctx, *m, memory{})
	if err != nil || len(sums) == 0 || !m.InstallDir.IsNull() {
		return nil // Read, which comes next, says what is wrong
	}
	names := slices.Sorted(maps.Keys(sums))
	m.Architectures, diags = types.SetValueFrom(ctx, types.StringType, names)
	builds = slices.DeleteFunc(builds, func(b runnerdist.Build) bool { return !slices.Contains(names, runnerdist.ArchName(b.Arch)) })
	diags.Append(m.describe(ctx, builds)...)
	return diags
}
