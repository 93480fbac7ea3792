package rdsretention

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

const (
	// planTime bounds what a plan reads of a database that is new to it.
	planTime = 20 * time.Second
	// shortRetention in days is what C2 warns below.
	shortRetention = 7
)

// ModifyPlan says what a change gains and loses, and refuses what RDS would. For a
// database that is in state it reads nothing: Read stored what it needs.
func (r *Resource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if r.conn == nil {
		return
	}
	if req.Plan.Raw.IsNull() {
		resp.Diagnostics.Append(warnOfRestoring(ctx, req)...)
		return
	}
	var replica types.Object
	resp.Diagnostics.Append(req.Plan.GetAttribute(ctx, path.Root("replicate_to"), &replica)...)
	if resp.Diagnostics.HasError() || replica.IsUnknown() {
		return
	}
	var plan model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	target, known := plan.target()
	if resp.Diagnostics.HasError() || !known || plan.RetentionDays.IsUnknown() || r.conn.Unknown {
		return
	}
	if req.State.Raw.IsNull() {
		resp.Diagnostics.Append(r.planNew(ctx, plan, target)...)
		return
	}
	var state model
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if was, _ := state.target(); resp.Diagnostics.HasError() || was != target || !state.Region.Equal(plan.Region) {
		return // a replacement is planned as new once more
	}
	now := state.facts()
	wanted := plan.settings(now.Settings)
	resp.Diagnostics.Append(check(plan, now, wanted)...)
	resp.Diagnostics.Append(hygiene(plan, now, wanted)...)
	effects := append(impact(target, now.Settings, wanted), replicaImpact(target, state.ReplicateTo, plan.ReplicateTo)...)
	resp.Diagnostics.Append(warn(plan, effects)...)
	if len(effects) > 0 {
		plan.Impact = lines(texts(effects))
	}
	plan.ReplicaARN = state.ReplicaARN
	if len(replicaImpact(target, state.ReplicateTo, plan.ReplicateTo)) > 0 {
		plan.ReplicaARN = types.StringUnknown()
		if plan.ReplicateTo == nil {
			plan.ReplicaARN = types.StringNull()
		}
	}
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
}

// planNew looks at a database that the state does not know: taking over one that
// keeps 30 days with retention_days = 7 loses as much as any reduction.
func (r *Resource) planNew(ctx context.Context, plan model, target rds.Target) (diags diag.Diagnostics) {
	ctx, cancel := context.WithTimeoutCause(ctx, planTime, fmt.Errorf("RDS did not answer within %s", planTime))
	defer cancel()
	db, err := r.read(ctx, plan, target)
	if err != nil {
		diags.AddWarning(fmt.Sprintf("pgbackup_rds_retention (%s): what this changes is seen at apply only", plan.name()), valid.Sentence(err))
		return diags
	}
	wanted := plan.settings(db.Settings)
	diags.Append(check(plan, db, wanted)...)
	diags.Append(hygiene(plan, db, wanted)...)
	diags.Append(warn(plan, impact(target, db.Settings, wanted))...)
	return diags
}

// check refuses what RDS would refuse, or do to somebody else's loss.
func check(m model, db rds.Database, wanted rds.Settings) (diags diag.Diagnostics) {
	if db.MemberOf != "" {
		diags.AddAttributeError(path.Root("instance"), summary("planning", m), fmt.Sprintf("%s is a member of cluster %s, which has its backups: give cluster = %q instead.", db.ID, db.MemberOf, db.MemberOf))
	}
	if db.AWSBackup != "" && (wanted.RetentionDays != db.RetentionDays || wanted.Window != db.Window) {
		diags.AddAttributeError(path.Root("retention_days"), summary("planning", m),
			fmt.Sprintf("AWS Backup owns the automated backups of %s (%s): RDS refuses to change retention and window. Change them in its backup plan, or take the database out of it first.", db.ID, db.AWSBackup))
	}
	if err := rds.CheckWindows(wanted.Window, db.MaintenanceWindow); err != nil && wanted.Window != "" {
		diags.AddAttributeError(path.Root("window"), summary("planning", m), valid.Sentence(err))
	}
	if key := m.KMSKeyID.ValueString(); key != "" && key != db.KMSKey {
		err := fmt.Errorf("%s is encrypted with %s, not with %s: copy a snapshot under that key and restore it to change that", db.ID, db.KMSKey, key)
		if !db.Encrypted {
			err = fmt.Errorf("%s is not encrypted: copy a snapshot under that key and restore it to change that", db.ID)
		}
		diags.AddAttributeError(path.Root("kms_key_id"), summary("planning", m), valid.Sentence(err))
	}
	if to := m.ReplicateTo; to != nil && db.Encrypted && to.KMSKeyID.IsNull() {
		diags.AddAttributeError(path.Root("replicate_to").AtName("kms_key_id"), summary("planning", m), fmt.Sprintf("%s is encrypted: give the ARN of a KMS key in %s for its copies there.", db.ID, to.Region.ValueString()))
	}
	return diags
}

// hygiene warns of what makes a database hard to keep safe (C2).
func hygiene(m model, db rds.Database, wanted rds.Settings) (diags diag.Diagnostics) {
	say := func(what, fix string) {
		diags.AddWarning(fmt.Sprintf("pgbackup_rds_retention (%s): %s", m.name(), what), fix)
	}
	if db.Public {
		say("the database has a public address", "Set publicly_accessible = false on it and reach it from inside the VPC.")
	}
	if !db.Encrypted {
		say("the database is not encrypted, nor is any backup of it", "Copy a snapshot with a KMS key and restore that: storage_encrypted cannot be switched on later.")
	}
	if wanted.RetentionDays > 0 && wanted.RetentionDays < shortRetention {
		say(fmt.Sprintf("point-in-time recovery reaches back %s only", days(wanted.RetentionDays)), "Set retention_days to 7 or more: what goes wrong before a long week-end is noticed after it.")
	}
	return diags
}

func warn(m model, effects []effect) (diags diag.Diagnostics) {
	for _, e := range effects {
		if e.warns {
			diags.AddWarning(fmt.Sprintf("pgbackup_rds_retention (%s): %s", m.name(), e.text), "It happens when the plan is applied.")
		}
	}
	return diags
}

// warnOfRestoring says what a destruction will put back.
func warnOfRestoring(ctx context.Context, req resource.ModifyPlanRequest) (diags diag.Diagnostics) {
	var state model
	diags.Append(req.State.Get(ctx, &state)...)
	before, ok, more := state.previous(ctx)
	diags.Append(more...)
	if diags.HasError() || !ok || state.OnDestroy.ValueString() != restore {
		return diags
	}
	t, _ := state.target()
	diags.Append(warn(state, impact(t, state.facts().Settings, before))...)
	return diags
}

// read describes the database, in its region.
func (r *Resource) read(ctx context.Context, m model, t rds.Target) (rds.Database, error) {
	client, err := r.client(m.Region.ValueString())
	if err != nil {
		return rds.Database{}, err
	}
	db, err := client.Database(ctx, t)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx))
	}
	return db, err
}
