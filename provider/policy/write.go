package policy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

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
}

// run writes the next revision where the document changed, and before it the
// lifecycle rules: a server that takes none of these must not leave a revision
// behind that counts on them, while the rules move nothing that is not tagged
// for them. A loss is looked for once more, as of now. Whatever is refused,
// nothing has changed then.
func (w *writing) run(ctx context.Context) (diags diag.Diagnostics) {
	failed := func(err error) diag.Diagnostics {
		diags.AddError(summary(w.verb, w.plan.Name.ValueString()), valid.Sentence(err))
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

	c := changeOf(ctx, w.state, id, document, w.asOf)
	next := revising{change: &c, needed: !c.same(), envelope: w.resource.conn.Envelope()}
	if diags.Append(w.prepare(ctx, &next)...); diags.HasError() {
		return diags
	}
	undo := func() error { return nil }
	if w.movesRules(&c) {
		if undo, err = w.resource.moveRules(ctx, id, compile(id, document)); err != nil && !next.needed {
			return failed(err)
		}
	}
	if err == nil && next.needed {
		err = w.revise(ctx, &next)
	}
	if err != nil {
		if undone := undo(); undone != nil {
			diags.AddWarning(fmt.Sprintf("pgbackup_policy (%s): the bucket may have the lifecycle rules of the change already", id.Name),
				"They could not be taken back: "+valid.Sentence(undone)+" They move only objects of this policy, and the next apply puts them right.")
		}
		return failed(err)
	}
	return diags
}

// movesRules reports whether the bucket's lifecycle rules are asked for at all:
// not where the policy neither has any nor had.
func (w *writing) movesRules(c *change) bool {
	if !w.plan.ManageLifecycle.ValueBool() || c.id.Repository.IsDirectory() {
		return false
	}
	now := w.plan.LifecycleRules
	if w.state == nil {
		return !now.IsNull()
	}
	before := w.state.LifecycleRules
	if now.IsNull() && before.IsNull() {
		return false
	}
	return !now.Equal(before) || !w.state.ManageLifecycle.ValueBool() || c.from != ""
}

// revising is the next revision on its way.
type revising struct {
	change   *change
	needed   bool // the document is another one
	opened   connection.Opened
	envelope policy.Envelope
}

// prepare finds out whether the revision may be written.
func (w *writing) prepare(ctx context.Context, next *revising) (diags diag.Diagnostics) {
	c := next.change
	if !next.needed && c.from == "" {
		return nil // the repository knows nothing of what changes
	}
	var err error
	if next.opened, err = c.open(ctx, w.resource.conn); err == nil && !next.needed {
		err = c.findOld(ctx, next.opened.Repository)
	}
	if err != nil {
		diags.AddError(summary(w.verb, c.id.Name), valid.Sentence(err))
		return diags
	}
	if next.needed {
		if diags.Append(w.approve(ctx, c, next.opened, &next.envelope)...); diags.HasError() {
			return diags
		}
	}
	return append(diags, w.tryClass(ctx, c)...)
}

// revise writes the next revision.
func (w *writing) revise(ctx context.Context, next *revising) error {
	c := next.change
	revision, err := next.opened.PutPolicyRevision(ctx, c.upon, c.document, next.envelope)
	switch {
	case c.create && errors.Is(err, repo.ErrPolicyChanged):
		return c.taken(err)
	case err != nil:
		return err
	}
	w.plan.Revision = types.Int64Value(int64(revision.Number))
	w.plan.Digest = types.StringValue(revision.Digest())
	return nil
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
		diags.AddError(summary(w.verb, c.id.Name), valid.Sentence(c.taken(fmt.Errorf("revision %d is in force", c.inForce))))
		return diags
	}
	v := c.judge(ctx, found, w.plan.ApproveExpiry)
	if diags.Append(v.diags.Errors()...); diags.HasError() {
		return diags
	}
	envelope.Approval, envelope.Loss = v.approval, &v.loss
	if w.state != nil && w.plan.untold() {
		diags.Append(w.plan.show(ctx, found.Frozen)...)
	}
	return diags
}
