package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// listedPoint is a point in the document of `list --json`, which others rely on.
type listedPoint struct {
	ID       string     `json:"id"`
	Source   string     `json:"source"`
	Kind     string     `json:"kind"`
	Start    time.Time  `json:"start"`
	End      *time.Time `json:"end"`   // null when the manifest can not be read
	Bytes    int64      `json:"bytes"` // stored
	Verified bool       `json:"verified"`
	Held     bool       `json:"held"`
	Tier     *string    `json:"tier"` // null when it is in none
	Problem  string     `json:"problem,omitempty"`
}

func newList(a *app) *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the recovery points, newest first", Args: cobra.NoArgs,
		Example: "  pgbackup-runner list --repository file:///var/backups/pg\n  pgbackup-runner list --json | jq '.points[0]'",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.list(cmd.Context(), kind) },
	}
	cmd.Flags().StringVar(&kind, "kind", "", "only points of this `KIND`, such as logical")
	return cmd
}

func (a *app) list(ctx context.Context, kind string) error {
	r, err := a.open(ctx)
	if err != nil {
		return err
	}
	points, err := r.List(ctx, a.filter(kind))
	if err != nil {
		return err
	}
	if len(points) == 0 {
		if err := a.checkSelection(ctx, r, kind); err != nil {
			return err
		}
	}
	if err := r.LoadManifests(ctx, points); err != nil {
		return err
	}
	// Ids order by the second; the manifests know better.
	slices.SortStableFunc(points, func(a, b repo.Listed) int { return started(b).Compare(started(a)) })
	unreadable := 0
	for _, p := range points {
		if p.Problem != nil {
			unreadable++
			a.warn("recovery point can not be read: " + p.Problem.Error())
		}
	}
	if a.flags.json {
		err = a.printJSON(listing(points))
	} else if !a.flags.quiet {
		err = a.listTable(r, points)
	}
	if err == nil && unreadable > 0 {
		return errWarned
	}
	return err
}

// started is when a point started, as exactly as is known.
func started(p repo.Listed) time.Time {
	if p.Manifest != nil {
		return p.Manifest.Start
	}
	return p.Start
}

func listing(points []repo.Listed) any {
	out := struct {
		Points []listedPoint `json:"points"`
	}{Points: []listedPoint{}}
	for _, p := range points {
		l := listedPoint{ID: p.ID, Source: p.Source, Kind: p.Kind, Start: p.Start.UTC(), Verified: p.Verified(), Held: p.Held}
		if m := p.Manifest; m != nil {
			end := m.End.UTC()
			l.Start, l.End, l.Bytes = m.Start.UTC(), &end, m.StoredSize()
		}
		if tier := p.CurrentTier(); tier != "" {
			l.Tier = &tier
		}
		if p.Problem != nil {
			l.Problem = oneLine(p.Problem.Error())
		}
		out.Points = append(out.Points, l)
	}
	return out
}

func (a *app) listTable(r *repo.Repository, points []repo.Listed) error {
	if len(points) == 0 {
		a.say("No recovery points in %s yet. `pgbackup-runner backup` takes one.", r.URL())
		return nil
	}
	now := a.now()
	var rows [][]string
	for _, p := range points {
		row := []string{p.ID, p.Source, p.Kind, stamp(p.Start), age(now.Sub(p.Start)), "-", "-", state(p)}
		if p.ID == "" {
			row[0], row[3], row[4] = p.Key, "-", "-"
		}
		if m := p.Manifest; m != nil {
			row[5] = size(m.StoredSize())
			if m.Kind == logical.Kind {
				row[6] = count(m.Totals.Rows)
			}
		}
		rows = append(rows, row)
	}
	return a.table([]string{"ID", "SOURCE", "KIND", "STARTED", "AGE", "SIZE", "ROWS", "STATE"}, rows)
}

// state says in a word or two how much a point is worth.
func state(p repo.Listed) string {
	s := "verified"
	switch {
	case p.Problem != nil:
		s = "UNREADABLE"
	case p.Condemned:
		s = "BAD"
	}
	if p.Held {
		s += ", held"
	}
	return s
}
