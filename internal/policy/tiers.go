package policy

import (
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// Tiers gives the tiers the points of the policy can have, shortest first: those
// its rules name, and the one points are uploaded under.
func (d Document) Tiers() []string {
	named := []string{d.uploadTier()}
	for _, f := range d.Retention.Fields() {
		if f.Value() != "off" {
			named = append(named, f.Name[strings.LastIndexByte(f.Name, '_')+1:]) // of keep_last no tier
		}
	}
	return slices.DeleteFunc(retention.Tiers(), func(tier string) bool { return !slices.Contains(named, tier) })
}

func (d Document) uploadTier() string { return retention.Rules{Keep: d.Retention}.UploadTier() }
