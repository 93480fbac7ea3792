package policy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// reviewTime bounds how long an apply reads the repository before it writes a
// revision: a million points take a minute or two.
const reviewTime = 15 * time.Minute

// writing is one apply of a policy.
type writing struct {
	resource *Resource
	verb     string
	plan     *model    // what is to be; filled in with what only the repository knows
	state    *model    // nil when it is created
	asOf     time.Time // of the last refresh; zero when there was none
	// written: the plan is what is in force now, whatever went wrong afterwards.
	written bool
}

// run writes the next revision where the document changed, then the lifecycle
// rules. A loss is looked for once more, as of now: what nobody approved writes
// nothing.
func (w *writing) run(ctx context.Context) (diags diag.Diagnostics) {
	name := w.plan.Name.ValueString()
	failed := func(err error) diag.Diagnostics {
		diags.AddError(summary(w.verb, name), valid.Sentence(err))
		return diags
	}
	id, err := policyID(*w.plan)
	if err != nil {
		return failed(err)
	}
	document, _, diags := w.plan.document(ctx)
	if diags.HasError() {
		return diags
	}
	rules, d := lifecycleRules(ctx, id, document)
	if diags.Append(d...); diags.HasError() {
		return diags
	}
	w.plan.ID, w.plan.LifecycleRules = types.StringValue(id.String()), rules
	moveRules := w.plan.ManageLifecycle.ValueBool() && (w.state == nil || !rules.Equal(w.state.LifecycleRules) || !w.state.ManageLifecycle.ValueBool())
	if moveRules {
		// Before the revision: a bucket that takes no rules must not leave half
		// of the change behind.
		if err := w.resource.lifecyclePossible(ctx, id, document); err != nil {
			return failed(err)
		}
	}
	if diags.Append(w.revise(ctx, id, document)...); diags.HasError() {
		return diags
	}
	w.written = true
	if moveRules {
		if err := w.resource.applyLifecycle(ctx, id, compile(id, document)); err != nil {
			if w.state != nil {
				w.plan.LifecycleRules = w.state.LifecycleRules // to be repaired by the next apply
			}
			diags.AddError(fmt.Sprintf("writing the lifecycle rules of pgbackup_policy (%s)", name),
				fmt.Sprintf("Revision %d of the policy is written and in force; the bucket's lifecycle rules are not. %s Apply again to write them.", w.plan.Revision.ValueInt64(), valid.Sentence(err)))
		}
	}
	return diags
}

// revise writes the next revision, unless the document means what is in force.
func (w *writing) revise(ctx context.Context, id location.PolicyID, document policy.Document) (diags diag.Diagnostics) {
	c := change{id: id, document: document, asOf: w.asOf, create: w.state == nil}
	after, same := 0, false
	if w.state != nil {
		after = int(w.state.Revision.ValueInt64())
		c.old = w.state.known(ctx)
		same = c.old != nil && len(policy.Diff(*c.old, document)) == 0
	}
	if same && w.plan.Repository.Equal(w.state.Repository) {
		return nil // the repository knows nothing of what changes
	}
	opened, err := w.resource.conn.OpenRepository(ctx, id.Repository, "")
	if err != nil {
		diags.AddError(summary(w.verb, id.Name), valid.Sentence(err))
		return diags
	}
	envelope := w.resource.conn.Envelope()
	if !same {
		if diags.Append(w.approve(ctx, &c, opened, &envelope)...); diags.HasError() {
			return diags
		}
	}
	revision, err := opened.PutPolicyRevision(ctx, after, document, envelope)
	switch {
	case c.create && errors.Is(err, repo.ErrPolicyChanged):
		diags.AddError(summary(w.verb, id.Name),
			fmt.Sprintf("The repository has a policy of this name already. If it is to be managed here, import it:\n\n  terraform import ADDRESS '%s'\n\n%s", id, valid.Sentence(err)))
		return diags
	case err != nil:
		diags.AddError(summary(w.verb, id.Name), valid.Sentence(err))
		return diags
	}
	w.plan.Revision = types.Int64Value(int64(revision.Number))
	w.plan.Digest = types.StringValue(revision.Digest())
	return diags
}

// approve finds out what the change loses now and refuses what nobody approved;
// the envelope then says both.
func (w *writing) approve(ctx context.Context, c *change, opened connection.Opened, envelope *policy.Envelope) (diags diag.Diagnostics) {
	ctx, cancel := context.WithTimeoutCause(ctx, reviewTime, fmt.Errorf("what the change loses was not found out within %s", reviewTime))
	defer cancel()
	found, err := c.reviewIn(ctx, w.resource.conn, opened)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		diags.AddError(summary(w.verb, c.id.Name), "What the change loses has to be known before it is applied. "+valid.Sentence(err))
		return diags
	}
	if c.inForce > 0 {
		return nil // there is a policy already: writing says so
	}
	v := c.judge(found, w.plan.ApproveExpiry)
	if diags.Append(v.diags.Errors()...); diags.HasError() {
		return diags
	}
	envelope.Approval, envelope.Loss = v.approval, &v.loss
	if w.state != nil && w.plan.untold() {
		diags.Append(w.plan.show(ctx, found.Frozen)...)
	}
	return diags
}
