package main

import (
	"context"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/impact"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rotate"
)

// reviewed is what a change means for the points there are, in the document of
// `policy diff --impact`.
type reviewed struct {
	AsOf    time.Time       `json:"as_of"`
	Points  int             `json:"points"` // lost
	Bytes   int64           `json:"bytes"`
	Spared  int             `json:"spared"`
	Waiting int             `json:"waiting"` // of the spared: go once what keeps them is put right
	Gained  int             `json:"gained"`
	Code    string          `json:"code"`              // approves it; empty when nothing is lost, or it is no change one could apply
	NoCode  string          `json:"no_code,omitempty"` // why there is none although something is lost
	Groups  []reviewedGroup `json:"groups"`
	// Windows are since when servers can be recovered to any moment.
	Windows   []reviewedWindow `json:"windows"`
	Sentences []string         `json:"sentences"`
}

type reviewedGroup struct {
	Source       string     `json:"source"`
	Kind         string     `json:"kind"`
	Before       int        `json:"before"`
	After        int        `json:"after"`
	Lost         int        `json:"lost"`
	LostBytes    int64      `json:"lost_bytes"`
	Gained       int        `json:"gained"`
	OldestBefore *time.Time `json:"oldest_before"` // null when there is none
	OldestAfter  *time.Time `json:"oldest_after"`
	GapBefore    int64      `json:"gap_before_seconds"`
	GapAfter     int64      `json:"gap_after_seconds"`
}

type reviewedWindow struct {
	Source string     `json:"source"`
	System string     `json:"system_identifier"`
	Before *time.Time `json:"from_before"` // null when there is none
	After  *time.Time `json:"from_after"`
	Lost   bool       `json:"lost"`
}

// review reads the repository and works out what the change of a policy from one
// document to another loses and gains now. A code only comes with a change that
// Terraform could plan: from what the policy says now, to a document of its name.
func (a *app) review(ctx context.Context, r *repo.Repository, name string, from, to comparedPolicy, newest int) (*reviewed, error) {
	opts := rotate.ReviewOptions{Repo: r, Old: &from.document, New: to.document, Now: a.now()}
	noCode, heldTo := "", ""
	switch {
	case from.Revision != newest:
		noCode = fmt.Sprintf("it is not a change of what policy %s says now: compare with \"current\" for the code that approves it", name)
	case to.document.Name != name:
		noCode = fmt.Sprintf("the document is of another policy, %q", to.document.Name)
	}
	if noCode == "" {
		// A newest revision that nobody approved is no measure, to a plan neither.
		held, _, err := rotate.HeldAgainst(ctx, r, name)
		if err != nil {
			return nil, err
		}
		if opts.Old = held; held.Digest() != from.document.Digest() {
			heldTo = fmt.Sprintf("revision %d was never approved: this is told against the rules it is held to", newest)
		}
	}
	if at, err := a.place(); err == nil {
		if opts.Prices, err = regionPrices(at); err != nil {
			return nil, err
		}
	}
	found, err := rotate.ReviewChange(ctx, opts)
	if err != nil {
		return nil, err
	}
	told := tellReview(found.Live, found.Code)
	if heldTo != "" {
		told.Sentences = append([]string{heldTo}, told.Sentences...)
	}
	if noCode != "" && told.Code != "" {
		told.Code, told.NoCode = "", noCode
	}
	return told, nil
}

func tellReview(i impact.Impact, code string) *reviewed {
	told := &reviewed{AsOf: i.AsOf.UTC(), Points: i.Points, Bytes: i.Bytes, Spared: i.Spared, Waiting: i.Waiting, Gained: i.Gained, Code: code,
		Groups: []reviewedGroup{}, Windows: []reviewedWindow{}, Sentences: nonNil(i.Sentences)}
	for _, g := range i.Groups {
		told.Groups = append(told.Groups, reviewedGroup{
			Source: g.Source, Kind: g.Kind, Before: g.Before, After: g.After, Lost: g.Lost, LostBytes: g.LostBytes, Gained: g.Gained,
			OldestBefore: known(g.OldestBefore), OldestAfter: known(g.OldestAfter), GapBefore: int64(g.GapBefore.Seconds()), GapAfter: int64(g.GapAfter.Seconds()),
		})
	}
	for _, w := range i.Windows {
		told.Windows = append(told.Windows, reviewedWindow{Source: w.Source, System: w.System, Before: known(w.Before), After: known(w.After), Lost: w.Lost})
	}
	return told
}

// known is a moment for JSON, null for none.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// sayReview tells a review to people; nil says nothing.
func (a *app) sayReview(r *reviewed) {
	if r == nil {
		return
	}
	a.say("")
	for _, s := range r.Sentences {
		a.say("%s", printable(s))
	}
	if r.Code != "" {
		a.say("It needs the approval %s.", r.Code)
	}
	if r.NoCode != "" {
		a.say("No code approves this: %s.", printable(r.NoCode))
	}
}
