// Package recoverypoint is the resource pgbackup_recovery_point: one snapshot or
// backup, taken on demand.
//
// What must not live here: how snapshots become points (package internal/rds), how
// a task is run (package deploy/fargate), and what a policy keeps.
package recoverypoint

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	awsrds "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// Resource is pgbackup_recovery_point.
type Resource struct{ conn *connection.Connection }

var (
	_ resource.ResourceWithConfigure        = (*Resource)(nil)
	_ resource.ResourceWithConfigValidators = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan       = (*Resource)(nil)
	_ resource.ResourceWithImportState      = (*Resource)(nil)
)

// New makes the resource.
func New() resource.Resource { return &Resource{} }

func (r *Resource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_recovery_point"
}

func (r *Resource) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	r.conn, _ = req.ProviderData.(*connection.Connection)
}

// clients is the way to RDS in a region.
func (r *Resource) clients(_ context.Context, region string) (*awsrds.Client, error) {
	cfg, err := r.conn.AWS(region)
	if err != nil {
		return nil, err
	}
	return awsrds.New(cfg), nil
}

// open opens the repository, with its key where it has one that can be found.
func (r *Resource) open(ctx context.Context, at location.Location, keyRef string) (connection.Opened, error) {
	opened, err := r.conn.OpenRepository(ctx, at, keyRef)
	if err != nil || opened.HasKey() {
		return opened, err
	}
	for _, suggested := range opened.References {
		if with, err := r.conn.OpenRepository(ctx, at, suggested); err == nil && with.HasKey() {
			return with, nil
		}
	}
	return opened, nil
}

// ModifyPlan fills in the repository, and says what a destruction deletes.
func (r *Resource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	var state, m model
	if !req.State.Raw.IsNull() {
		resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	}
	if req.Plan.Raw.IsNull() {
		if state.OnDestroy.ValueString() == deleteToo && state.Status.ValueString() == present {
			resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_recovery_point (%s): the recovery point and its data are deleted", state.name()), "on_destroy = \"delete\" says so. With \"release\" its policy would decide.")
		}
		return
	}
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || m.Policy.IsUnknown() || m.Repository.IsUnknown() && m.Policy.IsNull() {
		return
	}
	at, _, err := m.place()
	if err != nil {
		resp.Diagnostics.AddError(summary("planning", m), valid.Sentence(err))
		return
	}
	if req.State.Raw.IsNull() && m.Repository.IsUnknown() {
		m.Repository = types.StringValue(at.String())
		resp.Diagnostics.Append(resp.Plan.Set(ctx, m)...)
	}
	takes := req.State.Raw.IsNull() || !m.Schedule.Equal(state.Schedule) || !m.Triggers.Equal(state.Triggers)
	var source types.String
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("source"), &source)...)
	if takes && given(m.Schedule) && !source.IsUnknown() && r.conn != nil && !r.conn.Unknown {
		r.planSchedule(ctx, m, source, at, &resp.Diagnostics)
	}
}

// planSchedule says what would fail only after backups were made. What cannot be
// read yet is looked at again before anything is started.
func (r *Resource) planSchedule(ctx context.Context, m model, source types.String, at location.Location, diags *diag.Diagnostics) {
	var in *repo.Repository
	if opened, err := r.open(ctx, at, m.KeyRef.ValueString()); err == nil {
		in = opened.Repository
	}
	if err := r.examine(ctx, m.Schedule.ValueString(), source.ValueString() != "", in); err != nil && !errors.Is(err, errUnread) {
		diags.AddAttributeError(path.Root("schedule"), summary("planning", m), valid.Sentence(err))
	}
}

func (r *Resource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	limit, diags := m.Timeouts.Create(ctx, rds.DefaultLimit)
	resp.Diagnostics.Append(diags...)
	at, policy, err := m.place()
	if err != nil {
		resp.Diagnostics.AddError(summary("creating", m), valid.Sentence(err))
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit+time.Minute, fmt.Errorf("it took longer than %s: raise timeouts.create", limit))
	defer cancel()
	opened, err := r.open(ctx, at, m.KeyRef.ValueString())
	var made *repo.Manifest
	if err == nil {
		if t, ok := m.target(); ok {
			made, err = r.snapshot(ctx, m, t, opened, policy, limit, &resp.Diagnostics)
		} else {
			made, err = r.runSchedule(ctx, m, opened)
		}
	}
	if err != nil {
		resp.Diagnostics.AddError(summary("creating", m), valid.Sentence(err))
		return
	}
	keep := m.Repository
	m.show(at, made)
	if given(keep) {
		m.Repository = keep // as it was planned
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
	if m.Hold.ValueBool() {
		if err := opened.Hold(ctx, made.Ref(), r.mark(holdMark)); err != nil {
			// No error: that would taint the resource, and take another point for it.
			resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_recovery_point (%s) is not held yet: the next apply does it", m.name()), valid.Sentence(err))
		}
	}
}

// mark is a fact of this provider about a point.
func (r *Resource) mark(why string) repo.Mark {
	e := r.conn.Envelope()
	return repo.Mark{At: e.At, By: e.By, Why: why}
}

// Read looks for the point, and where it is one of RDS, for the snapshot.
func (r *Resource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	was := m.Status.ValueString()
	warnings, err := r.look(ctx, &m)
	resp.Diagnostics.Append(warnings...)
	if err != nil {
		resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_recovery_point (%s) cannot be read: its state is kept as it was", m.name()), valid.Sentence(err))
		return
	}
	if now := m.Status.ValueString(); now != was && now != present {
		detail := "It is not taken again: that is what a change of triggers does."
		resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_recovery_point (%s) is %s", m.name(), now), detail)
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// look sets status and hold. A point that is gone keeps its hold as declared:
// nothing can be done about it, so nothing is planned.
func (r *Resource) look(ctx context.Context, m *model) (warnings diag.Diagnostics, err error) {
	at, _, err := m.place()
	if err != nil {
		return nil, err
	}
	opened, err := r.open(ctx, at, m.KeyRef.ValueString())
	if err != nil {
		return nil, err
	}
	made, err := opened.Manifest(ctx, m.ref())
	if errors.Is(err, repo.ErrNotFound) {
		m.Status = types.StringValue(missing)
		if _, err := opened.Tombstone(ctx, m.ref()); err == nil {
			m.Status = types.StringValue(expired)
		} else if !errors.Is(err, repo.ErrNotFound) {
			return nil, err
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m.Status = types.StringValue(present)
	if made.RDS != nil {
		if err := rds.Check(r.clients)(ctx, made); errors.Is(err, repo.ErrDamaged) {
			m.Status = types.StringValue(missing)
		} else if err != nil {
			warnings.AddWarning(fmt.Sprintf("pgbackup_recovery_point (%s): whether its snapshot is there is not known", m.name()), valid.Sentence(err))
		}
	}
	// Somebody else's hold is no drift: it keeps a point that is to be held, and is
	// not this resource's to end.
	h, err := holdOf(ctx, opened.Repository, m.ref())
	if err == nil && !h.foreign() {
		m.Hold = types.BoolValue(h.held)
	}
	return warnings, err
}

func (r *Resource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var m, state model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if err := r.update(ctx, m, state, &resp.Diagnostics); err != nil {
		resp.Diagnostics.AddError(summary("updating", m), valid.Sentence(err))
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (r *Resource) update(ctx context.Context, m, state model, diags *diag.Diagnostics) error {
	at, _, err := state.place()
	if err != nil {
		return err
	}
	if !m.Hold.Equal(state.Hold) {
		opened, err := r.open(ctx, at, m.KeyRef.ValueString())
		if err != nil {
			return err
		}
		switch {
		case m.Hold.ValueBool() && m.Status.ValueString() == expired:
			return fmt.Errorf("it is %s: there is nothing to hold any more", expired)
		case m.Hold.ValueBool():
			err = r.startHold(ctx, opened.Repository, m.ref())
		default:
			err = r.endHold(ctx, opened.Repository, m, holdMark, diags)
		}
		if err != nil {
			return err
		}
	}
	if m.Tags.Equal(state.Tags) || m.SnapshotARN.IsNull() || m.Status.ValueString() != present {
		return nil
	}
	tags, err := r.tags(ctx, m)
	if err != nil || len(tags) == 0 {
		return err
	}
	arn, err := awsrds.ParseARN(m.SnapshotARN.ValueString())
	if err != nil {
		return err
	}
	client, err := r.clients(ctx, arn.Region)
	if err != nil {
		return err
	}
	return client.Tag(ctx, m.SnapshotARN.ValueString(), tags)
}

// tags are the provider's and the resource's own.
func (r *Resource) tags(ctx context.Context, m model) (map[string]string, error) {
	own := map[string]string{}
	if diags := m.Tags.ElementsAs(ctx, &own, false); diags.HasError() {
		return nil, errors.New(diags[0].Detail())
	}
	for key := range own {
		if strings.HasPrefix(key, "pgbackup:") {
			return nil, fmt.Errorf("tag %q: names that begin with pgbackup: are pgbackup's own", key)
		}
	}
	return r.conn.Tags(own), nil
}

func (r *Resource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if err := r.letGo(ctx, m, &resp.Diagnostics); err != nil {
		resp.Diagnostics.AddError(summary("deleting", m), valid.Sentence(err))
	}
}
