package policy

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// Resource is pgbackup_policy.
type Resource struct{ conn *connection.Connection }

var (
	_ resource.ResourceWithConfigure      = (*Resource)(nil)
	_ resource.ResourceWithValidateConfig = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan     = (*Resource)(nil)
	_ resource.ResourceWithImportState    = (*Resource)(nil)
)

// New makes the resource.
func New() resource.Resource { return &Resource{} }

func (r *Resource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_policy"
}

func (r *Resource) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	r.conn, _ = req.ProviderData.(*connection.Connection)
}

func summary(verb, name string) string { return fmt.Sprintf("%s pgbackup_policy (%s)", verb, name) }

// ModifyPlan makes id and digest known where their parts are. The digest of a
// policy that does not change stays as it is.
func (r *Resource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() || req.Plan.Raw.Equal(req.State.Raw) {
		return
	}
	var m model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if !m.Repository.IsUnknown() && !m.Name.IsUnknown() {
		id, err := policyID(m)
		if err != nil {
			resp.Diagnostics.AddAttributeError(path.Root("repository"), "Invalid value for repository", valid.Sentence(err))
			return
		}
		resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("id"), id.String())...)
	}
	var state model
	if !req.State.Raw.IsNull() {
		resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	}
	d, known, diags := m.document()
	resp.Diagnostics.Append(diags...)
	if !known || resp.Diagnostics.HasError() {
		return
	}
	before, _, diags := state.document()
	if !req.State.Raw.IsNull() && !diags.HasError() && sameRules(before.Retention, d.Retention) {
		// Another spelling of the same rules is no change.
		d.Retention = before.Retention
		resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("retention"), state.Retention)...)
	}
	resp.Diagnostics.Append(faults(d)...)
	digest, revision := types.StringValue(d.Digest()), types.Int64Unknown()
	if !req.State.Raw.IsNull() && !diags.HasError() && len(policy.Diff(before, d)) == 0 {
		// Only the way to the repository changes, or a spelling.
		digest, revision = state.Digest, state.Revision
	}
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("digest"), digest)...)
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("revision"), revision)...)
}

func policyID(m model) (location.PolicyID, error) {
	at, err := location.Parse(m.Repository.ValueString())
	return location.PolicyID{Repository: at, Name: m.Name.ValueString()}, err
}

func (r *Resource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	err := r.put(ctx, &m, 0)
	if errors.Is(err, repo.ErrPolicyChanged) {
		id, _ := policyID(m)
		resp.Diagnostics.AddError(summary("creating", m.Name.ValueString()),
			fmt.Sprintf("The repository has a policy of this name already. If it is to be managed here, import it:\n\n  terraform import ADDRESS '%s'\n\n%s", id, valid.Sentence(err)))
		return
	}
	if err != nil {
		resp.Diagnostics.AddError(summary("creating", m.Name.ValueString()), valid.Sentence(err))
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (r *Resource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if err := r.put(ctx, &plan, int(state.Revision.ValueInt64())); err != nil {
		resp.Diagnostics.AddError(summary("updating", plan.Name.ValueString()), valid.Sentence(err))
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

// put writes the model's document upon revision after and fills in what only
// the repository knows.
func (r *Resource) put(ctx context.Context, m *model, after int) error {
	id, err := policyID(*m)
	if err != nil {
		return err
	}
	d, _, diags := m.document()
	if diags.HasError() {
		return errors.New(diags.Errors()[0].Detail())
	}
	opened, err := r.conn.OpenRepository(ctx, id.Repository, "")
	if err != nil {
		return err
	}
	revision, err := opened.PutPolicyRevision(ctx, after, d, r.conn.Envelope())
	if err != nil {
		return err
	}
	m.ID = types.StringValue(id.String())
	m.Revision = types.Int64Value(int64(revision.Number))
	m.Digest = types.StringValue(revision.Digest())
	return nil
}

// Read takes what is in force in the repository, whoever wrote it: another
// revision shows as drift. A policy is only gone where the repository can be
// read and has no such policy, or a retired one.
func (r *Resource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	name, imported := m.Name.ValueString(), m.Revision.IsNull()
	current, err := r.current(ctx, m)
	gone := errors.Is(err, repo.ErrNotFound) || errors.Is(err, repo.ErrNoRepository) || err == nil && current.Envelope.Retired
	switch {
	case imported && gone:
		resp.Diagnostics.AddError(summary("importing", name), "There is no such policy in "+m.Repository.ValueString()+", or it is retired.")
		return
	case imported && err != nil:
		resp.Diagnostics.AddError(summary("importing", name), valid.Sentence(err))
		return
	case gone:
		detail := "It was retired."
		if err != nil {
			detail = valid.Sentence(err)
		}
		resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_policy (%s) is gone from the repository: it will be declared anew", name), detail)
		resp.State.RemoveResource(ctx)
		return
	case err != nil:
		resp.Diagnostics.AddWarning(unreadable(name, err), valid.Sentence(err))
		return
	}
	resp.Diagnostics.Append(m.take(ctx, current.Document)...)
	m.Revision = types.Int64Value(int64(current.Number))
	m.Digest = types.StringValue(current.Digest())
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// unreadable is the summary of a policy that cannot be read, with what follows
// from that: a plan says "No changes" beside it.
func unreadable(name string, err error) string {
	if damaged := (*repo.DamagedRevisionError)(nil); errors.As(err, &damaged) {
		return fmt.Sprintf("pgbackup_policy (%s): revision %d is damaged, rotation has stopped; its state is kept as it was", name, damaged.Number)
	}
	return fmt.Sprintf("pgbackup_policy (%s) cannot be read: its state is kept as it was, and whether it changed is not known", name)
}

func (r *Resource) current(ctx context.Context, m model) (policy.Revision, error) {
	id, err := policyID(m)
	if err != nil {
		return policy.Revision{}, err
	}
	opened, err := r.conn.OpenRepository(ctx, id.Repository, "")
	if err != nil {
		return policy.Revision{}, err
	}
	return opened.CurrentPolicy(ctx, id.Name)
}

// Delete retires the policy. No recovery point is touched.
func (r *Resource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	id, err := policyID(m)
	if err == nil {
		var opened connection.Opened
		if opened, err = r.conn.OpenRepository(ctx, id.Repository, ""); err == nil {
			err = r.retire(ctx, opened, m)
		}
	}
	if err != nil && !errors.Is(err, repo.ErrNoRepository) {
		resp.Diagnostics.AddError(summary("deleting", m.Name.ValueString()), valid.Sentence(err))
	}
}

// retire ends the policy. Where its newest revision is damaged, the document
// that was applied last stands in the retired one in its place: it is in force
// for nobody.
func (r *Resource) retire(ctx context.Context, opened connection.Opened, m model) error {
	err := opened.RetirePolicy(ctx, m.Name.ValueString(), r.conn.Envelope())
	damaged := (*repo.DamagedRevisionError)(nil)
	if !errors.As(err, &damaged) {
		return err
	}
	document, _, diags := m.document()
	if diags.HasError() {
		return err
	}
	envelope := r.conn.Envelope()
	envelope.Retired = true
	_, err = opened.PutPolicyRevision(ctx, damaged.Number, document, envelope)
	return err
}

func (r *Resource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	id, err := location.ParsePolicyID(req.ID)
	if err != nil {
		resp.Diagnostics.AddError(summary("importing", req.ID), valid.Sentence(err))
		return
	}
	for name, value := range map[string]string{"id": id.String(), "repository": id.Repository.String(), "name": id.Name} {
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(name), value)...)
	}
}
