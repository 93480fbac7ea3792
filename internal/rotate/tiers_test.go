package rotate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// tagStore is what a bucket offers.
type tagStore interface {
	objstore.Store
	objstore.Tagger
	objstore.FolderLister
}

// newBucketFixture is a repository in a real S3 server.
func newBucketFixture(t *testing.T) *fixture {
	t.Helper()
	srv := testenv.S3(t)
	store, err := s3.Open(t.Context(), s3.Config{
		Bucket: srv.Bucket, Prefix: "prod", Region: srv.Region, Endpoint: srv.Endpoint,
		AWSConfig: &aws.Config{Region: srv.Region, Credentials: credentials.NewStaticCredentialsProvider(srv.AccessKey, srv.SecretKey, "")},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Create(t.Context(), objstore.Retry(store, objstore.RetryOptions{}), repo.CreateOptions{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{r, "", t}
}

// tiers are those of all points: by tag, which all data of a point must share, and
// by mark.
func (f *fixture) tiers() (tags, marks map[string]string) {
	f.t.Helper()
	listed, err := f.List(f.t.Context(), repo.Filter{})
	if err != nil {
		f.t.Fatal(err)
	}
	tags, marks = map[string]string{}, map[string]string{}
	for _, l := range listed {
		day := l.Start.Format("01-02")
		if l.Tier != "" {
			marks[day] = l.Tier + "@" + l.TierPolicy
		}
		for _, key := range f.files(l.DataPrefix()) {
			got, err := f.Store().(objstore.Tagger).Tags(f.t.Context(), key)
			if err != nil {
				f.t.Fatal(err)
			}
			tag := got["pgbackup-tier"] + "@" + got["pgbackup-policy"]
			if had, seen := tags[day]; seen && had != tag {
				f.t.Errorf("data of %s is in %s and in %s", l.Ref, had, tag)
			}
			if tag != "@" {
				tags[day] = tag
			}
		}
	}
	return tags, marks
}

func (f *fixture) wantTiers(when string, want map[string]string) {
	f.t.Helper()
	tags, marks := f.tiers()
	if fmt.Sprint(tags) != fmt.Sprint(want) || fmt.Sprint(marks) != fmt.Sprint(want) {
		f.t.Errorf("%s: tags %v\nmarks %v\nwant  %v", when, tags, marks, want)
	}
}

func (f *fixture) tiering(keep retention.Keep) Options {
	opts := f.options(keep)
	opts.Tiers = true
	return opts
}

func run(t *testing.T, opts Options) Outcome {
	t.Helper()
	out, err := Run(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestARotationPutsWhatStaysIntoItsTier(t *testing.T) {
	t.Parallel()
	f := newBucketFixture(t)
	p := f.points("a", 0, 1, 2, 5, 12, 20, 50, 80) // of 2026-03-20, a Friday
	if err := f.Hold(t.Context(), p[2], repo.Mark{At: now}); err != nil {
		t.Fatal(err)
	}
	keep := retention.Keep{KeepDaily: 2, KeepWeekly: 2, KeepMonthly: 3, KeepYearly: 2}
	plain := f.options(keep)
	plain.Now = now.AddDate(0, 0, -1) // without Tiers nothing is tagged
	if _, err := Plan(t.Context(), plain); err != nil {
		t.Fatal(err)
	}
	f.wantTiers("before", map[string]string{})
	run(t, f.tiering(keep))
	first := map[string]string{
		"03-20": "daily@prod", "03-19": "daily@prod", // 03-18 is held: it stays as it is
		"03-15": "weekly@prod", "02-28": "monthly@prod", "01-29": "monthly@prod", "12-30": "yearly@prod",
	}
	f.wantTiers("first", first)
	marks := len(f.files("tiers/"))
	run(t, f.tiering(keep))
	f.wantTiers("again", first)
	if n := len(f.files("tiers/")); n != marks {
		t.Errorf("a rotation with nothing to change wrote %d marks", n-marks)
	}
	// A month later the newest of March is its monthly point, and what was kept by
	// the week is gone.
	later := f.tiering(keep)
	later.Now = now.AddDate(0, 1, 0)
	run(t, later)
	f.wantTiers("a month later", map[string]string{
		"03-20": "monthly@prod", "03-19": "daily@prod", "03-15": "weekly@prod", "02-28": "monthly@prod", "01-29": "monthly@prod", "12-30": "yearly@prod",
	})
}

func TestAPolicyTakesNoPointOfAnotherOneInForceIntoItsTiers(t *testing.T) {
	t.Parallel()
	f := newBucketFixture(t)
	f.revise("other", daily(9), policy.Envelope{})
	f.revise("gone", daily(9), policy.Envelope{})
	f.retire("gone")
	f.made("a", 0, "prod", 1, "")
	f.made("a", 1, "other", 1, "")
	f.made("a", 2, "gone", 1, "")
	f.made("a", 3, "never-was", 1, "")
	f.made("a", 4, "", 0, "")
	f.made("a", 5, "other", 0, "") // under a file of that name, not under the policy
	run(t, f.tiering(daily(9)))
	mine := map[string]string{"03-20": "daily@prod", "03-18": "daily@prod", "03-17": "daily@prod", "03-16": "daily@prod", "03-15": "daily@prod"}
	f.wantTiers("prod", mine)
	theirs := f.tiering(daily(9))
	theirs.Policy = "other"
	run(t, theirs)
	mine["03-19"] = "daily@other"
	// prod is not a policy of this repository: what it marked is anybody's.
	for day := range mine {
		mine[day] = "daily@other"
	}
	f.wantTiers("other", mine)
	run(t, f.tiering(daily(9)))
	f.wantTiers("prod again", mine)
}

// failing lets no more than left objects be tagged.
type failing struct {
	tagStore
	left atomic.Int32
}

var errNoTags = errors.New("tagging is not allowed")

func (f *failing) SetTags(ctx context.Context, key string, tags map[string]string) error {
	if f.left.Add(-1) < 0 {
		return errNoTags
	}
	return f.tagStore.SetTags(ctx, key, tags)
}

func TestTiersThatCouldNotBeSetAreAWarningAndSetNextTime(t *testing.T) {
	t.Parallel()
	f := newBucketFixture(t)
	p := f.points("a", 0, 1, 2)
	for left := range 2 {
		store := &failing{tagStore: f.Store().(tagStore)}
		store.left.Store(int32(left))
		r, err := repo.Open(t.Context(), store, repo.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		opts := f.tiering(daily(2))
		opts.Repo = r
		out := run(t, opts)
		if left == 0 && len(out.Delete) != 1 || out.Keep[0].ID != p[0].ID {
			t.Errorf("tags are no reason to keep or delete: %+v", out)
		}
		if len(out.Warnings) != 1 || !strings.Contains(out.Warnings[0], errNoTags.Error()) {
			t.Errorf("warnings %q", out.Warnings)
		}
	}
	if out := run(t, f.tiering(daily(2))); len(out.Warnings) != 0 {
		t.Errorf("warnings %q", out.Warnings)
	}
	f.wantTiers("at last", map[string]string{"03-20": "daily@prod", "03-19": "daily@prod"})
}

func TestWithoutAPolicyOrTagsThereAreNoTiers(t *testing.T) {
	t.Parallel()
	f := newFixture(t) // a directory has no tags
	f.points("a", 0, 1)
	run(t, f.tiering(daily(2)))
	b := newBucketFixture(t)
	b.points("a", 0, 1)
	opts := b.tiering(daily(2))
	opts.Policy = ""
	run(t, opts)
	if n := len(f.files("tiers/")) + len(b.files("tiers/")); n != 0 {
		t.Errorf("%d marks", n)
	}
}

func TestAPlanTellsTheTierOfEveryPointThatStays(t *testing.T) {
	t.Parallel()
	f := newBucketFixture(t)
	p := f.points("a", 0, 1, 40, 41)
	if err := f.SetTier(t.Context(), p[2], "prod", "weekly", now, "me"); err != nil {
		t.Fatal(err)
	}
	err := errors.Join(f.Hold(t.Context(), p[2], repo.Mark{At: now}), f.Condemn(t.Context(), p[3], repo.Mark{At: now}))
	if err != nil {
		t.Fatal(err)
	}
	out, err := Plan(t.Context(), f.options(retention.Keep{KeepDaily: 2}))
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, d := range out.Keep {
		told[d.ID] = fmt.Sprint(d.Tier, " ", d.Restorable)
	}
	want := map[string]string{p[0].ID: "daily true", p[1].ID: "daily true", p[2].ID: "weekly true", p[3].ID: " false"}
	if fmt.Sprint(told) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", told, want)
	}
}
