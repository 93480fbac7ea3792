package connection

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/cost"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
)

// Prices gives the prices of storage at a place: AWS's for its region, with those
// of the provider's configuration in their stead where it has any. The zero table
// for a directory, and for another service than AWS whose prices nobody gave.
func (c *Connection) Prices(at location.Location) (cost.Table, error) {
	if at.IsDirectory() {
		return cost.Table{}, nil
	}
	if c.Unknown {
		return cost.Table{}, ErrUnknown
	}
	if !amazon(at.Endpoint) {
		if _, ok := c.StoragePrices[storageclass.Standard]; !ok {
			return cost.Table{}, nil // other classes are priced like it
		}
		return cost.Table{Region: at.Endpoint, Date: "as given by storage_prices_usd"}.With(c.StoragePrices)
	}
	region := at.Region
	if region == "" {
		cfg, err := c.aws()
		if err != nil {
			return cost.Table{}, fmt.Errorf("access to %s: %w", at, err)
		}
		region = cfg.Region
	}
	return cost.Prices(region).With(c.StoragePrices)
}

// amazon reports whether an endpoint is AWS's own: none given, or one of a VPC.
func amazon(endpoint string) bool {
	if endpoint == "" {
		return true
	}
	u, err := url.Parse(endpoint)
	return err == nil && (strings.HasSuffix(u.Hostname(), ".amazonaws.com") || strings.HasSuffix(u.Hostname(), ".amazonaws.com.cn"))
}
