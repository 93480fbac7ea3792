package rotate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// Restrictions tells what holds back a revision of a policy whose loss was never
// approved: nothing is deleted under it that the last good revision before it
// would not delete too. None for a good one.
//
// A revision is good when its envelope has a loss that was found of this very
// change, by the digests in it, and that is nothing or approved. When it has none
// (written by hand, or by an old program), it is good when it deletes nothing, as of
// when it was written, that the last good revision before it would have kept; the
// first one, when there were no points. What is kept when there is no good revision
// before it, or none that can be read: everything. So it is while a revision above
// it was begun and is not there: that one may have kept more.
//
// Not for rules that are the operator's word: a policy file, or --keep-… flags.
func Restrictions(ctx context.Context, r *repo.Repository, rev policy.Revision) ([]Restriction, error) {
	return restrictionsAsOf(ctx, r, rev, time.Time{})
}

// restrictionsAsOf leaves out what was begun after a moment; zero is now.
func restrictionsAsOf(ctx context.Context, r *repo.Repository, rev policy.Revision, asOf time.Time) ([]Restriction, error) {
	name := rev.Document.Name
	begun, err := r.BegunRevision(ctx, name)
	if err != nil {
		return nil, err
	}
	if begun != nil && begun.Number > rev.Number && (asOf.IsZero() || !begun.Claimed.After(asOf)) {
		return []Restriction{*begunRestriction(name, begun)}, nil
	}
	past, err := r.PolicyHistory(ctx, name)
	if err != nil && !errors.Is(err, repo.ErrNotFound) {
		return nil, err
	}
	this := repo.PastRevision{Revision: rev}
	for _, p := range past {
		if p.Number == rev.Number {
			this.Written = p.Written
		}
	}
	past = slices.DeleteFunc(past, func(p repo.PastRevision) bool { return p.Number >= rev.Number })
	a := approvals{repo: r, past: past}
	base, err := a.base(ctx, this, len(past))
	if err != nil || base == nil {
		return nil, err
	}
	return []Restriction{*base}, nil
}

func begunRestriction(name string, begun *repo.BegunRevision) *Restriction {
	by := ""
	if begun.By != "" {
		by = " by " + begun.By
	}
	return everything(fmt.Sprintf("revision %d of policy %s was begun %s%s and is not there", begun.Number, name, begun.Claimed.UTC().Format(time.RFC3339), by),
		"an apply that is at work ends this by itself; if one died, or the revision's object was lost, apply the policy again, or declare it anew with `terraform apply -replace=ADDRESS` where the plan has nothing to change")
}

// approved tells whether the envelope alone shows the revision to be good. before
// is the one before it, nil for none. A loss that was copied from another revision
// shows nothing.
func approved(rev repo.PastRevision, before *repo.PastRevision) bool {
	loss := rev.Envelope.Loss
	switch {
	case loss == nil, loss.To != rev.StoredDigest():
		return false
	case before == nil && loss.From != "", before != nil && before.Readable() && loss.From != before.StoredDigest():
		return false
	}
	return loss.Points == 0 || rev.Envelope.Approval != ""
}

// writtenAt is when a revision came to be: what it says, unless the store knows
// that it was later.
func writtenAt(rev repo.PastRevision) time.Time {
	if rev.Written.After(rev.Envelope.At) {
		return rev.Written
	}
	return rev.Envelope.At
}

// approvals finds out which revisions of a policy are good.
type approvals struct {
	repo    *repo.Repository
	past    []repo.PastRevision // oldest first
	history *repo.History       // nil until it is needed
}

// base is what rev, which comes after the first n of the past, is held to; nil
// when it is good.
func (a *approvals) base(ctx context.Context, rev repo.PastRevision, n int) (*Restriction, error) {
	var last *repo.PastRevision
	if n > 0 {
		last = &a.past[n-1]
	}
	if approved(rev, last) {
		return nil, nil
	}
	never := fmt.Sprintf("revision %d of policy %s was never approved", rev.Number, rev.Document.Name)
	if last == nil {
		return a.first(ctx, rev, never)
	}
	before := *last
	if !before.Readable() { // nobody can tell what it kept
		return everything(fmt.Sprintf("whether revision %d of policy %s was approved can not be seen while revision %d can not be read", rev.Number, rev.Document.Name, before.Number),
			fmt.Sprintf("restore %s from a version or a replica, or %s", before.Key, askAgain)), nil
	}
	// What the one before is held to, this one is held to: a revision that changes
	// nothing makes nothing good.
	base, err := a.base(ctx, before, n-1)
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
	if loss := rev.Envelope.Loss; loss != nil && loss.Points > 0 {
		return base, nil
	}
	loses, err := a.loses(ctx, rev, base.Rules)
	if err != nil || !loses {
		return nil, err
	}
	return base, nil
}

// first is what the first revision is held to whose envelope shows nothing: nobody
// ever said that a point may go, so it is good only where there was none.
func (a *approvals) first(ctx context.Context, rev repo.PastRevision, never string) (*Restriction, error) {
	if loss := rev.Envelope.Loss; loss == nil || loss.Points == 0 {
		points, err := a.pointsAt(ctx, writtenAt(rev))
		if err != nil || !slices.ContainsFunc(points, func(l repo.Listed) bool { return !l.Start.IsZero() }) {
			return nil, err
		}
	}
	return everything(never+" and it is the first", declareAnew), nil
}

// pointsAt are the points that were there at a moment. When a deleted one was
// committed only its tombstone tells, which matters where its backup may have been
// at work then.
func (a *approvals) pointsAt(ctx context.Context, t time.Time) ([]repo.Listed, error) {
	var err error
	if a.history == nil {
		if a.history, err = a.repo.History(ctx, repo.Filter{}); err != nil {
			return nil, err
		}
	}
	points := a.history.At(t)
	later := make([]bool, len(points))
	err = parallel.Each(ctx, stoneReaders, len(points), func(ctx context.Context, i int) error {
		l := &points[i]
		if l.Deleted.IsZero() || t.Sub(l.Start) > longestBackup {
			return nil
		}
		stone, err := a.repo.Tombstone(ctx, l.Ref)
		if errors.Is(err, repo.ErrNotFound) || errors.Is(err, repo.ErrDamaged) {
			return nil // then it counts from when it began
		}
		later[i] = stone.Committed.After(t)
		return err
	})
	if err != nil {
		return nil, err
	}
	there := points[:0]
	for i, l := range points {
		if !later[i] {
			there = append(there, l)
		}
	}
	return there, nil
}

// longestBackup is how long after its start a point is committed at the latest.
const longestBackup = 8 * 24 * time.Hour

// loses tells whether rev deletes something, as of when it was written, that good
// rules would have kept.
func (a *approvals) loses(ctx context.Context, rev repo.PastRevision, good retention.Rules) (bool, error) {
	rules, err := rev.Document.Rules()
	if err != nil {
		return false, err
	}
	asOf := writtenAt(rev)
	points, err := a.pointsAt(ctx, asOf)
	if err != nil {
		return false, err
	}
	change := ruleChange{before: &good, after: rules}
	if slices.ContainsFunc(points, func(l repo.Listed) bool { return isPhysical(&l) }) {
		if change.wal, err = readWALPast(ctx, a.repo); err != nil {
			return false, err
		}
	}
	for _, which := range []retention.Rules{rules, good} {
		if err := loadBases(ctx, a.repo, points, which, change.wal.at(asOf)); err != nil {
			return false, err
		}
	}
	return change.lost(points, asOf).Len() > 0, nil
}

// askAgain is how a loss comes to be approved after all.
const askAgain = "declare the longer rules again and then shorten them with Terraform, which shows what is lost and asks for the approval"

// declareAnew is the same where there are no longer rules to go back to.
const declareAnew = "declare it with Terraform, or where it is declared already, anew with `terraform apply -replace=ADDRESS`, which shows what is lost and asks for the approval"

// everything keeps all there is.
func everything(why, fix string) *Restriction {
	return &Restriction{Rules: retention.Rules{Keep: retention.Keep{KeepLast: retention.All}}, Why: why, fix: fix}
}
