package schedule

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// Resource is pgbackup_schedule.
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
	resp.TypeName = req.ProviderTypeName + "_schedule"
}

func (r *Resource) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	r.conn, _ = req.ProviderData.(*connection.Connection)
}

// objectAs is how blocks are read: they are known.
var objectAs = basetypes.ObjectAsOptions{}

func summary(verb, name string) string { return fmt.Sprintf("%s pgbackup_schedule (%s)", verb, name) }

// failed words an error, at the attribute that is its reason where there is one.
func (m model) failed(verb string, err error) (diags diag.Diagnostics) {
	if at := (atAttribute{}); errors.As(err, &at) {
		diags.AddAttributeError(at.at, summary(verb, m.Name.ValueString()), valid.Sentence(err))
		return diags
	}
	diags.AddError(summary(verb, m.Name.ValueString()), valid.Sentence(err))
	return diags
}

// renderNow is render when nothing may be left for later.
func (r *Resource) renderNow(ctx context.Context, verb string, m model) (*rendering, diag.Diagnostics) {
	d, diags := r.render(ctx, m)
	if !diags.HasError() && d.later != nil {
		diags.Append(m.failed(verb, d.later)...)
	}
	return d, diags
}

func (r *Resource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	d, diags := r.renderNow(ctx, "creating", m)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	d.show(&m)
	place := left{RunOn: d.name, ID: m.ID.ValueString()}.claimed()
	defer r.conn.Lock(place)()
	if err := r.checkFree(ctx, d, m); err != nil {
		resp.Diagnostics.Append(m.failed("creating", err)...)
		return
	}
	generation := newGeneration()
	brought, err := r.putNew(ctx, d.papers())
	if err == nil {
		err = d.apply(ctx, generation)
	}
	if err != nil {
		resp.Diagnostics.Append(m.failed("creating", err)...)
		resp.Diagnostics.Append(r.undo(ctx, d, m, brought)...)
		return
	}
	r.conn.Claim(place, generation)
	resp.Diagnostics.Append(keepGeneration(ctx, resp.Private, generation)...)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
	resp.Diagnostics.Append(d.afterwards(nil, &m)...)
}

// undo removes what was made before the rest failed, which Terraform forgets, and
// nothing that was there before.
func (r *Resource) undo(ctx context.Context, d *rendering, m model, brought brought) (diags diag.Diagnostics) {
	if err := d.undo(ctx); err != nil {
		diags.AddWarning(fmt.Sprintf("pgbackup_schedule (%s) was made in part, and not everything could be removed again", m.Name.ValueString()),
			"The next apply takes it over. "+valid.Sentence(err))
		return diags
	}
	if err := r.takeBack(ctx, d.papers(), brought); err != nil {
		diags.AddWarning(fmt.Sprintf("pgbackup_schedule (%s): its job file was left in the repository", m.Name.ValueString()), valid.Sentence(err))
	}
	return diags
}

// Read takes what is there as it is, so that whatever was done to it by hand
// differs from what is rendered.
func (r *Resource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	_, on, diags := m.blocks(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	name, err := on.name()
	var t target
	if err == nil {
		t, err = r.target(name)
	}
	if err == nil {
		err = t.read(ctx, &m, on)
	}
	if err == nil {
		err = r.readJob(ctx, &m)
	}
	switch {
	case errors.Is(err, awsapi.ErrGone):
		resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_schedule (%s) is gone: it will be deployed anew", m.Name.ValueString()), valid.Sentence(err))
		resp.State.RemoveResource(ctx)
		return
	case err != nil:
		resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_schedule (%s) cannot be read: its state is kept as it was", m.Name.ValueString()), valid.Sentence(err))
		return
	}
	if m.LeftBehind.IsNull() { // of a version that knew none
		m.LeftBehind = emptyList()
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (r *Resource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	current, diags := m.current(ctx, r)
	resp.Diagnostics.Append(diags...)
	generation, diags := generationOf(ctx, req.Private)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	defer r.conn.Lock(current.claimed())()
	for _, l := range m.leftBehind(ctx, &resp.Diagnostics) {
		if err := r.remove(ctx, l, generation); err != nil && !errors.Is(err, awsapi.ErrSuperseded) {
			resp.Diagnostics.Append(m.failed("deleting", err)...)
		}
	}
	err := r.remove(ctx, current, generation)
	if errors.Is(err, awsapi.ErrSuperseded) {
		return // with all its papers, which are those of the later deployment too
	}
	if err != nil {
		resp.Diagnostics.Append(m.failed("deleting", err)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	r.conn.Release(current.claimed())
	if err := r.discard(ctx, m, current.RunOn, nil); err != nil {
		resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_schedule (%s): its job file was left in the repository", m.Name.ValueString()), valid.Sentence(err))
	}
	if t, err := r.target(current.RunOn); err == nil {
		resp.Diagnostics.Append(t.afterwards(&m, nil)...)
	}
}

// current is the deployment of a state.
func (m model) current(ctx context.Context, r *Resource) (l left, diags diag.Diagnostics) {
	_, on, diags := m.blocks(ctx)
	if diags.HasError() {
		return left{}, diags
	}
	name, err := on.name()
	var t target
	if err == nil {
		t, err = r.target(name)
	}
	if err != nil {
		diags.AddAttributeError(path.Root("run_on"), "Invalid value for run_on", valid.Sentence(err))
		return left{}, diags
	}
	return left{RunOn: name, ID: m.ID.ValueString(), Document: t.document(m, on)}, diags
}

// remove ends a deployment of a generation: awsapi.ErrSuperseded, and nothing goes,
// when a later one has its place.
func (r *Resource) remove(ctx context.Context, l left, generation string) error {
	t, err := r.target(l.RunOn)
	if err != nil {
		return err
	}
	if err := awsapi.CheckGeneration(l.ID, r.conn.Claimed(l.claimed()), generation); err != nil {
		return err
	}
	return t.remove(ctx, l, generation)
}

func (m model) leftBehind(ctx context.Context, diags *diag.Diagnostics) (all []left) {
	if !m.LeftBehind.IsNull() && !m.LeftBehind.IsUnknown() {
		diags.Append(m.LeftBehind.ElementsAs(ctx, &all, false)...)
	}
	return all
}
