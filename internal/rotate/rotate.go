// Package rotate applies retention rules to a repository: it shows what they
// would delete, and deletes it.
//
// What lives here: reading what there is, the guards around a deletion (leases,
// holds, unreadable manifests, law 3) and the order of the steps. What must not:
// the rules themselves (package retention), how a point is deleted (package
// repo), flags and printing (the faces).
package rotate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// Options of Plan and Run.
type Options struct {
	Repo   *repo.Repository
	Filter repo.Filter // which points; empty is all
	// Match narrows the sources down further; nil matches every one.
	Match func(source string) bool
	Rules retention.Rules
	Now   time.Time
	// Restrict are rules that a point must be deleted by as well before it goes.
	Restrict []Restriction
	// Tiers puts the points that stay into the tiers that Rules make of them, where
	// the store keeps tags. Not for rules that are meant for one run only.
	Tiers bool

	// Release removes what of a point lies outside the repository, such as the
	// snapshot of kind rds_snapshot, before its manifest goes. Without it such points
	// stay: nobody would know of their snapshots any more.
	Release func(ctx context.Context, m *repo.Manifest) error
	// Standing gives those of the points whose part outside the repository is gone or
	// of no use, and why; an error when that cannot be seen. Points of kind
	// rds_snapshot go only where both it and Release are given.
	Standing func(ctx context.Context, points []*repo.Manifest) (map[repo.Ref]error, error)

	Policy         string // stamped into the tombstones
	PolicyRevision int
	By             string // who deletes: host and user

	Self     repo.Holder
	LeaseTTL time.Duration // default repo.LeaseTTL
	Log      *slog.Logger  // nil is silent

	// othersAsOf is the moment whose policies have a say beside this one; zero is
	// now. For reviews, which must come to the same when they are done again.
	othersAsOf time.Time
	// madeUnder is the policy of points that have no manifest any more, by
	// Ref.String: a review decides about these too.
	madeUnder map[string]string
	// archives of WAL, as they were looked at.
	archives archives
}

// Decision is what happens to one point, and why.
type Decision struct {
	ID      string    `json:"id"`
	Reasons []string  `json:"reasons"`
	Source  string    `json:"source"`
	Kind    string    `json:"kind"`
	Start   time.Time `json:"start"`
	Bytes   int64     `json:"bytes"` // stored bytes, 0 when they are not known
	// Tier is the one that the rules make of a point they keep; of any other point it
	// is the one that its tier mark names. "" for none.
	Tier string `json:"-"`
	// Restorable: one could go back to it, as far as was looked at. Points found bad,
	// unreadable or dated in the future are not.
	Restorable bool `json:"-"`

	ref    repo.Ref
	tier   string // by the rules, see retention.Decision
	keeper keeper // of a point that stays
	// As the listing and the manifest say; zero where that was not read.
	made           string // the policy it was made under, "" for none
	system         string // identifier of the server
	committed, end time.Time
}

// keeper is what keeps a point.
type keeper uint8

const (
	keptByRules keeper = iota
	keptForNow         // until something is put right: a manifest, data, a revision nobody approved
	keptByOther        // another policy keeps it, or what is built on it
)

// Outcome is what Plan would do and what Run did: after Run, Delete holds the
// points that were deleted and Keep those that are still there.
type Outcome struct {
	Keep     []Decision `json:"keep"`
	Delete   []Decision `json:"delete"`
	Warnings []string   `json:"warnings,omitempty"`
	Locked   []string   `json:"locked,omitempty"` // sources another run works on
	// WAL is what happens to archived WAL, by source and server: to what lies before
	// all base backups, and between those that stay.
	WAL      []WAL  `json:"wal,omitempty"`
	Policy   string `json:"policy,omitempty"`
	Revision int    `json:"policy_revision,omitempty"`

	warnings   []warning // become Warnings at the end
	restricted map[restricted]int
}

// Plan decides and touches nothing.
func Plan(ctx context.Context, opts Options) (Outcome, error) {
	opts.defaults()
	if err := opts.Rules.Validate(); err != nil {
		return Outcome{}, err
	}
	out, _, err := opts.decide(ctx, opts.Filter, true)
	if err == nil {
		opts.addSizes(ctx, &out)
	}
	return out.told(), err
}

func (opts *Options) defaults() {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
}

// Run deletes what the rules do not keep, each source under its lease. What it
// does can be stopped anywhere and is finished by the next Run or backup. The
// outcome is valid with an error too: other sources go on after one failed, but not
// after the policy was changed (repo.ErrPolicyChanged).
// ErrLocked when another run held a source and nothing worse happened.
func Run(ctx context.Context, opts Options) (Outcome, error) {
	opts.defaults()
	if err := opts.Rules.Validate(); err != nil {
		return Outcome{}, err
	}
	plan, _, err := opts.decide(ctx, opts.Filter, false)
	if err != nil {
		return Outcome{}, err
	}
	if len(plan.Delete) > 0 && !opts.Repo.HasKey() {
		// Without it a manifest that somebody forged would count as the newest
		// good point, and the real ones would go.
		return plan.told(), fmt.Errorf("rotate: %w: manifests can not be authenticated, so nothing is deleted; give --key REFERENCE, such as file:/etc/pgbackup/key", repo.ErrNoKey)
	}
	out := opts.newOutcome()
	var locked, failed []error
	changed := false
	for _, source := range plan.sources() {
		if changed {
			out.add(plan.of(source).keepAll(policyChanged))
			continue
		}
		part, err := opts.runSource(ctx, source, plan.of(source))
		out.add(part)
		switch {
		case errors.Is(err, repo.ErrLocked):
			out.Locked = append(out.Locked, source)
			locked = append(locked, err)
		case err != nil:
			changed = errors.Is(err, repo.ErrPolicyChanged)
			failed = append(failed, fmt.Errorf("rotate %s: %w", source, err))
		}
	}
	out.add(plan.of("")) // files that belong to no source
	if err := opts.Repo.ProtectSelf(ctx); err != nil {
		out.warn("", err.Error())
	}
	opts.addSizes(ctx, &out)
	if len(failed) > 0 {
		return out.told(), errors.Join(append(failed, locked...)...)
	}
	return out.told(), errors.Join(locked...)
}

// runSource works on one source. plan is what was decided without the lease: it
// only tells whether there is something to delete; what is deleted is decided
// again under the lease.
func (opts Options) runSource(ctx context.Context, source string, plan Outcome) (part Outcome, err error) {
	idle := len(plan.Delete) == 0
	lease, ctx, err := opts.Repo.TakeLease(ctx, source, repo.LeaseOptions{What: "rotation", Self: opts.Self, TTL: opts.LeaseTTL, NoWait: idle})
	if err != nil {
		if idle && errors.Is(err, repo.ErrLocked) {
			err = nil // the other run clears what there is to clear
		}
		return plan.keepAll("not deleted: the source is locked by another run"), err
	}
	defer func() {
		if lost := context.Cause(ctx); err != nil && errors.Is(lost, repo.ErrLeaseLost) {
			err = lost
		}
		if released := lease.Release(); released != nil {
			part.warn(source, released.Error())
		}
	}()
	part, listed, err := opts.decide(ctx, repo.Filter{Source: source, Kind: opts.Filter.Kind}, false)
	if err != nil {
		return plan.keepAll("not deleted: deciding again failed"), err
	}
	if len(part.Delete) > 0 || opts.Tiers {
		if err := opts.look(ctx); err != nil {
			return part.keepAll(policyChanged), err
		}
	}
	if len(part.Delete) > 0 {
		if err := checkClock(ctx, lease); err != nil {
			return part.keepAll("not deleted: the clock is in doubt"), err
		}
	}
	if err := opts.deleteAll(ctx, &part); err != nil {
		return part, err
	}
	if err := opts.runWAL(ctx, lease, source, &part); err != nil {
		return part, err
	}
	opts.setTiers(ctx, source, listed, &part)
	opts.extendLocks(ctx, source, listed, &part)
	// What a rotation that died had begun is data without a manifest by now.
	if _, err := opts.Repo.Sweep(ctx, source); err != nil {
		part.warn(source, err.Error())
	}
	return part, nil
}

// checkClock holds this machine's clock against the store's, where that has one
// of its own: a clock that is a year ahead makes everything look too old.
func checkClock(ctx context.Context, lease *repo.Lease) error {
	theirs, ours, err := lease.StoreClock(ctx)
	if err != nil {
		return err
	}
	if apart := ours.Sub(theirs).Abs(); !theirs.IsZero() && apart > retention.FutureSkew {
		return fmt.Errorf("%w: the clocks of this machine and of the store are %s apart: set the wrong one, then rotate again", ErrUnsafe, apart.Round(time.Second))
	}
	return nil
}

// deleteAll deletes newest first, so that an incremental goes before the point
// it builds on. What could not be deleted moves to Keep.
func (opts Options) deleteAll(ctx context.Context, part *Outcome) error {
	doomed := part.Delete
	part.Delete = make([]Decision, 0, len(doomed))
	slices.SortStableFunc(doomed, func(a, b Decision) int { return b.Start.Compare(a.Start) })
	watched := watch{opts: &opts, last: time.Now()}
	for i, d := range doomed {
		if err := watched.beforeDeletion(ctx); err != nil {
			for _, rest := range doomed[i:] {
				part.Keep = append(part.Keep, rest.kept(keptForNow, policyChanged))
			}
			return err
		}
		err := opts.delete(ctx, d, repo.Tombstone{
			Bytes: d.Bytes, Deleted: opts.Now.UTC(), By: opts.By, Reasons: d.Reasons,
			Policy: opts.Policy, PolicyRevision: opts.PolicyRevision, MadeUnder: d.made, Committed: d.committed, End: d.end, System: d.system,
		})
		if err == nil {
			part.Delete = append(part.Delete, d)
			opts.Log.Info("deleted a recovery point", "point", d.ref.String(), "bytes", d.Bytes, "reasons", d.Reasons)
			continue
		}
		if held, heldErr := opts.Repo.Held(ctx, d.ref); heldErr == nil && held {
			part.Keep = append(part.Keep, d.kept(keptForNow, "held since a moment ago"))
			continue
		}
		if errors.Is(err, repo.ErrRetained) {
			part.Keep = append(part.Keep, d.kept(keptForNow, "locked by the store since a moment ago"))
			continue
		}
		for _, rest := range doomed[i:] {
			part.Keep = append(part.Keep, rest.kept(keptForNow, "not deleted: an error came before"))
		}
		return err
	}
	return nil
}

func (opts Options) newOutcome() Outcome {
	return Outcome{Keep: []Decision{}, Delete: []Decision{}, Policy: opts.Policy, Revision: opts.PolicyRevision, restricted: map[restricted]int{}}
}
