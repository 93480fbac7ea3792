package datasource

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	awsrds "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/told"
)

// snapshotPrice in USD per GB-month: AWS's list price in us-east-1, November 2026.
const snapshotPrice = 0.095

// show fills in what was found, up to the limit.
func (m *rdsSnapshotsModel) show(ctx context.Context, all []awsrds.Snapshot) (diags diag.Diagnostics) {
	m.Total = told.Number(len(all))
	limit := defaultLimit
	if !m.Limit.IsNull() {
		limit = int(m.Limit.ValueInt64())
	}
	all = all[:min(len(all), limit)]
	m.Snapshots = make([]snapshotModel, len(all))
	dollars := 0.0
	for i, s := range all {
		tags, more := types.MapValueFrom(ctx, types.StringType, s.Tags)
		diags.Append(more...)
		point, _ := rds.Point(s)
		m.Snapshots[i] = snapshotModel{
			Name: types.StringValue(s.Name), ARN: types.StringValue(s.ARN), Type: types.StringValue(s.Type), Database: types.StringValue(s.ID),
			Status: types.StringValue(s.Status), Created: told.Moment(s.Created), Engine: types.StringValue(s.Engine), Version: types.StringValue(s.EngineVersion),
			AllocatedGiB: types.Int64Value(s.AllocatedGiB), Encrypted: types.BoolValue(s.Encrypted), KMSKey: some(s.KMSKey), Point: some(point), Tags: tags,
		}
		if s.Type == awsrds.Manual {
			dollars += float64(s.AllocatedGiB) * snapshotPrice
		}
	}
	m.Cost = told.Dollars(dollars)
	return diags
}
