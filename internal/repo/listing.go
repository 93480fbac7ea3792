package repo

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
)

// Listed is one recovery point as the listing knows it, from keys alone.
type Listed struct {
	Ref
	Start     time.Time // from the id, second precision
	Held      bool
	Condemned bool
	// Committed is when the point became visible, by the store's clock; Start
	// where that is not known: in a copied repository, and of a deleted point, whose
	// tombstone tells.
	Committed time.Time
	// Deleted is when its deletion began, by the store's clock; zero for a point
	// that is there. Only a History knows of deleted points.
	Deleted time.Time
	// Tier is what the newest tier mark says, with the policy that set it; "" when
	// there is none: then the point is in the tier its manifest names.
	Tier       string
	TierPolicy string
	// Problem is why the point can not be read; nil when it can, as far as was
	// looked at. Such a point is never deleted, nor is anything of its source.
	Problem error
	// Key of the manifest, for messages about it.
	Key string
	// Manifest is filled by LoadManifests, and so are End and System.
	Manifest *Manifest
	// End is when the backup ended, as its manifest says or, of a deleted point, its
	// tombstone; zero where nobody has read that. Of a base backup it is no earlier than
	// the moment from which on it can be recovered.
	End time.Time
	// System identifier of the server, from the same places.
	System string
}

// Verified tells whether the point counts as good: committed points were
// verified before they became visible, and stay so until condemned.
func (l Listed) Verified() bool { return !l.Condemned && l.Problem == nil }

// CurrentTier is the tier a point is in: the one it was put into last or, once its
// manifest is loaded, the one it was uploaded in. "" when no policy has tiers.
func (l Listed) CurrentTier() string {
	if l.Tier == "" && l.Manifest != nil {
		return l.Manifest.Tier
	}
	return l.Tier
}

// Filter of List. Empty fields match everything.
type Filter struct{ Source, Kind string }

func (f Filter) prefix() string {
	if f.Source == "" {
		return ""
	}
	p := escape(f.Source) + "/"
	if f.Kind != "" {
		p += escape(f.Kind) + "/"
	}
	return p
}

// List returns the committed points, newest first by start time. It reads keys
// only: LISTs of the manifests and of the marks, several at once. A manifest key
// that is not understood is returned with its Problem.
func (r *Repository) List(ctx context.Context, f Filter) ([]Listed, error) {
	h, err := r.history(ctx, f, manifestsPrefix, holdsPrefix, condemnedPrefix, tiersPrefix)
	if err != nil {
		return nil, err
	}
	return h.now(), nil
}

func damagedKey(err error) error {
	return fmt.Errorf("%w: %w; move it out of %s if it is not pgbackup's", ErrDamaged, err, manifestsPrefix)
}

// loaders is how many manifests are read at once.
const loaders = 16

// LoadManifests reads the manifest of every point that is there. One that is
// damaged, of a newer format or gone is reported in the point's Problem; an error is
// returned only when reading itself is not possible (network, rights), and then not
// all were read.
func (r *Repository) LoadManifests(ctx context.Context, points []Listed) error {
	var wanted []*Listed
	for i := range points {
		if points[i].Problem == nil && points[i].Deleted.IsZero() {
			wanted = append(wanted, &points[i])
		}
	}
	return parallel.Each(ctx, loaders, len(wanted), func(ctx context.Context, i int) error {
		l := wanted[i]
		m, err := r.Manifest(ctx, l.Ref)
		if err == nil {
			l.Manifest, l.End, l.System = m, m.ended(), m.Server.SystemIdentifier
			err = r.Complete(ctx, m)
		}
		switch {
		case err == nil:
		case errors.Is(err, ErrDamaged), errors.Is(err, ErrNewerFormat), errors.Is(err, ErrNotFound), errors.Is(err, ErrNotCopied):
			l.Problem = err
		default:
			return err
		}
		return nil
	})
}

// Find returns the committed point that name means: "latest", an id, or the
// beginning of one, among the points that the filter matches. latest passes
// over condemned and unreadable points.
func (r *Repository) Find(ctx context.Context, name string, f Filter) (Listed, error) {
	points, err := r.List(ctx, f)
	if err != nil {
		return Listed{}, err
	}
	scope := ""
	if f.Source != "" {
		scope = " of source " + f.Source
	}
	if name == "latest" {
		return r.latest(ctx, points, scope)
	}
	if name == "" {
		return Listed{}, fmt.Errorf("a recovery point without a name: %w; give its id, the beginning of it, or latest", ErrNotFound)
	}
	var found []Listed
	for _, p := range points {
		if p.ID == name || p.ID != "" && strings.HasPrefix(p.ID, name) || p.String() == name {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 0:
		return Listed{}, fmt.Errorf("recovery point %q%s: %w; `pgbackup-runner list` shows what there is", name, scope, ErrNotFound)
	case 1:
		if r.copied && found[0].Problem == nil {
			if err := r.LoadManifests(ctx, found); err != nil {
				return found[0], err
			}
		}
		return found[0], found[0].Problem
	}
	return Listed{}, fmt.Errorf("recovery point %q%s is %w: %s and %s begin like that", name, scope, ErrAmbiguous, found[0].Ref, found[1].Ref)
}

func (r *Repository) latest(ctx context.Context, points []Listed, scope string) (Listed, error) {
	sources := map[string]bool{}
	for _, p := range points {
		sources[p.Source] = true
	}
	if len(sources) > 1 {
		names := make([]string, 0, len(sources))
		for s := range sources {
			names = append(names, s)
		}
		sort.Strings(names)
		return Listed{}, fmt.Errorf("latest is %w: there are %d sources (%s); say which with --source", ErrAmbiguous, len(sources), strings.Join(names, ", "))
	}
	for i := range points {
		if !points[i].Verified() {
			continue
		}
		if err := r.LoadManifests(ctx, points[i:i+1]); err != nil {
			return Listed{}, err
		}
		if points[i].Problem == nil {
			return points[i], nil
		}
		r.log.Warn("the newest recovery point can not be read, taking the one before it", "point", points[i].String(), "error", points[i].Problem)
	}
	return Listed{}, fmt.Errorf("no good recovery point%s: %w", scope, ErrNotFound)
}
