package bucket

import (
	"slices"
	"strings"
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestCopiesAreThoseOfRulesThatTakeInTheWholePrefix(t *testing.T) {
	t.Parallel()
	rule := func(status, filter, to string) string {
		return "<Rule><Status>" + status + "</Status>" + filter + "<Destination><Bucket>arn:aws:s3:::" + to + "</Bucket></Destination></Rule>"
	}
	document := "<ReplicationConfiguration><Role>r</Role>" + strings.Join([]string{
		rule("Enabled", "<Filter><Prefix>prod/</Prefix></Filter>", "ours"),
		rule("Enabled", "<Filter/>", "everything"),
		rule("Enabled", "<Prefix>pr</Prefix>", "older-form"),
		rule("Enabled", "<Filter><And><Prefix>prod</Prefix></And></Filter>", "and"),
		rule("Disabled", "<Filter><Prefix>prod/</Prefix></Filter>", "off"),
		rule("Enabled", "<Filter><Prefix>prod/points/</Prefix></Filter>", "a-part"),
		rule("Enabled", "<Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter>", "tagged"),
		rule("Enabled", "<Filter><And><Prefix>prod/</Prefix><Tag><Key>a</Key></Tag></And></Filter>", "tagged-too"),
		rule("Enabled", "<Filter><Prefix>dev/</Prefix></Filter>", "another"),
	}, "") + "</ReplicationConfiguration>"
	got, err := copiedTo([]byte(document), "prod/")
	if want := []string{"ours", "everything", "older-form", "and"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	if got, err = copiedTo([]byte(document), ""); err != nil || !slices.Equal(got, []string{"everything"}) {
		t.Errorf("of the whole bucket: %q, %v", got, err)
	}
	if _, err := copiedTo([]byte("<Replic"), ""); err == nil {
		t.Error("half a document was read")
	}
}

func TestABucketTellsWhereItIsCopiedTo(t *testing.T) {
	t.Parallel()
	moto := testenv.AWS(t)
	b := Open(moto.Config(), moto.Bucket, Options{Endpoint: moto.Endpoint})
	if got, err := b.CopiedTo(t.Context(), "prod/"); err != nil || len(got) != 0 {
		t.Fatalf("without rules: %q, %v", got, err)
	}
	if _, err := moto.Client().PutBucketVersioning(t.Context(), &awss3.PutBucketVersioningInput{
		Bucket: &moto.Bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}); err != nil {
		t.Fatal(err)
	}
	want := Replication{Prefix: "prod/", Role: "arn:aws:iam::123456789012:role/copies", Replica: "arn:aws:s3:::copies"}
	if err := b.Replicate(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	got, err := b.CopiedTo(t.Context(), "prod/")
	if err != nil || !slices.Equal(got, []string{"copies"}) {
		t.Errorf("%q, %v", got, err)
	}
	if region, err := b.RegionOf(t.Context(), moto.Bucket); err != nil || region != "us-east-1" {
		t.Errorf("region %q, %v", region, err)
	}
}
