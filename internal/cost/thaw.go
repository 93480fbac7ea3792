package cost

import (
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
)

// Thaw estimates what it costs in USD to bring objects back from an archive class in
// a tier and to keep the copies for so many days, which are billed as STANDARD beside
// what stays in the archive. Reading them, and transfer out of the region, are not in
// it. It is an estimate, never a bill.
//
// Objects of INTELLIGENT_TIERING come back without a charge, and stay.
func (t Table) Thaw(class, tier string, bytes int64, objects, days int) float64 {
	if t.IsZero() || class == storageclass.IntelligentTiering {
		return 0
	}
	p := t.Of(class)
	price := TierPrice{GB: p.RetrievalGB, Objects1000: p.Retrieval1000}
	if tier != storageclass.TierStandard {
		price = p.OtherTiers[tier]
	}
	gigabytes := float64(max(bytes, 0)) / gb
	copies := gigabytes * t.Of(storageclass.Standard).GBMonth * float64(max(days, 0)) / 30
	return gigabytes*price.GB + float64(max(objects, 0))/1000*price.Objects1000 + copies
}

// checkTiers holds that every tier of a class but the standard one has a price.
func checkTiers(class string, prices map[string]TierPrice) error {
	c, err := storageclass.Parse(class)
	if err != nil {
		return err
	}
	wanted := 0
	for _, r := range c.Retrievals() {
		if r.Tier == storageclass.TierStandard || !c.Archived {
			continue
		}
		wanted++
		if _, ok := prices[r.Tier]; !ok {
			return fmt.Errorf("the tier %s has no price", r.Tier)
		}
	}
	if len(prices) != wanted {
		return fmt.Errorf("there is a price for a tier that %s does not have", class)
	}
	return nil
}
