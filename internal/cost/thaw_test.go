package cost

import (
	"math"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
)

// 100 GiB in 10 objects, kept for 3 days as STANDARD: 100 x 0.023 x 3 / 30 = 0.23.
// Source of the prices: https://aws.amazon.com/s3/pricing/, us-east-1.
func TestBringingBackCostsTheTierTheObjectsAndTheCopies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		class, tier string
		want        float64
	}{
		{storageclass.Glacier, storageclass.TierStandard, 100*0.01 + 10*0.05/1000 + 0.23},
		{storageclass.Glacier, storageclass.TierBulk, 0.23},
		{storageclass.Glacier, storageclass.TierExpedited, 100*0.03 + 10*10./1000 + 0.23},
		{storageclass.DeepArchive, storageclass.TierStandard, 100*0.02 + 10*0.10/1000 + 0.23},
		{storageclass.DeepArchive, storageclass.TierBulk, 100*0.0025 + 10*0.025/1000 + 0.23},
		{storageclass.IntelligentTiering, storageclass.TierStandard, 0},
	} {
		if got := Prices("us-east-1").Thaw(c.class, c.tier, 100<<30, 10, 3); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s %s: %v, want %v", c.class, c.tier, got, c.want)
		}
	}
	if got := (Table{}).Thaw(storageclass.Glacier, storageclass.TierStandard, 1<<40, 1, 3); got != 0 {
		t.Errorf("without prices: %v", got)
	}
}
