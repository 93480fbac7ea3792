package repo

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// KeyUser is a job whose newest point of a source was made with an outer key.
type KeyUser struct {
	Job    string    `json:"job"`
	Host   string    `json:"host,omitempty"` // that made the point; "" where it did not say
	Source string    `json:"source"`
	Last   time.Time `json:"last"` // when that run began
}

// KeyUsers lists the jobs that used the outer key with the given fingerprint or ARN
// when they last made a point of a source, if that was after since. Jobs that live
// on hosts or in a cluster, where nobody sees their files, are known by nothing
// else. What cannot be read says nothing, and points made by hand are of no job.
func (r *Repository) KeyUsers(ctx context.Context, key string, since time.Time) ([]KeyUser, error) {
	points, err := r.List(ctx, Filter{})
	if err != nil {
		return nil, err
	}
	points = slices.DeleteFunc(points, func(p Listed) bool { return p.Start.Before(since) })
	if err := r.LoadManifests(ctx, points); err != nil {
		return nil, fmt.Errorf("look for the jobs that use a key of %s: %w", r.URL(), err)
	}
	type lane struct{ source, kind, job string }
	newest := map[lane]*Manifest{}
	for _, p := range points {
		m := p.Manifest
		if m == nil || m.Job == "" || m.Seal == nil {
			continue
		}
		at := lane{m.Source, m.Kind, m.Job}
		if known := newest[at]; known == nil || m.Start.After(known.Start) {
			newest[at] = m
		}
	}
	var users []KeyUser
	for at, m := range newest {
		if m.Seal.OuterKey == key {
			users = append(users, KeyUser{Job: at.job, Host: m.Host, Source: at.source, Last: m.Start})
		}
	}
	slices.SortFunc(users, func(a, b KeyUser) int {
		return cmp.Or(cmp.Compare(a.Job, b.Job), cmp.Compare(a.Source, b.Source), a.Last.Compare(b.Last))
	})
	return users, nil
}
