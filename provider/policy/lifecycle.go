package policy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/bucket"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/lifecycle"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// compile gives the lifecycle rules of a document; none for a directory.
func compile(id location.PolicyID, document policy.Document) []lifecycle.Rule {
	if id.Repository.IsDirectory() {
		return nil
	}
	return lifecycle.OfPolicy(document, id.Repository.Prefix)
}

// lifecycleRules is the attribute of that name for a document.
func lifecycleRules(ctx context.Context, id location.PolicyID, document policy.Document) (types.List, diag.Diagnostics) {
	return writeRules(ctx, compile(id, document))
}

func writeRules(ctx context.Context, rules []lifecycle.Rule) (types.List, diag.Diagnostics) {
	if len(rules) == 0 {
		return types.ListNull(types.StringType), nil
	}
	texts := make([]string, 0, len(rules))
	for _, r := range ordered(rules) {
		texts = append(texts, ruleJSON(r))
	}
	return types.ListValueFrom(ctx, types.StringType, texts)
}

// refreshLifecycle puts the rules that are in the bucket into the model: what
// somebody changed then shows as drift and is repaired. Nothing is asked of a
// bucket that neither has nor should have any.
func (r *Resource) refreshLifecycle(ctx context.Context, m *model, document policy.Document) (diags diag.Diagnostics) {
	id, err := policyID(*m)
	if err != nil {
		diags.AddError(summary("reading", m.Name.ValueString()), valid.Sentence(err))
		return diags
	}
	declared := compile(id, document)
	if !m.ManageLifecycle.ValueBool() || len(declared) == 0 && m.LifecycleRules.IsNull() {
		m.LifecycleRules, diags = writeRules(ctx, declared)
		return diags
	}
	if id.Repository.IsDirectory() {
		m.LifecycleRules = types.ListNull(types.StringType)
		return nil
	}
	head := fmt.Sprintf("pgbackup_policy (%s): ", id.Name)
	b, _, err := r.conn.Bucket(ctx, id.Repository)
	var there lifecycle.Configuration
	if err == nil {
		there, err = b.Lifecycle(ctx)
	}
	if err != nil {
		diags.AddWarning(head+"the bucket's lifecycle rules cannot be read, and whether they changed is not known", valid.Sentence(unmanaged(err)))
		return diags
	}
	owner := lifecycle.Policy(id.Name, id.Repository.Prefix)
	if err := b.Competitor(there, declared); err != nil && !m.LifecycleRules.IsNull() {
		diags.AddWarning(head+"somebody else replaces the lifecycle rules of the bucket", valid.Sentence(err))
	}
	rules, d := writeRules(ctx, there.Own(owner))
	m.LifecycleRules = rules
	return append(diags, d...)
}

// moveRules makes the policy's rules in the bucket these. undo puts those of
// before in their place again, also when only a part was done.
func (r *Resource) moveRules(ctx context.Context, id location.PolicyID, rules []lifecycle.Rule) (undo func() error, err error) {
	undo = func() error { return nil }
	b, _, err := r.conn.Bucket(ctx, id.Repository)
	if err != nil {
		return undo, err
	}
	owner := lifecycle.Policy(id.Name, id.Repository.Prefix)
	before, err := b.Lifecycle(ctx)
	if err == nil {
		undo = func() error {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
			defer cancel()
			return b.Apply(ctx, owner, before.Own(owner))
		}
		err = b.Apply(ctx, owner, rules)
	}
	if len(rules) == 0 && errors.Is(err, bucket.ErrNoLifecycle) {
		return undo, nil // and so none of ours
	}
	return undo, unmanaged(err)
}

// undoTime bounds how long rules are put back that nothing came of.
const undoTime = time.Minute

// removeLifecycle takes the policy's rules out of the bucket, if they are ours to
// manage.
func (r *Resource) removeLifecycle(ctx context.Context, id location.PolicyID, m model) error {
	if !m.ManageLifecycle.ValueBool() || m.LifecycleRules.IsNull() || id.Repository.IsDirectory() {
		return nil
	}
	_, err := r.moveRules(ctx, id, nil)
	return err
}

// unmanaged adds to an error of a server without lifecycle rules, or without
// these, what to do.
func unmanaged(err error) error {
	switch {
	case errors.Is(err, bucket.ErrNoLifecycle):
		return fmt.Errorf("%w; set manage_lifecycle = false in the policy to leave the transitions to the server's own means, or remove storage.transitions and storage.classes", err)
	case errors.Is(err, bucket.ErrRefused):
		return fmt.Errorf("%w. Remove the class or the transition that this server does not have from storage.transitions and storage.classes, or set manage_lifecycle = false in the policy to leave the transitions to the server's own means", err)
	}
	return err
}
