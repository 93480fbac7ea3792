package policy

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
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/planmod"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/rulesattr"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// planTime bounds how long a plan waits for the repository.
const planTime = 20 * time.Second

// ModifyPlan shows what a change of the policy does to the recovery points there
// are, and stops one that loses any until exactly that is approved. Nothing is
// contacted unless the policy document changes.
//
// Terraform calls it at plan and once more during the apply, and insists that
// what was known at plan is the same then: what is shown is told as of the last
// refresh. Whether a loss is approved is looked at as of now, both times.
func (r *Resource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	var plan model
	state, diags := before(ctx, req.State)
	resp.Diagnostics.Append(diags...)
	if req.Plan.Raw.IsNull() {
		resp.Diagnostics.Append(retiring(state))
		return
	}
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	settled := req.Plan.Raw.Equal(req.State.Raw)
	p := planning{resource: r, plan: &plan, state: state, asOf: asOf(ctx, req.Private)}
	resp.Diagnostics.Append(p.run(ctx)...)
	if settled && plan.LifecycleRules.Equal(state.LifecycleRules) {
		return
	}
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
}

// planning is one planning of a policy that is to be there afterwards.
type planning struct {
	resource *Resource
	plan     *model
	state    *model    // nil when it is to be created
	asOf     time.Time // of the last refresh; zero when there was none
}

func (p planning) run(ctx context.Context) (diags diag.Diagnostics) {
	id := location.PolicyID{}
	placed := !p.plan.Repository.IsUnknown() && !p.plan.Name.IsUnknown()
	if placed {
		var err error
		if id, err = policyID(*p.plan); err != nil {
			diags.AddAttributeError(path.Root("repository"), "Invalid value for repository", valid.Sentence(err))
			return diags
		}
		p.plan.ID = types.StringValue(id.String())
	}
	document, known, diags := p.plan.document(ctx)
	if diags.HasError() {
		return diags
	}
	if p.state != nil && replaces(*p.state, *p.plan) {
		// Terraform plans once more then, as for a policy that is new.
		return append(diags, retiring(p.state))
	}
	c := changeOf(ctx, p.state, id, document, p.asOf)
	if !known && placed {
		diags.Append(p.unknownYet(ctx, c)...)
	}
	if !known {
		return diags
	}
	old := c.old
	if old != nil && rulesattr.Same(old.Retention, document.Retention) {
		// Another spelling of the same rules is no change.
		document.Retention, p.plan.Retention = old.Retention, p.state.Retention
		c.document = document
	}
	if diags.Append(faults(document)...); diags.HasError() {
		return diags
	}
	p.plan.LifecycleRules = types.ListUnknown(types.StringType)
	if placed {
		rules, d := lifecycleRules(ctx, id, document)
		p.plan.LifecycleRules = rules
		diags.Append(d...)
	}
	if c.same() {
		// Only the way to the repository changes, a spelling, or the approval.
		p.plan.Digest, p.plan.Revision = p.state.Digest, p.state.Revision
		p.plan.showAsBefore(p.state)
		diags.Append(p.follow(ctx, c)...)
		return append(diags, p.leftover()...)
	}
	diags.Append(unreachable(document)...)
	p.plan.Digest, p.plan.Revision = types.StringValue(document.Digest()), types.Int64Unknown()
	p.plan.showUnknown(ctx)
	if p.state == nil {
		p.plan.showNothing(ctx)
	}
	if placed && !diags.HasError() {
		diags.Append(p.review(ctx, c)...)
	}
	return diags
}

// review reads the repository, shows what the change does there, and asks for
// approval where it loses something.
func (p planning) review(ctx context.Context, c change) (diags diag.Diagnostics) {
	conn := p.resource.conn
	if conn == nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, planTime, fmt.Errorf("the repository was not read within %s", planTime))
	defer cancel()
	found, err := c.review(ctx, conn)
	if err != nil && context.Cause(ctx) != nil {
		err = context.Cause(ctx)
	}
	switch {
	case errors.Is(err, connection.ErrUnknown), p.state == nil && notYetThere(err):
		return c.warnings(conn)
	case asOther(err) != nil:
		return diag.Diagnostics{asOther(err).diagnostic(&c)}
	case err != nil:
		diags.AddWarning(fmt.Sprintf("pgbackup_policy (%s): what this change loses cannot be told, because the repository cannot be read; whether it is approved is asked at apply", c.id.Name), valid.Sentence(err))
		return append(diags, c.warnings(conn)...)
	}
	diags.Append(c.warnings(conn)...)
	diags.Append(c.forgot()...)
	diags.Append(c.standing()...)
	if p.state != nil && !p.asOf.IsZero() {
		diags.Append(p.plan.show(ctx, found.Frozen)...)
	}
	verdict := c.judge(ctx, found, p.plan.ApproveExpiry)
	return append(diags, verdict.diags...)
}

// unknownYet warns of rules that are not known before apply, where there may be
// something to lose.
func (p planning) unknownYet(ctx context.Context, c change) (diags diag.Diagnostics) {
	conn := p.resource.conn
	if conn == nil {
		return nil
	}
	if c.create {
		ctx, cancel := context.WithTimeoutCause(ctx, planTime, fmt.Errorf("the repository was not opened within %s", planTime))
		defer cancel()
		if _, err := conn.OpenRepository(ctx, c.id.Repository, ""); errors.Is(err, connection.ErrUnknown) || notYetThere(err) {
			return nil
		}
	}
	diags.AddWarning(fmt.Sprintf("pgbackup_policy (%s): what this change loses cannot be told, because its rules are not known before apply; whether it is approved is asked then", c.id.Name),
		"An apply that would lose recovery points stops, writes nothing and names the code that approves the loss.")
	return diags
}

// follow looks where a changed way leads; the policy itself does not change.
func (p planning) follow(ctx context.Context, c change) (diags diag.Diagnostics) {
	conn := p.resource.conn
	if c.from == "" || conn == nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, planTime, fmt.Errorf("the repository was not read within %s", planTime))
	defer cancel()
	err := c.follow(ctx, conn)
	if err != nil && context.Cause(ctx) != nil {
		err = context.Cause(ctx)
	}
	switch other := asOther(err); {
	case errors.Is(err, connection.ErrUnknown):
	case other != nil:
		diags.Append(other.diagnostic(&c))
	case err != nil:
		diags.AddWarning(fmt.Sprintf("pgbackup_policy (%s): whether the changed repository id leads to the same repository cannot be told; it is asked at apply", c.id.Name), valid.Sentence(err))
	}
	return diags
}

// leftover reminds of an approval that approves nothing any more.
func (p planning) leftover() (diags diag.Diagnostics) {
	if code := p.plan.ApproveExpiry; !code.IsNull() && !code.IsUnknown() {
		diags.AddAttributeWarning(path.Root("approve_expiry"),
			fmt.Sprintf("pgbackup_policy (%s): approve_expiry is no longer needed: remove it", p.plan.Name.ValueString()),
			fmt.Sprintf("The policy does not change, so %s approves nothing. Left in place it does no harm; removing it writes no revision.", code.ValueString()))
	}
	return diags
}

// replaces reports whether the plan is for another policy than the state. What
// is not known yet may be another.
func replaces(state, plan model) bool {
	return !plan.Name.Equal(state.Name) || plan.Repository.IsUnknown() || !planmod.SamePlace(state.Repository.ValueString(), plan.Repository.ValueString())
}

// notYetThere: the repository is to be created by the same apply.
func notYetThere(err error) bool {
	return errors.Is(err, repo.ErrNoRepository) || errors.Is(err, objstore.ErrNoBucket)
}

// retiring says what the end of a policy means.
func retiring(state *model) diag.Diagnostic {
	return diag.NewWarningDiagnostic(
		fmt.Sprintf("pgbackup_policy (%s) will be retired: nothing is rotated under it any more", state.Name.ValueString()),
		"Its recovery points stay, and none of them is deleted by this. They take up storage until another policy rotates them or the repository is destroyed. The revisions of the policy stay readable.")
}
