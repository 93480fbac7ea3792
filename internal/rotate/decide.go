package rotate

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// decide reads the points of a filter and applies the rules and the guards.
// Whole sources are read even for one kind: an unreadable manifest of any kind
// protects all of its source.
func (opts Options) decide(ctx context.Context, f repo.Filter) (Outcome, error) {
	listed, err := opts.Repo.List(ctx, repo.Filter{Source: f.Source})
	if err != nil {
		return Outcome{}, err
	}
	if opts.Match != nil {
		listed = slices.DeleteFunc(listed, func(l repo.Listed) bool { return !opts.Match(l.Source) })
	}
	if err := opts.Repo.LoadManifests(ctx, listed); err != nil {
		return Outcome{}, err
	}
	points := make([]retention.Point, len(listed))
	at := make(map[*retention.Point]*repo.Listed, len(listed))
	unreadable := map[string][]string{} // source -> keys of its unreadable manifests
	out := opts.newOutcome()
	for i := range listed {
		l := &listed[i]
		points[i] = point(*l)
		at[&points[i]] = l
		if l.Problem != nil {
			source := sourceOf(*l)
			unreadable[source] = append(unreadable[source], l.Key)
			out.warn(source, unreadableWarning(source, *l))
		}
	}
	plan := retention.Decide(retention.Input{Points: points, Rules: opts.Rules, Now: opts.Now})
	wanted := func(p *retention.Point) bool {
		return (f.Kind == "" || p.Kind == f.Kind) && (f.Source == "" || p.Source == f.Source)
	}
	for _, d := range plan.Keep {
		if wanted(d.Point) {
			out.Keep = append(out.Keep, decision(d, at[d.Point]))
		}
	}
	for _, d := range plan.Delete {
		if !wanted(d.Point) {
			continue
		}
		it := decision(d, at[d.Point])
		if keys := unreadable[it.Source]; len(keys) > 0 {
			out.Keep = append(out.Keep, it.kept("nothing of this source is deleted while "+strings.Join(keys, ", ")+" can not be read"))
			continue
		}
		out.Delete = append(out.Delete, it)
	}
	if err := opts.checkData(ctx, listed, &out); err != nil {
		return out, err
	}
	return out, guard(listed, out.Delete, opts.Now)
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

// point is what the rules need to know of a listed point.
func point(l repo.Listed) retention.Point {
	p := retention.Point{
		ID: l.ID, Source: l.Source, Kind: l.Kind, Start: l.Start, Parent: l.Parent,
		Verified: l.Verified(), Held: l.Held, Condemned: l.Condemned, Unreadable: l.Problem != nil,
	}
	if l.Manifest != nil {
		p.Start, p.End = l.Manifest.Start, l.Manifest.End
	}
	return p
}

func decision(d retention.Decision, l *repo.Listed) Decision {
	out := Decision{ID: l.ID, Reasons: d.Reasons, Source: l.Source, Kind: l.Kind, Start: d.Point.Start.UTC(), ref: l.Ref}
	if l.Manifest != nil {
		out.Bytes = l.Manifest.StoredSize()
	}
	return out
}

// kept is the decision of a point that the rules would delete and that stays.
func (d Decision) kept(why string) Decision {
	d.Reasons = append([]string{why}, d.Reasons...) // reasons may share memory
	return d
}

// sources lists the sources of an outcome, in alphabetical order. Points without
// one are strangers' files, which nobody decides about.
func (o Outcome) sources() []string {
	var names []string
	for _, d := range slices.Concat(o.Keep, o.Delete) {
		if d.Source != "" {
			names = append(names, d.Source)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// of is the part of an outcome that is about one source.
func (o Outcome) of(source string) Outcome {
	other := func(d Decision) bool { return d.Source != source }
	o.Keep = slices.DeleteFunc(slices.Clone(o.Keep), other)
	o.Delete = slices.DeleteFunc(slices.Clone(o.Delete), other)
	o.warnings = slices.DeleteFunc(slices.Clone(o.warnings), func(w warning) bool { return w.source != source })
	return o
}

func (o Outcome) keepAll(why string) Outcome {
	for _, d := range o.Delete {
		o.Keep = append(o.Keep, d.kept(why))
	}
	o.Delete = nil
	return o
}

func (o *Outcome) add(part Outcome) {
	o.Keep = append(o.Keep, part.Keep...)
	o.Delete = append(o.Delete, part.Delete...)
	o.warnings = append(o.warnings, part.warnings...)
}

// warning is one about a source, or about no source in particular.
type warning struct{ source, text string }

func (o *Outcome) warn(source, text string) { o.warnings = append(o.warnings, warning{source, text}) }

// told is the outcome with its warnings as users get them.
func (o Outcome) told() Outcome {
	for _, w := range o.warnings {
		o.Warnings = append(o.Warnings, w.text)
	}
	return o
}
