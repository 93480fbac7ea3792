package cost

import (
	"strings"
	"testing"
)

func TestAPriceFileThatLacksSomethingIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ old, new, want string }{
		{`"date": "20`, `"date": "next `, "prices.date"},
		{`"USD"`, `"EUR"`, "currency USD, a source and the region us-east-1 are needed"},
		{`https://`, `somewhere `, "a source"},
		{`"us-east-1"`, `"us-east-9"`, "the region us-east-1"},
		{`"GLACIER":`, `"GLACEIR":`, "prices.regions.us-east-1.GLACIER: gb_month and retrieval_wait are needed"},
		{`"gb_month": 0.0036`, `"gb_month": 0`, "prices.regions.us-east-1.GLACIER"},
		{`"STANDARD": `, `"STANDARD_2": {"gb_month": 1}, "STANDARD": `, "names a storage class that does not exist"},
		{`"Expedited"`, `"Expidited"`, "prices.regions.us-east-1.GLACIER.other_tiers: the tier Expedited has no price"},
		{`"other_tiers": {"Bulk": {"gb": 0.0025, "objects_1000": 0.025}}`, `"other_tiers": {"Bulk": {"gb": 0.0025, "objects_1000": 0.025}, "Fast": {}}`, "a price for a tier that DEEP_ARCHIVE does not have"},
		{`get_1000`, `get_100`, `did you mean "get_1000"?`},
	} {
		damaged := strings.Replace(string(pricesJSON), c.old, c.new, 1)
		if damaged == string(pricesJSON) {
			t.Fatalf("%s is not in the file", c.old)
		}
		if _, err := readPrices([]byte(damaged)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %s", c.new, err, c.want)
		}
	}
	if _, err := readPrices(pricesJSON); err != nil {
		t.Error(err)
	}
}
