package repository

import (
	"testing"

	fwresource "github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// s3Block makes an s3 block with a bucket and, unless it is "", a lifecycle.
func s3Block(t *testing.T, bucket, noncurrentAfter string) types.Object {
	t.Helper()
	var resp fwresource.SchemaResponse
	(&Resource{}).Schema(t.Context(), fwresource.SchemaRequest{}, &resp)
	s3 := resp.Schema.Attributes["s3"].GetType().(types.ObjectType).AttrTypes
	null := func(block string) types.Object { return types.ObjectNull(s3[block].(types.ObjectType).AttrTypes) }
	b := s3Model{Bucket: types.StringValue(bucket), Lifecycle: null("lifecycle"), ObjectLock: null("object_lock"), Replica: null("replica"), Tags: types.MapNull(types.StringType)}
	object, diags := types.ObjectValueFrom(t.Context(), s3, b)
	if noncurrentAfter != "" {
		m := model{S3: object}
		diags.Append(m.setLifecycle(t.Context(), lifecycleModel{NoncurrentAfter: types.StringValue(noncurrentAfter)})...)
		object = m.S3
	}
	if diags.HasError() {
		t.Fatal(diags)
	}
	return object
}

// While the provider's own settings are not known, neither is the id.
func TestOtherLifecycleRulesNeverMakeAnotherRepository(t *testing.T) {
	t.Parallel()
	state := model{ID: types.StringValue("s3://b-1"), S3: s3Block(t, "b-1", "")}
	if paths := replacedBy(state, model{S3: s3Block(t, "b-1", "30d")}, types.StringUnknown()); len(paths) != 0 {
		t.Errorf("replaced by %s", paths)
	}
	if paths := replacedBy(state, model{S3: s3Block(t, "b-2", "")}, types.StringUnknown()); len(paths) != 1 {
		t.Errorf("another bucket is replaced by %s", paths)
	}
	if paths := replacedBy(state, model{S3: types.ObjectNull(state.S3.AttributeTypes(t.Context()))}, types.StringUnknown()); len(paths) != 1 {
		t.Errorf("no bucket is replaced by %s", paths)
	}
}
