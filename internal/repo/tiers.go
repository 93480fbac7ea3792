package repo

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/lifecycle"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
)

// TierTags are the tags of the data objects of a point, which lifecycle rules
// filter by. Manifests, marks and everything else in a repository stay untagged:
// they are read at every run and stay in the class they were written in.
func TierTags(policy, tier string) map[string]string {
	return map[string]string{lifecycle.TagPolicy: policy, lifecycle.TagTier: tier}
}

// TierMark is the content of a tier mark, for people: its name says it all.
//
//	tiers/<source>/<kind>/<id>/000001-daily@prod.json
//	tiers/<source>/<kind>/<id>/000002-monthly@prod.json
type TierMark struct {
	Format int       `json:"format"`
	Point  string    `json:"point"`
	Tier   string    `json:"tier"`
	Policy string    `json:"policy"`
	At     time.Time `json:"at"`
	By     string    `json:"by,omitempty"` // host and user
}

// CanTag tells whether the store keeps tags, without which tiers mean nothing: as
// far as is known, see TagsRefused.
func (r *Repository) CanTag() bool {
	tagger, ok := r.store.(objstore.Tagger)
	return ok && tagger.TagsRefused() == nil
}

// TagsRefused says why the server takes no tags, once it refused some: points are
// then stored without, and stay in the class they were uploaded to. nil when none
// were refused.
func (r *Repository) TagsRefused() error {
	if tagger, ok := r.store.(objstore.Tagger); ok {
		return tagger.TagsRefused()
	}
	return nil
}

// SetTier puts a point into a tier of a policy: every data object is tagged, then
// a mark says so. One that dies in between leaves no mark and is repeated. Where
// the store keeps no tags it does nothing. The caller holds the source's lease.
func (r *Repository) SetTier(ctx context.Context, ref Ref, policyName, tier string, now time.Time, by string) error {
	tagger, ok := r.store.(objstore.Tagger)
	if !ok {
		return nil
	}
	failed := func(err error) error {
		return fmt.Errorf("put %s into tier %s of policy %q: %w", ref, tier, policyName, err)
	}
	name := tierMarkName(policyName, tier)
	if _, _, err := parseTierMark(fmt.Sprintf("%06d-%s.json", 1, name)); err != nil {
		return failed(err)
	}
	for info, err := range r.store.List(ctx, ref.DataPrefix()) {
		if err == nil {
			err = tagger.SetTags(ctx, info.Key, TierTags(policyName, tier))
		}
		if err != nil {
			return failed(err)
		}
	}
	prefix := tiersPrefix + ref.path() + "/"
	highest := 0
	for info, err := range r.store.List(ctx, prefix) {
		if err != nil {
			return failed(err)
		}
		if n, _, err := parseTierMark(strings.TrimPrefix(info.Key, prefix)); err == nil {
			highest = max(highest, n)
		}
	}
	data, err := json.Marshal(TierMark{Format: 1, Point: ref.String(), Tier: tier, Policy: policyName, At: now.UTC(), By: by})
	if err != nil {
		return failed(err)
	}
	err = putNext(ctx, r.store, prefix, highest+1, func(n int) string { return fmt.Sprintf("%06d-%s.json", n, name) }, data)
	if err != nil {
		return failed(err)
	}
	return nil
}

func tierMarkName(policyName, tier string) string { return tier + "@" + policyName }

// parseTierMark reads NNNNNN-<tier>@<policy>.json; state is <tier>@<policy>.
func parseTierMark(name string) (number int, state string, err error) {
	base, isJSON := strings.CutSuffix(name, ".json")
	digits, state, _ := strings.Cut(base, "-")
	tier, policyName, _ := strings.Cut(state, "@")
	number, err = strconv.Atoi(digits)
	if err != nil || number < 1 || !isJSON || tier == "" || strings.Trim(tier, "abcdefghijklmnopqrstuvwxyz") != "" || policy.ValidateName(policyName) != nil {
		return 0, "", fmt.Errorf("%q is not the name of a tier mark", name)
	}
	return number, state, nil
}

// foldTiers is what the newest tier mark says that counts accepts. A mark that is
// not understood says nothing: unlike a hold it protects nothing.
func foldTiers(marks []placedMark, counts func(placedMark) bool) (tier, policyName string) {
	number, state := 0, ""
	for _, m := range marks {
		if m.number > 0 && m.number >= number && counts(m) {
			number, state = m.number, m.state
		}
	}
	tier, policyName, _ = strings.Cut(state, "@")
	return tier, policyName
}
