//go:build bench

package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// A repository of a million points: so many sources, each with so many nights.
const (
	manySources = 500
	manyNights  = 2000
)

const (
	ourListing  = "listing"
	pageByPage  = "one list, page by page"
	ourDecision = "decision from the listing"
)

// listings lists a million points the way a plan and a rotation do, against the
// same store asked for the same keys by one listing, page after page.
func (b *bench) listings() {
	url := fmt.Sprintf("s3://%s/many?region=%s&endpoint=%s", b.s3.Bucket, b.s3.Region, b.s3.Endpoint)
	b.must(run(b.ctx, b.env, *runnerBin, "init", "--repository", url))
	now := time.Now().UTC().Truncate(time.Second)
	b.makePoints(filepath.Join(b.s3.Dir, b.s3.Bucket, "many", "manifests"), now)
	for _, e := range b.s3.Env() {
		b.setenv(e)
	}
	store, r := b.openRepository(url)
	for range *rounds {
		begun := time.Now()
		keys := 0
		for _, err := range store.List(b.ctx, "manifests/") {
			if err != nil {
				b.t.Fatal(err)
			}
			keys++
		}
		b.measure(pageByPage, sample{wall: time.Since(begun)})

		begun = time.Now()
		points, err := r.List(b.ctx, repo.Filter{})
		if err != nil || len(points) != keys {
			b.t.Fatalf("%d points of %d keys, %v", len(points), keys, err)
		}
		b.measure(ourListing, sample{wall: time.Since(begun)})
		b.decide(points, now)
	}
}

// decide applies rules to what was listed.
func (b *bench) decide(listed []repo.Listed, now time.Time) {
	begun := time.Now()
	points := make([]retention.Point, len(listed))
	for i, l := range listed {
		points[i] = retention.Point{ID: l.ID, Source: l.Source, Kind: l.Kind, Start: l.Start, Verified: l.Verified()}
	}
	rules := retention.Rules{Keep: retention.Keep{KeepLast: 3, KeepDaily: 30, KeepWeekly: 12, KeepMonthly: 12, KeepYearly: 7}}
	plan := retention.Decide(retention.Input{Points: points, Rules: rules, Now: now})
	if len(plan.Keep)+len(plan.Delete) != len(points) {
		b.t.Fatal("the plan does not cover the points")
	}
	b.measure(ourDecision, sample{wall: time.Since(begun)})
}

// makePoints puts manifests where the server keeps its objects: listing reads
// their keys alone.
func (b *bench) makePoints(folder string, now time.Time) {
	for s := range manySources {
		dir := filepath.Join(folder, fmt.Sprintf("db%04d", s), "logical")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.t.Fatal(err)
		}
		for n := range manyNights {
			id := repo.NewID(now.AddDate(0, 0, -n))
			if err := os.WriteFile(filepath.Join(dir, id+".json"), []byte("{}"), 0o644); err != nil {
				b.t.Fatal(err)
			}
		}
	}
}

func (b *bench) openRepository(url string) (objstore.Store, *repo.Repository) {
	at, err := location.Parse(url)
	if err != nil {
		b.t.Fatal(err)
	}
	store, err := location.Open(b.ctx, at, location.OpenOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	r, err := repo.Open(b.ctx, store, repo.OpenOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	return store, r
}
