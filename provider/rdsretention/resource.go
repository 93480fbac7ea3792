// Package rdsretention is the resource pgbackup_rds_retention: the automated
// backups of an RDS instance or cluster.
//
// What must not live here: calls to RDS (package awsapi/rds) and snapshots, which
// are recovery points (package recoverypoint).
package rdsretention

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/told"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// settling is how long RDS may take to change a database.
const settling = 40 * time.Minute

var asIs = basetypes.ObjectAsOptions{}

// Resource is pgbackup_rds_retention.
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
	resp.TypeName = req.ProviderTypeName + "_rds_retention"
}

func (r *Resource) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	r.conn, _ = req.ProviderData.(*connection.Connection)
}

func (r *Resource) client(region string) (*rds.Client, error) {
	cfg, err := r.conn.AWS(region)
	if err != nil {
		return nil, err
	}
	return rds.New(cfg), nil
}

func (r *Resource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	t, _ := m.target()
	db, err := r.read(ctx, m, t)
	if err != nil {
		resp.Diagnostics.AddError(summary("creating", m), valid.Sentence(err))
		return
	}
	wanted := m.settings(db.Settings)
	// Once more: what the plan saw, if it saw anything, may have changed.
	if diags := check(m, db, wanted); diags.HasError() {
		resp.Diagnostics.Append(diags...)
		return
	}
	resp.Diagnostics.Append(m.setPrevious(db.Settings)...)
	m.Impact = lines(texts(append(impact(t, db.Settings, wanted), replicaImpact(t, nil, m.ReplicateTo)...)))
	db, err = r.change(ctx, m, db, wanted)
	if err != nil {
		resp.Diagnostics.AddError(summary("creating", m), valid.Sentence(err))
		return
	}
	m.show(db)
	// What is not copied yet is not in state: the next plan copies it.
	to := m.ReplicateTo
	m.ReplicateTo, m.ReplicaARN = nil, types.StringNull()
	resp.Diagnostics.Append(r.showMaintenance(ctx, &m, t)...)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
	if to == nil || resp.Diagnostics.HasError() {
		return
	}
	arn, err := r.replicate(ctx, db, to)
	if err != nil {
		resp.Diagnostics.AddError(summary("creating", m), valid.Sentence(err))
		return
	}
	m.ReplicateTo, m.ReplicaARN = to, types.StringValue(arn)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (r *Resource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var m, state model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	t, _ := m.target()
	db, err := r.read(ctx, m, t)
	if err == nil {
		wanted := m.settings(db.Settings)
		if diags := check(m, db, wanted); diags.HasError() {
			resp.Diagnostics.Append(diags...)
			return
		}
		db, err = r.change(ctx, m, db, wanted)
	}
	if err != nil {
		resp.Diagnostics.AddError(summary("updating", m), valid.Sentence(err))
		return
	}
	m.Window = some(db.Window) // where it was unknown
	if len(replicaImpact(t, state.ReplicateTo, m.ReplicateTo)) > 0 {
		if m.ReplicaARN, err = r.moveReplica(ctx, db, state.ReplicateTo, m.ReplicateTo); err != nil {
			resp.Diagnostics.AddError(summary("updating", m), valid.Sentence(err))
			return
		}
	}
	if m.Impact.IsUnknown() {
		m.Impact = state.Impact
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// change applies settings and waits until they are taken on.
func (r *Resource) change(ctx context.Context, m model, db rds.Database, wanted rds.Settings) (rds.Database, error) {
	todo := change(db.Settings, wanted)
	client, err := r.client(m.Region.ValueString())
	if err != nil || todo.Empty() {
		return db, err
	}
	if err := awsapi.Until(ctx, awsapi.Waiting{What: db.String() + " to take changes", Limit: settling}, func(ctx context.Context) (bool, string, error) {
		err := client.Change(ctx, db.Target, todo)
		if rds.Busy(err) {
			return false, err.Error(), nil
		}
		return err == nil, "", err
	}); err != nil {
		return db, err
	}
	return client.Settled(ctx, db.Target, settling, func(s rds.Settings) bool { return s == wanted })
}

// replicate begins to copy, or takes over copies to that region that there are
// already: an apply that died may have begun them.
func (r *Resource) replicate(ctx context.Context, db rds.Database, to *replicaModel) (string, error) {
	client, err := r.client(to.Region.ValueString())
	if err != nil {
		return "", err
	}
	for _, text := range db.Replicas {
		arn, err := rds.ParseARN(text)
		if err != nil || arn.Region != to.Region.ValueString() {
			continue
		}
		there, err := client.Replication(ctx, text)
		if errors.Is(err, awsapi.ErrGone) {
			continue
		}
		if err != nil {
			return "", err
		}
		if want := to.RetentionDays; given(want) && int(want.ValueInt64()) != there.RetentionDays {
			return "", fmt.Errorf("the automated backups of %s are copied to %s already and kept there for %s, not %s: set replicate_to.retention_days = %d to take that over, or end that copying first", db.ID, arn.Region, days(there.RetentionDays), days(int(want.ValueInt64())), there.RetentionDays)
		}
		return text, nil
	}
	keep := to.RetentionDays.ValueInt64()
	if keep == 0 {
		keep = int64(db.RetentionDays)
	}
	return client.StartReplication(ctx, db.ARN, int(keep), to.KMSKeyID.ValueString(), r.conn.Tags(awsapi.OwnTags(nil, "", db.ID)))
}

// moveReplica ends the copying there was and begins the one there should be.
func (r *Resource) moveReplica(ctx context.Context, db rds.Database, from, to *replicaModel) (types.String, error) {
	if from != nil {
		client, err := r.client(from.Region.ValueString())
		if err == nil {
			err = client.StopReplication(ctx, db.ARN)
		}
		if err != nil {
			return types.StringNull(), err
		}
		db.Replicas = nil
	}
	if to == nil {
		return types.StringNull(), nil
	}
	arn, err := r.replicate(ctx, db, to)
	return types.StringValue(arn), err
}

func (r *Resource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	t, _ := m.target()
	db, err := r.read(ctx, m, t)
	switch {
	case errors.Is(err, awsapi.ErrGone):
		resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_rds_retention (%s): the database is gone", m.name()), valid.Sentence(err))
		resp.State.RemoveResource(ctx)
		return
	case err != nil:
		resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_rds_retention (%s) cannot be read: its state is kept as it was", m.name()), valid.Sentence(err))
		return
	}
	m.show(db)
	resp.Diagnostics.Append(r.readReplica(ctx, &m)...)
	resp.Diagnostics.Append(r.showMaintenance(ctx, &m, t)...)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// readReplica looks at the copies in the other region. What no longer takes in
// backups is taken out of the state, so that the next plan begins it anew.
func (r *Resource) readReplica(ctx context.Context, m *model) (diags diag.Diagnostics) {
	if m.ReplicateTo == nil {
		return nil
	}
	client, err := r.client(m.ReplicateTo.Region.ValueString())
	var there rds.Replication
	if err == nil {
		there, err = client.Replication(ctx, m.ReplicaARN.ValueString())
	}
	switch {
	case errors.Is(err, awsapi.ErrGone), err == nil && !there.Replicating():
		diags.AddWarning(fmt.Sprintf("pgbackup_rds_retention (%s): its automated backups are no longer copied to %s", m.name(), m.ReplicateTo.Region.ValueString()), "Somebody ended that. The next apply begins it anew.")
		m.ReplicateTo, m.ReplicaARN = nil, types.StringNull()
	case err != nil:
		diags.AddWarning(fmt.Sprintf("pgbackup_rds_retention (%s): whether its automated backups are copied is not known", m.name()), valid.Sentence(err))
	case given(m.ReplicateTo.RetentionDays):
		m.ReplicateTo.RetentionDays = told.Number(there.RetentionDays)
	}
	return diags
}

// showMaintenance lists what RDS will do. It is for people: not knowing is no error.
func (r *Resource) showMaintenance(ctx context.Context, m *model, t rds.Target) (diags diag.Diagnostics) {
	client, err := r.client(m.Region.ValueString())
	var pending []rds.Maintenance
	if err == nil {
		pending, err = client.PendingMaintenance(ctx, t, m.ID.ValueString())
	}
	if err != nil {
		diags.AddWarning(fmt.Sprintf("pgbackup_rds_retention (%s): its pending maintenance is not known", m.name()), valid.Sentence(err))
		m.PendingMaintenance = types.ListNull(types.StringType)
		return diags
	}
	all := make([]string, len(pending))
	for i, p := range pending {
		all[i] = p.String()
	}
	m.PendingMaintenance = lines(all)
	return nil
}

// Delete leaves everything as it is, or restores what was before.
func (r *Resource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	before, known, diags := m.previous(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() || m.OnDestroy.ValueString() != restore || !known {
		return
	}
	t, _ := m.target()
	db, err := r.read(ctx, m, t)
	if errors.Is(err, awsapi.ErrGone) {
		return
	}
	if err == nil && db.AWSBackup != "" && (before.RetentionDays != db.RetentionDays || before.Window != db.Window) {
		err = fmt.Errorf("AWS Backup owns the automated backups of %s by now: set on_destroy = \"leave\"", db.ID)
	}
	if err == nil && m.ReplicateTo != nil {
		_, err = r.moveReplica(ctx, db, m.ReplicateTo, nil)
	}
	if err == nil {
		_, err = r.change(ctx, m, db, before)
	}
	if err != nil {
		resp.Diagnostics.AddError(summary("deleting", m), valid.Sentence(err))
	}
}

// ImportState takes the ARN of an instance or a cluster.
func (r *Resource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	fail := func(err error) {
		resp.Diagnostics.AddError("importing pgbackup_rds_retention ("+req.ID+")", valid.Sentence(err))
	}
	arn, err := rds.ParseARN(req.ID)
	if err != nil {
		fail(err)
		return
	}
	m := model{OnDestroy: types.StringValue(leave), Impact: types.ListNull(types.StringType), PendingMaintenance: types.ListNull(types.StringType)}
	switch arn.Type {
	case "db":
		m.Instance = types.StringValue(arn.Name)
	case "cluster":
		m.Cluster = types.StringValue(arn.Name)
	default:
		fail(fmt.Errorf("%s is neither an instance (…:db:NAME) nor a cluster (…:cluster:NAME)", req.ID))
		return
	}
	cfg, err := r.conn.AWS("")
	if err != nil || cfg.Region != arn.Region {
		m.Region = types.StringValue(arn.Region)
	}
	t, _ := m.target()
	db, err := r.read(ctx, m, t)
	if err == nil && db.ARN != req.ID {
		err = fmt.Errorf("these credentials reach %s: it is in another account", db.ARN)
	}
	if err != nil {
		fail(err)
		return
	}
	m.show(db)
	resp.Diagnostics.Append(m.setPrevious(db.Settings)...)
	if len(db.Replicas) == 1 {
		if replica, err := rds.ParseARN(db.Replicas[0]); err == nil {
			m.ReplicateTo = &replicaModel{Region: types.StringValue(replica.Region)}
			m.ReplicaARN = types.StringValue(db.Replicas[0])
		}
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}
