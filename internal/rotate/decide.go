package rotate

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/impact"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// decideKeys applies rules to points as far as their keys and marks tell of them.
// It reads nothing and is what both a rotation and the review of a change go by.
// Of what manifests say it goes by what they say of base backups, where that was read:
// the rule wal needs it (see loadBases).
func decideKeys(points []repo.Listed, rules retention.Rules, now time.Time, archives archives) retention.Plan {
	input := retention.Input{Points: make([]retention.Point, len(points)), Rules: rules, Now: now, Archives: archives}
	for i := range points {
		input.Points[i] = point(&points[i])
	}
	return retention.Decide(input)
}

// point is what the rules need to know of a listed point. It starts when its id
// says (law 4); a manifest that says otherwise is damaged.
func point(l *repo.Listed) retention.Point {
	p := retention.Point{
		ID: l.ID, Source: l.Source, Kind: l.Kind, Start: l.Start, End: l.End, Parent: l.Parent,
		Verified: l.Verified(), Held: l.Held, Condemned: l.Condemned, Unreadable: l.Problem != nil,
		System: l.System,
	}
	if l.Manifest != nil && l.Manifest.Physical != nil {
		p.Timeline, p.StartLSN, p.StopLSN = l.Manifest.Physical.Timeline, l.Manifest.Physical.StartLSN, l.Manifest.Physical.StopLSN
	}
	return p
}

// fatesUnder tells what rules do with points as decideKeys sees them. What is not in
// it goes.
func fatesUnder(points []repo.Listed, rules retention.Rules, now time.Time, archives archives) map[repo.Ref]impact.Fate {
	kept := make(map[repo.Ref]impact.Fate, len(points))
	// What no rule decides about stays in the tier it has. That is not asked here:
	// the marks that say so go when the point goes.
	undecided := rules.UploadTier()
	for _, d := range decideKeys(points, rules, now, archives).Keep {
		kept[refOf(d.Point)] = impact.Fate{Kept: true, By: d.By, Tier: cmp.Or(d.Tier, undecided)}
	}
	return kept
}

// refOf is the ref of a point that decideKeys decided about.
func refOf(p *retention.Point) repo.Ref {
	return repo.Ref{Source: p.Source, Kind: p.Kind, ID: p.ID, Parent: p.Parent}
}

// loadBases reads the manifests of the base backups among points where the rule wal is
// given, or WAL is archived: what stays depends on when they ended and where they
// begin, which no key says.
func loadBases(ctx context.Context, r *repo.Repository, points []repo.Listed, rules retention.Rules, known archives) error {
	if rules.WAL.IsZero() && len(known) == 0 {
		return nil
	}
	return loadSome(ctx, r, points, isPhysical)
}

func isPhysical(l *repo.Listed) bool { return l.Kind == retention.KindPhysical }

// loadSome reads the manifests of the points that want says and that are not
// loaded yet.
func loadSome(ctx context.Context, r *repo.Repository, points []repo.Listed, want func(*repo.Listed) bool) error {
	var which []int
	var some []repo.Listed
	for i := range points {
		if points[i].Manifest == nil && want(&points[i]) {
			which = append(which, i)
			some = append(some, points[i])
		}
	}
	if len(some) == 0 {
		return nil
	}
	if err := r.LoadManifests(ctx, some); err != nil {
		return err
	}
	for n, i := range which {
		points[i] = some[n]
	}
	return nil
}

// decide lists the points of a filter and decides what happens to each. Whole
// sources are looked at even for one kind: an unreadable manifest of any kind
// protects all of its source.
//
// withWAL adds what happens to archived WAL. Who deletes decides that when it is known
// which base backups are really gone, see runWAL.
func (opts Options) decide(ctx context.Context, f repo.Filter, withWAL bool) (Outcome, []repo.Listed, error) {
	listed, err := opts.Repo.List(ctx, repo.Filter{Source: f.Source})
	if err != nil {
		return Outcome{}, nil, err
	}
	if opts.Match != nil {
		listed = slices.DeleteFunc(listed, func(l repo.Listed) bool { return !opts.Match(l.Source) })
	}
	found, unseen, err := opts.survey(ctx, f)
	if err != nil {
		return Outcome{}, nil, err
	}
	if opts.archives, err = opts.archivesOf(ctx, found); err != nil {
		return Outcome{}, nil, err
	}
	out, err := opts.guarded(ctx, listed, f)
	if err == nil {
		err = opts.spareLocked(ctx, &out)
	}
	out.spareBlind(unseen)
	out.addTiers(listed)
	opts.tellNoArchive(listed, found, unseen, f, &out)
	if err == nil && withWAL {
		err = opts.planWAL(ctx, listed, found, &out)
	}
	return out, listed, err
}

// guarded decides about whole sources: what the rules say by keys alone, less what
// the restrictions keep, less what is in doubt. Manifests are read, and data is
// looked for, only of sources that would lose points; those of listed are filled
// in. The outcome has the points that f matches.
//
// Points of listed that were deleted since (Listed.Deleted) are decided about and
// nothing of them is read.
func (opts Options) guarded(ctx context.Context, listed []repo.Listed, f repo.Filter) (Outcome, error) {
	if err := loadBases(ctx, opts.Repo, listed, opts.Rules, opts.archives); err != nil {
		return Outcome{}, err
	}
	out := opts.byRules(listed, f)
	losing := out.losing()
	if err := loadSome(ctx, opts.Repo, listed, func(l *repo.Listed) bool { return losing[l.Source] }); err != nil {
		return Outcome{}, err
	}
	unreadable := unreadableSources(listed)
	if slices.ContainsFunc(out.Delete, func(d Decision) bool { return len(unreadable[d.Source]) > 0 }) {
		out = opts.byRules(listed, f) // with what is unreadable set aside
	}
	out, err := opts.checkStanding(ctx, listed, f, out)
	if err != nil {
		return out, err
	}
	out.addFacts(listed)
	out.spareUnreadable(listed, unreadable)
	if err := opts.checkData(ctx, listed, &out); err != nil {
		return out, err
	}
	if err := opts.spareOthers(ctx, listed, &out); err != nil {
		return out, err
	}
	return out, guard(listed, out.Delete, opts.Now)
}

// byRules is the outcome by the rules and the restrictions.
func (opts Options) byRules(listed []repo.Listed, f repo.Filter) Outcome {
	plan := decideKeys(listed, opts.Rules, opts.Now, opts.archives)
	out := opts.newOutcome()
	wanted := func(p *retention.Point) bool {
		return (f.Kind == "" || p.Kind == f.Kind) && (f.Source == "" || p.Source == f.Source)
	}
	for _, d := range plan.Keep {
		if wanted(d.Point) {
			out.Keep = append(out.Keep, opts.decision(d))
		}
	}
	for _, d := range plan.Delete {
		if wanted(d.Point) {
			out.Delete = append(out.Delete, opts.decision(d))
		}
	}
	out.restrict(listed, opts.Restrict, opts.Now, opts.archives)
	return out
}

func (opts Options) decision(d retention.Decision) Decision {
	p := d.Point
	return Decision{
		ID: p.ID, Reasons: d.Reasons, Source: p.Source, Kind: p.Kind, Start: p.Start.UTC(), Tier: d.Tier,
		Restorable: p.Verified && !p.Start.After(opts.Now.Add(retention.FutureSkew)), ref: refOf(p), tier: d.Tier,
	}
}

// losing are the sources that lose points.
func (o Outcome) losing() map[string]bool {
	losing := map[string]bool{}
	for _, d := range o.Delete {
		losing[d.Source] = true
	}
	return losing
}

// unreadableSources gives, by source, the keys of the manifests that can not be
// read, as far as was looked at.
func unreadableSources(listed []repo.Listed) map[string][]string {
	keys := map[string][]string{}
	for i := range listed {
		if l := &listed[i]; l.Problem != nil {
			keys[sourceOf(*l)] = append(keys[sourceOf(*l)], l.Key)
		}
	}
	return keys
}

// spareUnreadable keeps all of a source of which a manifest can not be read.
func (o *Outcome) spareUnreadable(listed []repo.Listed, unreadable map[string][]string) {
	for i := range listed {
		if l := &listed[i]; l.Problem != nil {
			o.warn(sourceOf(*l), unreadableWarning(sourceOf(*l), *l))
		}
	}
	for source, keys := range unreadable {
		o.spare(source, "nothing of this source is deleted while "+strings.Join(keys, ", ")+" can not be read")
	}
}

// sourceOf finds the source of a manifest even when its key has no valid form: a
// file that somebody renamed protects the source it lies in.
func sourceOf(l repo.Listed) string {
	if l.Source != "" {
		return l.Source
	}
	parts := strings.Split(l.Key, "/") // manifests/<source>/…
	if len(parts) < 3 {
		return ""
	}
	name, err := url.PathUnescape(parts[1])
	if err != nil {
		return parts[1]
	}
	return name
}

func unreadableWarning(source string, l repo.Listed) string {
	return fmt.Sprintf("nothing of %s is deleted: %v; restore %s from a version or a replica, or move it away", source, l.Problem, l.Key)
}
