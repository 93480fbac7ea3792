package repository

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// place works out where the repository is; known is false while a part of it
// depends on something that is only made at apply.
func (m model) place(ctx context.Context, conn *connection.Connection) (at location.Location, known bool, diags diag.Diagnostics) {
	if m.Directory.IsUnknown() || m.S3.IsUnknown() {
		return at, false, nil
	}
	var where path.Path
	if !m.Directory.IsNull() {
		where = path.Root("directory").AtName("path")
		var d directoryModel
		diags.Append(m.Directory.As(ctx, &d, basetypes.ObjectAsOptions{})...)
		if diags.HasError() || d.Path.IsUnknown() {
			return at, false, diags
		}
		at.Directory = d.Path.ValueString()
	} else {
		where = path.Root("s3")
		var b s3Model
		diags.Append(m.S3.As(ctx, &b, basetypes.ObjectAsOptions{})...)
		fallback := conn.Unknown && (b.Region.IsNull() || b.Endpoint.IsNull())
		if diags.HasError() || fallback || b.Bucket.IsUnknown() || b.Prefix.IsUnknown() || b.Region.IsUnknown() || b.Endpoint.IsUnknown() {
			return at, false, diags
		}
		at = location.Location{Bucket: b.Bucket.ValueString(), Prefix: b.Prefix.ValueString(), Region: b.Region.ValueString(), Endpoint: b.Endpoint.ValueString(), PathStyle: conn.PathStyle}
		if b.Region.IsNull() {
			at.Region = conn.Region
		}
		if b.Endpoint.IsNull() {
			at.Endpoint = conn.S3Endpoint
		}
	}
	at, err := location.Parse(at.String())
	if err != nil {
		diags.AddAttributeError(where, "Invalid place of a repository", valid.Sentence(err))
		return at, false, diags
	}
	return at, true, diags
}

// refuseFile says so when a directory cannot be made because a file is where it,
// or a folder above it, would be. "" is no directory at all.
func refuseFile(directory string) error {
	for p := directory; p != ""; p = filepath.Dir(p) {
		st, err := os.Stat(p)
		if err == nil && !st.IsDir() {
			return fmt.Errorf("directory.path = %q: %s is a file; name a directory", directory, p)
		}
		if err == nil || p == filepath.Dir(p) {
			return nil
		}
	}
	return nil
}

func (m model) keyRef(ctx context.Context) (string, diag.Diagnostics) {
	if m.Encryption.IsNull() || m.Encryption.IsUnknown() {
		return "", nil
	}
	var e encryptionModel
	diags := m.Encryption.As(ctx, &e, basetypes.ObjectAsOptions{})
	return e.KeyRef.ValueString(), diags
}

// imported gives the attributes an imported repository is declared with. What is
// the provider's default is left out, as it would be in a configuration.
func imported(at location.Location, conn *connection.Connection) iter.Seq2[path.Path, any] {
	return func(yield func(path.Path, any) bool) {
		given := []struct {
			where           path.Path
			value, fallback string
		}{
			{path.Root("id"), at.String(), ""},
			{path.Root("directory").AtName("path"), at.Directory, ""},
			{path.Root("s3").AtName("bucket"), at.Bucket, ""},
			{path.Root("s3").AtName("prefix"), at.Prefix, ""},
			{path.Root("s3").AtName("region"), at.Region, conn.Region},
			{path.Root("s3").AtName("endpoint"), at.Endpoint, conn.S3Endpoint},
		}
		for _, g := range given {
			if g.value != "" && g.value != g.fallback && !yield(g.where, g.value) {
				return
			}
		}
		yield(path.Root("force_destroy"), false)
	}
}

func (m *model) setKeyRef(ctx context.Context, ref string) (diags diag.Diagnostics) {
	if ref == "" {
		m.Encryption = types.ObjectNull(m.Encryption.AttributeTypes(ctx))
		return nil
	}
	m.Encryption, diags = types.ObjectValueFrom(ctx, m.Encryption.AttributeTypes(ctx), encryptionModel{KeyRef: types.StringValue(ref)})
	return diags
}
