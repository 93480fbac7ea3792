package main

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// lane is the points of one source and kind.
type lane struct {
	source, kind string
	points       []repo.Listed // newest first
	newest       *repo.Listed  // the newest good one, with its manifest; nil for none
}

const (
	// surveyed is how many lanes are looked at at once.
	surveyed = 8
	// lookedAt bounds how many manifests of a lane are read to find out whether a
	// policy made it: points taken by hand, or under another policy, may be on top.
	lookedAt = 50
)

// survey lists the sources that are backed up under a policy, or all where name is
// "", with the newest good point of each. A point counts for its source whoever
// made it. A source of which nothing can be read belongs to every policy: it is
// better told twice than never.
func (a *app) survey(ctx context.Context, r *repo.Repository, f repo.Filter, name string) ([]lane, error) {
	points, err := r.List(ctx, f)
	if err != nil {
		return nil, err
	}
	index := map[[2]string]int{}
	var lanes []lane
	for _, p := range points {
		if p.Source == "" || f.Kind != "" && p.Kind != f.Kind {
			continue // a key that is not understood; list and rotate tell of it
		}
		at, known := index[[2]string{p.Source, p.Kind}]
		if !known {
			at = len(lanes)
			index[[2]string{p.Source, p.Kind}] = at
			lanes = append(lanes, lane{source: p.Source, kind: p.Kind})
		}
		lanes[at].points = append(lanes[at].points, p)
	}
	now := a.now()
	under := make([]bool, len(lanes))
	if err := parallel.Each(ctx, surveyed, len(lanes), func(ctx context.Context, i int) (err error) {
		under[i], err = lanes[i].look(ctx, r, name, now)
		return err
	}); err != nil {
		return nil, err
	}
	var list []lane
	for i, l := range lanes {
		if under[i] {
			list = append(list, l)
		}
	}
	slices.SortFunc(list, func(a, b lane) int { return cmp.Or(cmp.Compare(a.source, b.source), cmp.Compare(a.kind, b.kind)) })
	return list, nil
}

// look finds the newest good point, and whether the policy makes the lane. What is
// dated in the future says nothing about the age of a backup.
func (l *lane) look(ctx context.Context, r *repo.Repository, policy string, now time.Time) (under bool, err error) {
	read := 0
	under = policy == ""
	for i := range l.points {
		p := &l.points[i]
		if under && l.newest != nil || l.newest != nil && read >= lookedAt {
			break
		}
		if p.Problem != nil || p.Start.After(now.Add(retention.FutureSkew)) || read >= lookedAt && !p.Verified() {
			continue
		}
		if err := r.LoadManifests(ctx, l.points[i:i+1]); err != nil {
			return false, err
		}
		if p.Manifest == nil {
			continue
		}
		read++
		if l.newest == nil && p.Verified() {
			l.newest = p
		}
		under = under || p.Manifest.Policy == policy
	}
	return under || read == 0, nil
}

// status holds the lane against what is promised; zero promises nothing.
func (l *lane) status(now time.Time, promised duration.Duration) sourceStatus {
	s := sourceStatus{Source: l.source, Kind: l.kind}
	if !promised.IsZero() {
		// Months and years count back from now.
		most := int64(now.Sub(promised.SubtractFrom(now, time.UTC)) / time.Second)
		s.MaxAge = &most
	}
	if l.newest == nil {
		return s
	}
	start := started(*l.newest).UTC()
	seconds := max(0, int64(now.Sub(start)/time.Second))
	s.Newest, s.Start, s.Age = &l.newest.ID, &start, &seconds
	s.Fresh = s.MaxAge == nil || seconds <= *s.MaxAge
	return s
}

// matching keeps the lanes whose source matches; nil matches all.
func matching(lanes []lane, match func(string) bool) []lane {
	return slices.DeleteFunc(lanes, func(l lane) bool { return match != nil && !match(l.source) })
}
