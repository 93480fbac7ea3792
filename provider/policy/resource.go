package policy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
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

func policyID(m model) (location.PolicyID, error) {
	at, err := location.Parse(m.Repository.ValueString())
	return location.PolicyID{Repository: at, Name: m.Name.ValueString()}, err
}

// before is what the state says, nil when there is none.
func before(ctx context.Context, state tfsdk.State) (*model, diag.Diagnostics) {
	if state.Raw.IsNull() {
		return nil, nil
	}
	var m model
	diags := state.Get(ctx, &m)
	return &m, diags
}

func (r *Resource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	w := writing{resource: r, verb: "creating", plan: &m}
	if resp.Diagnostics.Append(w.run(ctx)...); !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
	}
}

func (r *Resource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan model
	state, diags := before(ctx, req.State)
	resp.Diagnostics.Append(diags...)
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	w := writing{resource: r, verb: "updating", plan: &plan, state: state, asOf: asOf(ctx, req.Private)}
	if resp.Diagnostics.Append(w.run(ctx)...); !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	}
}

// Read takes what is in force in the repository, whoever wrote it: another
// revision shows as drift, and so do lifecycle rules that somebody changed. A
// policy is only gone where the repository can be read and has no such policy,
// or a retired one.
func (r *Resource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(stampAsOf(ctx, resp.Private, time.Now())...)
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
	if m.ManageLifecycle.IsNull() { // imported, or written by an older provider
		m.ManageLifecycle = types.BoolValue(true)
	}
	resp.Diagnostics.Append(r.refreshLifecycle(ctx, &m, current.Document)...)
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

// Delete takes the policy's lifecycle rules out of the bucket and retires it. No
// recovery point is touched.
func (r *Resource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	id, err := policyID(m)
	var opened connection.Opened
	if err == nil {
		opened, err = r.conn.OpenRepository(ctx, id.Repository, "")
	}
	if errors.Is(err, repo.ErrNoRepository) {
		return
	}
	if err == nil {
		err = r.removeLifecycle(ctx, id, m)
	}
	if err == nil {
		err = r.retire(ctx, opened, m)
	}
	if err != nil {
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
	document, _, diags := m.document(ctx)
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
