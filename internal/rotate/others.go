package rotate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// spareOthers keeps what another policy made and would not delete. A source may be
// backed up under two policies, and a rotation may be asked for more sources than
// are its own: a point goes only when the policy in its manifest lets it go too, by
// its newest document, also a retired one. A policy that has no revision in this
// repository has no say. Rules without a policy are the operator's word.
func (opts Options) spareOthers(ctx context.Context, listed []repo.Listed, out *Outcome) error {
	if opts.Policy == "" {
		return nil
	}
	madeBy := map[repo.Ref]string{}
	for i := range listed {
		l := &listed[i]
		name := opts.madeUnder[l.String()]
		if l.Manifest != nil {
			name = madeUnder(l.Manifest)
		}
		if name != "" && name != opts.Policy {
			madeBy[l.Ref] = name
		}
	}
	others := map[string]bool{}
	for _, d := range out.Delete {
		if name := madeBy[d.ref]; name != "" {
			others[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(others)) {
		says, err := opts.keptBy(ctx, name, listed)
		if err != nil {
			return err
		}
		for _, say := range says {
			out.spareIf(say.by, func(d Decision) string {
				if madeBy[d.ref] != name {
					return ""
				}
				return say.why(d.ref)
			})
		}
	}
	if len(others) > 0 {
		out.spareParents()
	}
	return nil
}

// say is why another policy keeps a point, "" when it does not, and what that makes
// the keeper of its points.
type say struct {
	by  keeper
	why func(repo.Ref) string
}

// keptBy is what another policy has to say about its points.
func (opts Options) keptBy(ctx context.Context, name string, listed []repo.Listed) ([]say, error) {
	all := func(why string) []say { return []say{{keptForNow, func(repo.Ref) string { return why }}} }
	rev, err := opts.hasSay(ctx, name)
	switch {
	case errors.Is(err, repo.ErrNotFound):
		return nil, nil
	case errors.Is(err, repo.ErrDamaged), errors.Is(err, repo.ErrNewerFormat):
		return all(fmt.Sprintf("policy %s, which made it, can not be read", name)), nil
	case err != nil:
		return nil, err
	}
	rules, err := rev.Document.Rules()
	if err != nil {
		return all(fmt.Sprintf("policy %s, which made it, can not be applied: %v", name, err)), nil
	}
	says := []say{opts.saying(keptByOther, listed, rules, "policy "+name+", which made it, keeps it")}
	// Its own rotation would be held to more than its newest rules say.
	held, err := restrictionsAsOf(ctx, opts.Repo, rev, opts.othersAsOf)
	if err != nil {
		return nil, err
	}
	for _, r := range held {
		says = append(says, opts.saying(keptForNow, listed, r.Rules, r.Why))
	}
	return says, nil
}

// saying keeps what rules keep.
func (opts Options) saying(by keeper, listed []repo.Listed, rules retention.Rules, why string) say {
	kept := fatesUnder(listed, rules, opts.Now, opts.archives)
	return say{by, func(ref repo.Ref) string {
		if !kept[ref].Kept {
			return ""
		}
		return why
	}}
}

// madeUnder is the policy a point was made under, "" for none.
func madeUnder(m *repo.Manifest) string {
	if m.PolicyRevision > 0 {
		return m.Policy
	}
	return ""
}

// hasSay is the newest revision of another policy, or the newest there was at
// othersAsOf. ErrNotFound when there was none.
func (opts Options) hasSay(ctx context.Context, name string) (policy.Revision, error) {
	if opts.othersAsOf.IsZero() {
		return opts.Repo.CurrentPolicy(ctx, name)
	}
	past, err := opts.Repo.PolicyHistory(ctx, name)
	if err != nil {
		return policy.Revision{}, err
	}
	for _, rev := range slices.Backward(past) {
		if rev.Problem != nil { // it does not say when it was written
			return policy.Revision{}, rev.Problem
		}
		if !rev.Envelope.At.After(opts.othersAsOf) {
			return rev.Revision, nil
		}
	}
	return policy.Revision{}, fmt.Errorf("policy %s on %s: %w", name, opts.othersAsOf.UTC().Format(time.RFC3339), repo.ErrNotFound)
}

// spareParents keeps what the points that were spared build on, for as long as they
// stay themselves.
func (o *Outcome) spareParents() {
	lasts := func(d Decision) bool { return d.keeper == keptByOther }
	for o.spareParentsOf(keptByOther, lasts) > 0 {
	}
	for o.spareParentsOf(keptForNow, func(d Decision) bool { return !lasts(d) }) > 0 {
	}
}

// spareParentsOf keeps the parents of the points that stay and that match.
func (o *Outcome) spareParentsOf(by keeper, match func(Decision) bool) int {
	type name struct{ source, kind, id string }
	children := map[name]string{} // parent -> a child that stays
	for _, d := range o.Keep {
		if d.ref.Parent != "" && match(d) {
			children[name{d.Source, d.Kind, d.ref.Parent}] = d.ID
		}
	}
	return o.spareIf(by, func(d Decision) string {
		if child := children[name{d.Source, d.Kind, d.ID}]; child != "" {
			return "parent of " + child
		}
		return ""
	})
}
