package repo

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// wantTier holds that every data object of a point is tagged as being in a tier
// of a policy, and nothing else of it is tagged at all.
func wantTier(t *testing.T, r *Repository, ref Ref, policyName, tier string) {
	t.Helper()
	tagger := r.store.(objstore.Tagger)
	for _, key := range keysOf(t, r.store, "") {
		want := map[string]string{}
		if strings.HasPrefix(key, ref.DataPrefix()) {
			want = map[string]string{"pgbackup-policy": policyName, "pgbackup-tier": tier}
		}
		if got, err := tagger.Tags(t.Context(), key); err != nil || !maps.Equal(got, want) {
			t.Errorf("tags of %s are %v, %v; want %v", key, got, err, want)
		}
	}
}

func TestAPointMovesFromTierToTierByTagsAndMarks(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]testenv.S3Option{"plain": nil, "versioned": {testenv.S3Versioned()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t, bucket(t, opts...), false)
			if !r.CanTag() {
				t.Fatal("a bucket behind Retry keeps no tags")
			}
			big := pieces(pseudorandom(3, 3*objstore.PartSize), 3)
			ref := put(t, r, "app@größe/1", big, WriterOptions{Parent: NewID(clock), chunksPerObject: 2, Tags: TierTags("prod", "daily")})
			wantTier(t, r, ref, "prod", "daily") // small objects and ones in parts
			if l := wantListed(t, r, 1)[0]; l.Tier != "" || l.TierPolicy != "" {
				t.Errorf("tier %q of %q without a mark", l.Tier, l.TierPolicy)
			}
			for _, to := range [][2]string{{"prod", "monthly"}, {"prod", "yearly"}, {"prod-2", "yearly"}} {
				if err := r.SetTier(t.Context(), ref, to[0], to[1], clock, "me@here"); err != nil {
					t.Fatal(err)
				}
				wantTier(t, r, ref, to[0], to[1])
				if l := wantListed(t, r, 1)[0]; l.TierPolicy != to[0] || l.Tier != to[1] {
					t.Errorf("listed in tier %q of %q, want %v", l.Tier, l.TierPolicy, to)
				}
			}
			if keys, want := keysOf(t, r.store, tiersPrefix), []string{"000001-monthly@prod.json", "000002-yearly@prod.json", "000003-yearly@prod-2.json"}; len(keys) != 3 || !slices.EqualFunc(keys, want, strings.HasSuffix) {
				t.Errorf("marks %q, want %q", keys, want)
			}
			if err := r.Delete(t.Context(), ref, Tombstone{}); err != nil {
				t.Fatal(err)
			}
			if left := keysOf(t, r.store, tiersPrefix); len(left) > 0 {
				t.Errorf("tier marks of a deleted point: %q", left)
			}
		})
	}
}

func TestDyingBetweenTagsAndMarkIsRepeatedCleanly(t *testing.T) {
	t.Parallel()
	r := newRepo(t, bucket(t), false)
	ref := put(t, r, "app", pieces(pseudorandom(4, 1000), 2), WriterOptions{Tags: TierTags("prod", "daily")})
	dying := r.over(struct {
		objstore.Store
		objstore.Tagger
	}{&meddler{Store: r.store, before: func(op, key string) error {
		if op == "put" && strings.HasPrefix(key, tiersPrefix) {
			return errDead
		}
		return nil
	}}, r.store.(objstore.Tagger)})
	if err := dying.SetTier(t.Context(), ref, "prod", "monthly", clock, ""); !errors.Is(err, errDead) {
		t.Fatalf("dying: %v", err)
	}
	if l := wantListed(t, r, 1)[0]; l.Tier != "" {
		t.Errorf("a mark without its write: %q", l.Tier)
	}
	if err := r.SetTier(t.Context(), ref, "prod", "monthly", clock, ""); err != nil {
		t.Fatal(err)
	}
	wantTier(t, r, ref, "prod", "monthly")
	if keys := keysOf(t, r.store, tiersPrefix); len(keys) != 1 {
		t.Errorf("marks %q, want one", keys)
	}
}

func TestWithoutTagsInTheStoreThereAreNoTiers(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	ref := put(t, r, "app", [][]byte{[]byte("x")}, WriterOptions{Tags: TierTags("prod", "daily")})
	if err := r.SetTier(t.Context(), ref, "prod", "monthly", clock, ""); err != nil || r.CanTag() {
		t.Errorf("%v, can tag: %v", err, r.CanTag())
	}
	if keys := keysOf(t, r.store, tiersPrefix); len(keys) > 0 {
		t.Errorf("marks %q", keys)
	}
}

func TestATierThatNoMarkCanNameIsRefused(t *testing.T) {
	t.Parallel()
	r := newRepo(t, bucket(t), false)
	ref := put(t, r, "app", [][]byte{[]byte("x")}, WriterOptions{})
	for _, c := range [][2]string{{"prod", ""}, {"", "daily"}, {"prod/x", "daily"}, {"prod", "Daily"}, {"prod", "daily@x"}} {
		if err := r.SetTier(t.Context(), ref, c[0], c[1], clock, ""); err == nil || !strings.Contains(err.Error(), ref.String()) {
			t.Errorf("%q: %v", c, err)
		}
	}
	if keys := keysOf(t, r.store, tiersPrefix); len(keys) > 0 {
		t.Errorf("marks %q", keys)
	}
}

func TestTheManifestSaysInWhichTierAPointWasUploaded(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), true)
	p, err := begin(t.Context(), r, "app", [][]byte{[]byte("x")}, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Commit(t.Context(), &Manifest{End: clock.Add(time.Minute), Tier: "hourly"}); err != nil {
		t.Fatal(err)
	}
	if m, err := r.Manifest(t.Context(), p.Ref()); err != nil || m.Tier != "hourly" {
		t.Errorf("%+v, %v", m, err)
	}
}
