// Package bucket administers one S3 bucket: making and removing it, its
// protections (Protect), its policy, tags and replication rules, its lifecycle
// rules (Apply), and what is left of deleted objects in it (Purge).
//
// What lives here: reading and writing these as the bytes they consist of, and
// merging our part of a document that others share. What must not: which settings
// and rules there should be (package lifecycle, the repository resource) and
// objects (package objstore).
//
// Shared documents travel raw. The SDK's types drop every element they do not
// know, and writing such a document back would lose it for its owner.
package bucket

import (
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
)

// Options of Open. The zero value is a bucket of AWS in the region of the
// configuration.
type Options struct {
	Endpoint  string // URL of another server than AWS
	PathStyle bool   // the bucket goes into the path; so it does with an Endpoint
	Region    string // "" = that of the configuration; us-east-1 with an Endpoint
	// Settle bounds how long Apply waits until the bucket shows what was
	// written. Default: 2 minutes with AWS, which may show older rules for a
	// while, 10 seconds with an Endpoint.
	Settle time.Duration
	Log    *slog.Logger // nil is silent
}

// Bucket is one bucket. Safe for concurrent use.
type Bucket struct {
	name   string
	client *awss3.Client
	cfg    aws.Config
	opts   Options
}

// Open prepares access with the SDK's own retries. Nothing is asked of the server
// yet.
func Open(cfg aws.Config, name string, opts Options) *Bucket {
	cfg = cfg.Copy()
	if opts.Region != "" {
		cfg.Region = opts.Region
	}
	if opts.Endpoint == "" {
		opts.Endpoint = s3.OtherServer(cfg)
	}
	if cfg.Region == "" && opts.Endpoint != "" {
		cfg.Region = "us-east-1" // what servers other than AWS expect
	}
	opts.PathStyle = opts.PathStyle || opts.Endpoint != ""
	if opts.Settle <= 0 {
		opts.Settle = 2 * time.Minute
		if opts.Endpoint != "" {
			opts.Settle = 10 * time.Second
		}
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	client := awss3.NewFromConfig(cfg, func(o *awss3.Options) {
		o.UsePathStyle = opts.PathStyle
		if opts.Endpoint != "" {
			o.BaseEndpoint = aws.String(opts.Endpoint)
		}
	})
	return &Bucket{name: name, client: client, cfg: cfg, opts: opts}
}

// Name of the bucket.
func (b *Bucket) Name() string { return b.name }

// Region that the bucket is asked for in; "" is that of the AWS configuration.
func (b *Bucket) Region() string { return b.cfg.Region }

// ARN of the bucket.
func (b *Bucket) ARN() string { return ARN(b.cfg.Region, b.name) }

// ARN of a bucket in a region, which says what partition of AWS it is in.
func ARN(region, name string) string { return "arn:" + Partition(region) + ":s3:::" + name }

// Partition of AWS that a region is in, as ARNs have it.
// Source: AWS General Reference, "Amazon Resource Names"; endpoints.json of the SDKs.
func Partition(region string) string {
	for _, p := range []struct{ prefix, partition string }{
		{"cn-", "aws-cn"}, {"us-gov-", "aws-us-gov"}, {"us-isob-", "aws-iso-b"}, {"us-isof-", "aws-iso-f"}, {"us-iso-", "aws-iso"}, {"eu-isoe-", "aws-iso-e"}, {"eusc-", "aws-eusc"},
	} {
		if strings.HasPrefix(region, p.prefix) {
			return p.partition
		}
	}
	return "aws"
}

// onAWS reports whether no other server was declared.
func (b *Bucket) onAWS() bool { return b.opts.Endpoint == "" }

func (b *Bucket) String() string { return "S3 bucket (" + b.name + ")" }
