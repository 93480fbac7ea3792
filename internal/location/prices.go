package location

import (
	"cmp"
	"net/url"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/cost"
)

// Prices gives the prices of storage at a place: AWS's list for its region, with
// prices of one's own (USD per GB-month by class) in their stead where given. A
// bucket of another service is shown what AWS would ask, and the table says so.
// region stands in for a bucket's region that is not named. The zero table for a
// directory.
func Prices(at Location, region string, own map[string]float64) (cost.Table, error) {
	if at.IsDirectory() {
		return cost.Table{}, nil
	}
	table := cost.Prices(cmp.Or(at.Region, region))
	if !amazon(at.Endpoint) {
		const foreign = "for comparison: the bucket is not AWS's"
		if table.Note != "" {
			table.Note = foreign + "; " + table.Note
		} else {
			table.Note = foreign
		}
	}
	return table.With(own)
}

// amazon reports whether an endpoint is AWS's own: none given, or one of a VPC.
func amazon(endpoint string) bool {
	if endpoint == "" {
		return true
	}
	u, err := url.Parse(endpoint)
	return err == nil && (strings.HasSuffix(u.Hostname(), ".amazonaws.com") || strings.HasSuffix(u.Hostname(), ".amazonaws.com.cn"))
}
