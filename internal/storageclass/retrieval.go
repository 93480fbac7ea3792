package storageclass

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
)

// Tiers of bringing an object back from an archive, as the S3 API names them.
const (
	TierExpedited = "Expedited"
	TierStandard  = "Standard"
	TierBulk      = "Bulk"
)

// Retrieval is one way of bringing objects back from a class: how long it typically
// takes until they can be read. S3 promises nothing.
type Retrieval struct {
	Tier   string
	From   time.Duration
	Within time.Duration
}

// String says how long it takes: "3 to 5 hours".
func (r Retrieval) String() string {
	unit, of := "minutes", time.Minute
	if r.Within >= time.Hour {
		unit, of = "hours", time.Hour
	}
	if r.From == 0 {
		return fmt.Sprintf("up to %d %s", r.Within/of, unit)
	}
	return fmt.Sprintf("%d to %d %s", r.From/of, r.Within/of, unit)
}

// retrievals by class, the standard one first. INTELLIGENT_TIERING has them for
// what it moved into its own archive tiers, of which the slower one is taken.
//
// Source: Amazon S3 User Guide, "Understanding archive retrieval options" (2026).
var retrievals = map[string][]Retrieval{
	Glacier: {
		{TierStandard, 3 * time.Hour, 5 * time.Hour},
		{TierExpedited, time.Minute, 5 * time.Minute},
		{TierBulk, 5 * time.Hour, 12 * time.Hour},
	},
	DeepArchive: {
		{TierStandard, 0, 12 * time.Hour},
		{TierBulk, 0, 48 * time.Hour},
	},
	IntelligentTiering: {
		{TierStandard, 3 * time.Hour, 12 * time.Hour},
		{TierBulk, 5 * time.Hour, 48 * time.Hour},
	},
}

// Retrievals lists the ways of bringing objects back from the class, the standard
// one first; none where they can be read at once.
func (c Class) Retrievals() []Retrieval { return slices.Clone(retrievals[c.Name]) }

// Retrieval is the one of a tier. The error names those the class has.
func (c Class) Retrieval(tier string) (Retrieval, error) {
	var tiers []string
	for _, r := range retrievals[c.Name] {
		if r.Tier == tier {
			return r, nil
		}
		tiers = append(tiers, strings.ToLower(r.Tier))
	}
	if len(tiers) == 0 {
		return Retrieval{}, fmt.Errorf("objects in %s are read at once: there is nothing to bring back", c.Name)
	}
	return Retrieval{}, fmt.Errorf("S3 does not bring objects back from %s by the %s tier: give %s", c.Name, strings.ToLower(tier), strings.Join(tiers, " or "))
}

// ParseTier gives the tier of a name in any case: "bulk" is Bulk, "" is Standard.
func ParseTier(name string) (string, error) {
	if name == "" {
		return TierStandard, nil
	}
	var names []string
	for _, tier := range []string{TierExpedited, TierStandard, TierBulk} {
		if strings.EqualFold(name, tier) {
			return tier, nil
		}
		names = append(names, strings.ToLower(tier))
	}
	return "", fmt.Errorf("unknown tier %.64q of a retrieval%s", name, nearest.Suggestion(strings.ToLower(name), names))
}

// Lower is the name of the class of two that is lower in the waterfall, and so slower
// to read; of a name that is no class, the other.
func Lower(a, b string) string {
	x, errX := Parse(a)
	y, errY := Parse(b)
	if errX != nil || errY == nil && y.Rank > x.Rank {
		return b
	}
	return a
}
