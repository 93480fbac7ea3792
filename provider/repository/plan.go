package repository

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/planmod"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// ModifyPlan makes the id known, decides what replaces the repository, and
// refuses a plan that would destroy recovery points.
func (r *Resource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	var plan, state model
	if !req.State.Raw.IsNull() {
		resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	}
	if req.Plan.Raw.IsNull() {
		resp.Diagnostics.Append(r.guard(ctx, state)...)
		return
	}
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() || r.conn == nil {
		return
	}
	id := types.StringUnknown()
	at, known, diags := plan.place(ctx, r.conn)
	resp.Diagnostics.Append(diags...)
	switch {
	case known:
		id = types.StringValue(at.String())
	case plan.Directory.Equal(state.Directory) && sameBlock(plan.S3, state.S3) && !state.ID.IsNull():
		id = state.ID // only the provider's own defaults are not known yet
	}
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("id"), id)...)
	if !plan.Encryption.IsUnknown() {
		resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("sealed"), !plan.Encryption.IsNull())...)
	}
	there := state
	if !planmod.SamePlace(state.ID.ValueString(), id.ValueString()) && !id.Equal(state.ID) {
		there = model{} // what the state has is another repository
	}
	r.planS3(ctx, resp, there, plan, at, known)
	if req.State.Raw.IsNull() || resp.Diagnostics.HasError() {
		return
	}
	resp.RequiresReplace = replacedBy(state, plan, id)
	if len(resp.RequiresReplace) > 0 {
		resp.Diagnostics.Append(r.guard(ctx, state)...)
		return
	}
	resp.Diagnostics.Append(keyChange(ctx, state, plan)...)
	resp.Diagnostics.Append(takesOver(ctx, req, state, plan)...)
}

// keyChange says what another key reference means: it is easily taken for an
// exchange of the key, and for making what a leaked one opened unreadable.
func keyChange(ctx context.Context, state, plan model) (diags diag.Diagnostics) {
	if plan.Encryption.IsUnknown() || plan.Encryption.IsNull() {
		return nil
	}
	before, d := state.keyRef(ctx)
	diags.Append(d...)
	after, d := plan.keyRef(ctx)
	diags.Append(d...)
	if diags.HasError() || before == after || after == "" {
		return diags
	}
	diags.AddAttributeWarning(path.Root("encryption"), fmt.Sprintf("pgbackup_repository (%s): the key at %s is added, the one at %s goes on opening it", state.ID.ValueString(), after, before),
		fmt.Sprintf("Both keys open every recovery point, old and new, and no stored data is written again. The apply needs both: the one at %s opens the repository once more, so that the other can be added.\n\n"+
			"Runners read the key at the place their job names: give %s to them before you take the old one away. If the old key became known to somebody, this change does not help; the data would have to be backed up anew into another repository.", before, after))
	return diags
}

// replacedBy names the attributes whose change makes it another repository. A
// place that is not known yet may be another one.
func replacedBy(state, plan model, id types.String) path.Paths {
	var paths path.Paths
	if id.IsUnknown() || !planmod.SamePlace(state.ID.ValueString(), id.ValueString()) {
		if !plan.Directory.Equal(state.Directory) {
			paths = append(paths, path.Root("directory"))
		}
		if !sameBlock(plan.S3, state.S3) {
			paths = append(paths, path.Root("s3"))
		}
	}
	if !plan.Encryption.IsUnknown() && plan.Encryption.IsNull() != state.Encryption.IsNull() {
		paths = append(paths, path.Root("encryption"))
	}
	return paths
}

// guard refuses to plan the end of a repository with recovery points, unless
// force_destroy was applied before. Where the points cannot be counted it warns,
// and Delete decides.
func (r *Resource) guard(ctx context.Context, state model) (diags diag.Diagnostics) {
	if r.conn == nil {
		return nil
	}
	if state.ForceDestroy.ValueBool() {
		return r.foretell(ctx, state)
	}
	id := state.ID.ValueString()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	at, err := location.Parse(id)
	if err == nil {
		opened, openErr := r.conn.OpenRepository(ctx, at, "")
		if err = openErr; err == nil {
			err = refusePoints(ctx, opened.Repository)
		}
	}
	switch {
	case err == nil, errors.Is(err, repo.ErrNoRepository):
	case errors.Is(err, errHasPoints):
		diags.AddError(summary("destroying", id), valid.Sentence(err))
	default:
		diags.AddWarning(fmt.Sprintf("pgbackup_repository (%s) cannot be read: whether it has recovery points is looked at again before it is destroyed", id), valid.Sentence(err))
	}
	return diags
}

var errHasPoints = errors.New("the repository has recovery points")

// refusePoints is errHasPoints with their number and what to do.
func refusePoints(ctx context.Context, r *repo.Repository) error {
	points, err := r.List(ctx, repo.Filter{})
	if err != nil || len(points) == 0 {
		return err
	}
	sources := map[string]int{}
	for _, p := range points {
		sources[p.Source]++
	}
	return fmt.Errorf("%w: %d of %d source(s), the newest is %s. They would be lost. To delete them with the repository, set force_destroy = true, apply, and then destroy. "+
		"To keep them and only stop managing them here, use a `removed` block or `terraform state rm`",
		errHasPoints, len(points), len(sources), points[0].Ref)
}
