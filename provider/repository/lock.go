package repository

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// readLock puts into the state which lock the repository itself knows of: it is
// what runners go by.
func (r *Resource) readLock(ctx context.Context, m *model, at location.Location, opened *repo.Repository) (diags diag.Diagnostics) {
	if at.IsDirectory() || m.S3.IsNull() || m.S3.IsUnknown() {
		return nil
	}
	var b s3Model
	diags = m.S3.As(ctx, &b, basetypes.ObjectAsOptions{})
	if diags.HasError() {
		return diags
	}
	declared, _ := b.lock(ctx, &diags)
	found, _, err := opened.Protection(ctx)
	if err != nil {
		diags.AddWarning(fmt.Sprintf("pgbackup_repository (%s): its lock cannot be read; its state is kept as it was", at), valid.Sentence(err))
		return diags
	}
	if err := opened.Undeclared(ctx); err != nil {
		diags.AddWarning(fmt.Sprintf("pgbackup_repository (%s): nothing in it declares its lock any more", at), valid.Sentence(err))
		found = repo.Protection{} // so that a plan shows what puts it right
	}
	if found == declared {
		return diags
	}
	b.ObjectLock = types.ObjectNull(b.ObjectLock.AttributeTypes(ctx))
	if !found.IsZero() {
		var d diag.Diagnostics
		b.ObjectLock, d = types.ObjectValueFrom(ctx, b.ObjectLock.AttributeTypes(ctx), objectLockModel{
			Mode: types.StringValue(found.Mode), Days: types.Int64Value(int64(found.Days)), Acknowledge: types.BoolValue(found.Mode == "COMPLIANCE"),
		})
		diags.Append(d...)
	}
	object, d := types.ObjectValueFrom(ctx, m.S3.AttributeTypes(ctx), b)
	diags.Append(d...)
	m.S3 = object
	return diags
}
