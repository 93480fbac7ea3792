// Package runbook writes what to do when data is lost: a Markdown page with the
// commands for each disaster, from what is declared and what is in the repository
// at the moment it is written (M8).
//
// What lives here: gathering the facts and writing the page. What must not: doing
// any of it.
package runbook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Facts are all that a runbook is written from.
type Facts struct {
	Declared
	Written time.Time
	Sealed  bool
	Policy  *policy.Document // nil without one
	// Revision of the policy.
	Revision int
	Sources  []Source // by name and kind
	Strange  int      // points that can not be read
}

// Declared is what the repository does not know of itself.
type Declared struct {
	Title      string
	Repository string // URL
	Replica    string // URL of the copy in another region, "" for none
	Key        string // reference of the encryption key, "" where none is known
	Job        string // the job file that commands are to name, "" for --repository
	Contacts   []Contact
}

// Contact is somebody to call.
type Contact struct{ Name, Role, Reach string }

// Source is what can be restored of one source and kind.
type Source struct {
	Source, Kind string
	Points       int            // good ones
	Condemned    int            // found bad
	Newest       *repo.Manifest // the newest good one
	Oldest       *repo.Listed   // the oldest good one
	// Last is the newest report of a drill, Proven the newest that proved a backup.
	Last, Proven *drillreport.Report
	// Log is of base backups, nil of all others.
	Log *Log
}

// drillsRead is how many reports of each drill and source are looked through for
// one that proved a backup.
const drillsRead = 20

// Gather reads the facts about what is backed up under a policy, or about all of
// the repository where policyName is "".
func Gather(ctx context.Context, r *repo.Repository, policyName string, d Declared, now time.Time) (Facts, error) {
	f := Facts{Declared: d, Written: now.UTC(), Sealed: r.Sealed()}
	f.Repository = cmp.Or(f.Repository, r.URL())
	if policyName != "" {
		revision, err := r.CurrentPolicy(ctx, policyName)
		if err != nil {
			return f, err
		}
		f.Policy, f.Revision = &revision.Document, revision.Number
	}
	points, err := r.List(ctx, repo.Filter{})
	if err != nil {
		return f, err
	}
	if err := f.addSources(ctx, r, points, policyName); err != nil {
		return f, err
	}
	if err := f.addLogs(ctx, r); err != nil {
		return f, err
	}
	return f, f.addDrills(ctx, r)
}

func (f *Facts) addSources(ctx context.Context, r *repo.Repository, points []repo.Listed, policyName string) error {
	lanes := map[[2]string][]repo.Listed{}
	for _, p := range points {
		if p.Source == "" || p.Problem != nil {
			f.Strange++
			continue
		}
		lane := [2]string{p.Source, p.Kind}
		lanes[lane] = append(lanes[lane], p)
	}
	found := make([]Source, 0, len(lanes))
	for lane := range lanes {
		found = append(found, Source{Source: lane[0], Kind: lane[1]})
	}
	slices.SortFunc(found, func(a, b Source) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Kind, b.Kind))
	})
	const readers = 8
	err := parallel.Each(ctx, readers, len(found), func(ctx context.Context, i int) error {
		return found[i].look(ctx, r, lanes[[2]string{found[i].Source, found[i].Kind}])
	})
	if err != nil {
		return err
	}
	for _, s := range found {
		// What is only bad is told of too: nobody should look for it in vain.
		if policyName == "" || s.Newest == nil || s.Newest.Policy == policyName {
			f.Sources = append(f.Sources, s)
		}
	}
	return nil
}

// look goes through the points of a source and kind, newest first.
func (s *Source) look(ctx context.Context, r *repo.Repository, points []repo.Listed) error {
	for i := range points {
		p := &points[i]
		if !p.Verified() {
			s.Condemned++
			continue
		}
		if s.Newest == nil {
			m, err := r.Manifest(ctx, p.Ref)
			if errors.Is(err, repo.ErrDamaged) || errors.Is(err, repo.ErrNewerFormat) || errors.Is(err, repo.ErrNotFound) {
				continue // the one before it is then the newest that helps
			}
			if err != nil {
				return fmt.Errorf("read what there is of %s: %w", s.Source, err)
			}
			s.Newest = m
		}
		s.Points++
		s.Oldest = p
	}
	return nil
}

func (f *Facts) addDrills(ctx context.Context, r *repo.Repository) error {
	reports, err := r.DrillReports(ctx, repo.DrillFilter{Newest: drillsRead})
	if err != nil {
		return err
	}
	for i := range f.Sources {
		s := &f.Sources[i]
		for _, d := range reports { // newest first
			if d.Report == nil || d.Source != s.Source || d.Report.Point.Kind != s.Kind {
				continue
			}
			if s.Last == nil {
				s.Last = d.Report
			}
			if s.Proven == nil && d.Report.Outcome == drillreport.Proven {
				s.Proven = d.Report
			}
		}
	}
	return nil
}
