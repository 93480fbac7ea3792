package testenv

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func TestAnS3ServerWithLifecycleKeepsObjectsAndRules(t *testing.T) {
	t.Parallel()
	s := S3WithLifecycle(t)
	c := s.Client()
	if _, err := c.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: &s.Bucket, Key: aws.String("a b/+ü")}); err != nil {
		t.Fatal(err)
	}
	_, err := c.PutBucketLifecycleConfiguration(t.Context(), &awss3.PutBucketLifecycleConfigurationInput{
		Bucket: &s.Bucket,
		LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{{
			ID: aws.String("one"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("a")},
			Expiration: &types.LifecycleExpiration{Days: aws.Int32(3)},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.GetBucketLifecycleConfiguration(t.Context(), &awss3.GetBucketLifecycleConfigurationInput{Bucket: &s.Bucket})
	if err != nil || len(got.Rules) != 1 || aws.ToString(got.Rules[0].ID) != "one" {
		t.Errorf("%+v, %v", got, err)
	}
	if list, err := c.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: &s.Bucket}); err != nil || len(list.Contents) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}
