package connection

import (
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/cost"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
)

// Prices gives the prices of storage at a place, with those of the provider's
// configuration in their stead where it has any; see location.Prices.
func (c *Connection) Prices(at location.Location) (cost.Table, error) {
	region := ""
	if !at.IsDirectory() && at.Region == "" {
		if c.Unknown {
			return cost.Table{}, ErrUnknown
		}
		cfg, err := c.storage()
		if err != nil {
			return cost.Table{}, fmt.Errorf("access to %s: %w", at, err)
		}
		region = cfg.Region
	}
	return location.Prices(at, region, c.StoragePrices)
}
