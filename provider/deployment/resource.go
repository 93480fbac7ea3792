package deployment

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// Resource is a resource of a Type.
type Resource struct {
	typ  *Type
	conn *connection.Connection
}

var (
	_ resource.ResourceWithConfigure      = (*Resource)(nil)
	_ resource.ResourceWithValidateConfig = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan     = (*Resource)(nil)
	_ resource.ResourceWithImportState    = (*Resource)(nil)
)

func (r *Resource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_" + r.typ.Name
}

func (r *Resource) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	r.conn, _ = req.ProviderData.(*connection.Connection)
}

// Schema is that of the type.
func (r *Resource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = r.typ.Schema()
}

// declared reads a configuration, a plan or a state.
func (r *Resource) declared(ctx context.Context, from interface {
	Get(ctx context.Context, target any) diag.Diagnostics
}) (Declared, diag.Diagnostics) {
	d := r.typ.New()
	diags := from.Get(ctx, d)
	d.Base().typ = r.typ
	if a, ok := d.(Archives); ok {
		d.Base().archiveCommand = *a.ArchivedBy()
	}
	return d, diags
}

// failed words an error, at the attribute that is its reason where there is one.
func (m *Model) failed(verb string, err error) (diags diag.Diagnostics) {
	if at := (AtAttribute{}); errors.As(err, &at) {
		diags.AddAttributeError(at.At, verb+" "+m.Called(), valid.Sentence(err))
		return diags
	}
	diags.AddError(verb+" "+m.Called(), valid.Sentence(err))
	return diags
}

// renderNow is render when nothing may be left for later.
func (r *Resource) renderNow(ctx context.Context, verb string, d Declared) (*rendering, diag.Diagnostics) {
	rendered, diags := r.render(ctx, d)
	if !diags.HasError() && rendered.later != nil {
		diags.Append(d.Base().failed(verb, rendered.later)...)
	}
	return rendered, diags
}

func (r *Resource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	declared, diags := r.declared(ctx, req.Plan)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	d, diags := r.renderNow(ctx, "creating", declared)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	m := declared.Base()
	d.show(declared)
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
	resp.Diagnostics.Append(resp.State.Set(ctx, declared)...)
	resp.Diagnostics.Append(d.afterwards(nil, m)...)
}

// undo removes what was made before the rest failed, which Terraform forgets, and
// nothing that was there before.
func (r *Resource) undo(ctx context.Context, d *rendering, m *Model, brought brought) (diags diag.Diagnostics) {
	if err := d.undo(ctx); err != nil {
		diags.AddWarning(fmt.Sprintf("%s was made in part, and not everything could be removed again", m.Called()),
			"The next apply takes it over. "+valid.Sentence(err))
		return diags
	}
	if err := r.takeBack(ctx, d.papers(), brought); err != nil {
		diags.AddWarning(fmt.Sprintf("%s: its job file was left in the repository", m.Called()), valid.Sentence(err))
	}
	return diags
}

// Read takes what is there as it is, so that whatever was done to it by hand
// differs from what is rendered.
func (r *Resource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	d, diags := r.declared(ctx, req.State)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	m := d.Base()
	on, diags := m.runOn(ctx)
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
		err = t.read(ctx, m, on)
	}
	if err == nil {
		err = r.readJob(ctx, m)
	}
	switch {
	case errors.Is(err, awsapi.ErrGone):
		resp.Diagnostics.AddWarning(fmt.Sprintf("%s is gone: it will be deployed anew", m.Called()), valid.Sentence(err))
		resp.State.RemoveResource(ctx)
		return
	case err != nil:
		resp.Diagnostics.AddWarning(fmt.Sprintf("%s cannot be read: its state is kept as it was", m.Called()), valid.Sentence(err))
		return
	}
	if m.LeftBehind.IsNull() { // of a version that knew none
		m.LeftBehind = emptyList()
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, d)...)
}

func (r *Resource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	d, diags := r.declared(ctx, req.State)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	m := d.Base()
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
		resp.Diagnostics.AddWarning(fmt.Sprintf("%s: its job file was left in the repository", m.Called()), valid.Sentence(err))
	}
	if t, err := r.target(current.RunOn); err == nil {
		resp.Diagnostics.Append(t.afterwards(m, nil)...)
	}
}

// current is the deployment of a state.
func (m *Model) current(ctx context.Context, r *Resource) (l left, diags diag.Diagnostics) {
	on, diags := m.runOn(ctx)
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

func (m *Model) leftBehind(ctx context.Context, diags *diag.Diagnostics) (all []left) {
	if !m.LeftBehind.IsNull() && !m.LeftBehind.IsUnknown() {
		diags.Append(m.LeftBehind.ElementsAs(ctx, &all, false)...)
	}
	return all
}
