package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/cost"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
)

// estimateTimeout bounds how long a repository is listed for an estimate.
const estimateTimeout = 2 * time.Minute

// estimate is what the points of a repository cost by a policy, from a price
// list. It is never a bill.
type estimate struct {
	Points      int             `json:"points"` // all of the repository
	Bytes       int64           `json:"bytes"`
	MonthlyUSD  float64         `json:"monthly_usd"`
	Prices      string          `json:"prices"` // whose, and of when
	PriceDate   string          `json:"price_date"`
	PriceRegion string          `json:"price_region"`
	Note        string          `json:"note"`
	Classes     []classEstimate `json:"classes"`
	Warnings    []string        `json:"warnings"`
}

// classEstimate is the part of one storage class.
type classEstimate struct {
	Class      string  `json:"class"`
	Points     int     `json:"points"`
	Bytes      int64   `json:"bytes"`
	MonthlyUSD float64 `json:"monthly_usd"`
	// What it takes to read the largest of its points back, once.
	RestoreUSD         float64 `json:"restore_usd"`
	RestoreWaitSeconds int64   `json:"restore_wait_seconds"`

	largest int64
	stored  []cost.Stored
}

// estimate lists the repository. It is nil for a directory, which has no prices.
//
// A point is taken to be in the class the policy gives its tier at its age: what
// the bucket's lifecycle really did is not looked at.
func (a *app) estimate(ctx context.Context, r *repo.Repository, d policy.Document) (*estimate, error) {
	at, err := a.place()
	if err != nil || at.IsDirectory() {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, estimateTimeout, errors.New("listing the repository took too long"))
	defer cancel()
	points, err := r.List(ctx, repo.Filter{})
	if err != nil {
		return nil, errors.Join(err, context.Cause(ctx))
	}
	sizes, err := r.Sizes(ctx, repo.Filter{})
	if err != nil {
		return nil, errors.Join(err, context.Cause(ctx))
	}
	rules, err := d.Rules()
	if err != nil {
		return nil, err
	}
	prices, err := regionPrices(at)
	if err != nil {
		return nil, err
	}
	e := &estimate{Prices: prices.String(), PriceDate: prices.Date, PriceRegion: prices.Region, Warnings: nonNil(prices.Warnings(d)),
		Note: "estimate from list prices, not a bill: storage of every point in the repository, in the class this policy gives it"}
	byClass := map[string]*classEstimate{}
	for _, p := range points {
		bytes, tier := sizes[p.String()], cmp.Or(p.Tier, rules.UploadTier())
		age := max(0, a.now().Sub(p.Start))
		class := d.Storage.ClassAt(tier, age)
		c := byClass[class]
		if c == nil {
			c = &classEstimate{Class: class}
			byClass[class] = c
		}
		c.Points++
		c.Bytes += bytes
		c.largest = max(c.largest, bytes)
		if stored, known := cost.Point(bytes, age, class); known {
			c.stored = append(c.stored, stored)
		}
	}
	for _, name := range storageclass.Names() {
		c := byClass[name]
		if c == nil {
			continue
		}
		c.MonthlyUSD = prices.Monthly(slices.Values(c.stored))
		usd, wait := prices.Retrieval(name, c.largest, cost.ObjectsOf(c.largest))
		c.RestoreUSD, c.RestoreWaitSeconds = usd, int64(wait.Seconds())
		e.Points += c.Points
		e.Bytes += c.Bytes
		e.MonthlyUSD += c.MonthlyUSD
		e.Classes = append(e.Classes, *c)
	}
	e.Classes = nonNil(e.Classes)
	return e, nil
}

// regionPrices are those of the bucket's region, as far as it is named.
func regionPrices(at location.Location) (cost.Table, error) {
	return location.Prices(at, cmp.Or(os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")), nil)
}

// rows tells the estimate to people; nil has none.
func (e *estimate) rows() [][]string {
	if e == nil {
		return nil
	}
	rows := [][]string{{"estimated cost", fmt.Sprintf("%s a month for the %s (%s) in the repository; %s: an estimate, not a bill",
		usd(e.MonthlyUSD), plural(int64(e.Points), "point"), size(e.Bytes), e.Prices)}}
	for _, c := range e.Classes {
		text := fmt.Sprintf("%s a month for %s (%s); reading the largest back costs about %s", usd(c.MonthlyUSD), plural(int64(c.Points), "point"), size(c.Bytes), usd(c.RestoreUSD))
		if c.RestoreWaitSeconds > 0 {
			text += fmt.Sprintf(" and begins after up to %s", age(time.Duration(c.RestoreWaitSeconds)*time.Second))
		}
		rows = append(rows, []string{"  in " + c.Class, text})
	}
	for _, w := range e.Warnings {
		rows = append(rows, []string{"  note", w})
	}
	return rows
}

// usd writes an amount for people: "$12.30", "under $0.01".
func usd(amount float64) string {
	switch {
	case amount <= 0:
		return "$0"
	case amount < 0.01:
		return "under $0.01"
	}
	return fmt.Sprintf("$%.2f", amount)
}
