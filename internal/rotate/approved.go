package rotate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// Restrictions tells what holds back a revision of a policy whose loss was never
// approved: nothing is deleted under it that the last good revision before it
// would not delete too. None for a good one.
//
// A revision is good when its envelope has an approval or says that nothing is
// lost; when it says neither (written by hand, or by an old program) and it is the
// first, or it deletes nothing, as of when it was written, that the last good
// revision before it would have kept. What is kept when there is no good revision
// before it, or none that can be read: everything.
//
// Not for rules that are the operator's word: a policy file, or --keep-… flags.
func Restrictions(ctx context.Context, r *repo.Repository, rev policy.Revision, _ time.Time) ([]Restriction, error) {
	if approved(rev) {
		return nil, nil
	}
	past, err := r.PolicyHistory(ctx, rev.Document.Name)
	if err != nil && !errors.Is(err, repo.ErrNotFound) {
		return nil, err
	}
	past = slices.DeleteFunc(past, func(p repo.PastRevision) bool { return p.Number >= rev.Number })
	a := approvals{repo: r, past: past}
	base, err := a.base(ctx, rev, len(past))
	if err != nil || base == nil {
		return nil, err
	}
	return []Restriction{*base}, nil
}

// approved tells whether the envelope alone shows the revision to be good.
func approved(rev policy.Revision) bool {
	e := rev.Envelope
	return e.Approval != "" || e.Loss != nil && e.Loss.Points == 0
}

// approvals finds out which revisions of a policy are good.
type approvals struct {
	repo    *repo.Repository
	past    []repo.PastRevision // oldest first
	history *repo.History       // nil until it is needed
}

// base is what rev, which comes after the first n of the past, is held to; nil
// when it is good.
func (a *approvals) base(ctx context.Context, rev policy.Revision, n int) (*Restriction, error) {
	if approved(rev) {
		return nil, nil
	}
	never := fmt.Sprintf("revision %d of policy %s was never approved", rev.Number, rev.Document.Name)
	if n == 0 {
		if rev.Envelope.Loss == nil {
			return nil, nil // the first: there was nothing to lose
		}
		return everything(never, askAgain), nil
	}
	before := a.past[n-1]
	if !before.Readable() { // nobody can tell what it kept
		return everything(fmt.Sprintf("whether revision %d of policy %s was approved can not be seen while revision %d can not be read", rev.Number, rev.Document.Name, before.Number),
			fmt.Sprintf("restore %s from a version or a replica, or %s", before.Key, askAgain)), nil
	}
	// What the one before is held to, this one is held to: a revision that changes
	// nothing makes nothing good.
	base, err := a.base(ctx, before.Revision, n-1)
	if err != nil {
		return nil, err
	}
	if base == nil {
		rules, err := before.Document.Rules()
		if err != nil {
			return everything(fmt.Sprintf("%s, and revision %d can not be applied: %v", never, before.Number, err), askAgain), nil
		}
		base = &Restriction{Rules: rules, Why: fmt.Sprintf("%s and revision %d keeps it", never, before.Number), fix: askAgain}
	}
	if rev.Envelope.Loss != nil {
		return base, nil
	}
	loses, err := a.loses(ctx, rev, base.Rules)
	if err != nil || !loses {
		return nil, err
	}
	return base, nil
}

// loses tells whether rev deletes something, as of when it was written, that good
// rules would have kept.
func (a *approvals) loses(ctx context.Context, rev policy.Revision, good retention.Rules) (bool, error) {
	rules, err := rev.Document.Rules()
	if err != nil {
		return false, err
	}
	if a.history == nil {
		if a.history, err = a.repo.History(ctx, repo.Filter{}); err != nil {
			return false, err
		}
	}
	asOf := rev.Envelope.At
	points := a.history.At(asOf)
	for _, which := range []retention.Rules{rules, good} {
		if err := loadEnds(ctx, a.repo, points, which); err != nil {
			return false, err
		}
	}
	out := Outcome{restricted: map[restricted]int{}}
	for _, d := range decideKeys(points, rules, asOf).Delete {
		out.Delete = append(out.Delete, decision(d))
	}
	out.restrict(points, []Restriction{{Rules: good, Why: "kept"}}, asOf)
	return len(out.restricted) > 0, nil
}

// askAgain is how a loss comes to be approved after all.
const askAgain = "declare the longer rules again and then shorten them with Terraform, which shows what is lost and asks for the approval"

// everything keeps all there is.
func everything(why, fix string) *Restriction {
	return &Restriction{Rules: retention.Rules{Keep: retention.Keep{KeepLast: retention.All}}, Why: why, fix: fix}
}
