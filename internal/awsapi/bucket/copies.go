package bucket

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
)

// CopiedTo names the buckets into which everything below a prefix is copied, by rules
// of anybody: enabled ones whose filter takes in the whole prefix, and nothing less.
// An empty prefix is the whole bucket.
func (b *Bucket) CopiedTo(ctx context.Context, prefix string) ([]string, error) {
	raw, err := b.replication(ctx)
	if err != nil || raw == nil {
		return nil, err
	}
	return copiedTo(raw, prefix)
}

func copiedTo(raw []byte, prefix string) ([]string, error) {
	var document struct {
		Rules []struct {
			Status string
			Prefix string // of S3's older form
			Filter struct {
				Prefix string
				Tag    *struct{}
				And    *struct {
					Prefix string
					Tags   []struct{} `xml:"Tag"`
				}
			}
			Destination struct{ Bucket string }
		} `xml:"Rule"`
	}
	if err := xml.Unmarshal(raw, &document); err != nil {
		return nil, fmt.Errorf("the replication rules are not valid XML: %w", err)
	}
	var buckets []string
	for _, r := range document.Rules {
		of := strings.TrimSpace(r.Prefix + r.Filter.Prefix)
		if and := r.Filter.And; and != nil {
			if len(and.Tags) > 0 {
				continue
			}
			of = and.Prefix
		}
		name := r.Destination.Bucket[strings.LastIndex(r.Destination.Bucket, ":")+1:]
		if r.Status == "Enabled" && r.Filter.Tag == nil && strings.HasPrefix(prefix, of) && name != "" {
			buckets = append(buckets, name)
		}
	}
	return buckets, nil
}

// regionHeader is in every answer of AWS about a bucket, also in the one that it is to
// be asked for elsewhere.
const regionHeader = "X-Amz-Bucket-Region"

// RegionOf asks in the region of b where another bucket is; "" where the server has no
// regions, or says nothing.
func (b *Bucket) RegionOf(ctx context.Context, name string) (string, error) {
	out, err := b.client.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: &name})
	if err == nil {
		return aws.ToString(out.BucketRegion), nil
	}
	var answer *awshttp.ResponseError
	if errors.As(err, &answer) && answer.Response != nil {
		if region := answer.Response.Header.Get(regionHeader); region != "" {
			return region, nil
		}
	}
	return "", b.explain(ctx, "looking where S3 bucket ("+name+") is", "s3:ListBucket", err)
}
