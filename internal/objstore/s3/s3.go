// Package s3 keeps objects in a bucket of Amazon S3 or of any server that speaks
// its protocol (MinIO, versitygw, Ceph, R2).
//
// What lives here: the S3 adapter of objstore.Store, the only place that knows
// the SDK's S3 types. What must not: retries and rate limits (objstore has them
// for all stores), bucket administration, and anything that knows what the
// objects mean.
//
// The SDK's own retries are off: objstore.Retry decides, because only it can
// settle a conditional write whose answer was lost.
package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// Config says which bucket, and how to reach it.
type Config struct {
	Bucket   string
	Prefix   string // all keys are stored below it; "" = the whole bucket
	Region   string // "" = from the AWS configuration; us-east-1 with an Endpoint
	Endpoint string // URL of another server than AWS, http or https
	Profile  string // of the shared AWS configuration
	// PathStyle puts the bucket into the path instead of the host name. nil
	// means: yes with an Endpoint, no without.
	PathStyle *bool
	// StallTimeout ends a request in which no byte moves for so long. Default 60s.
	StallTimeout time.Duration
	// WithoutCRC64 sends Content-MD5 instead of CRC64NVME checksums. It is found
	// out by itself for servers that refuse them with an error.
	WithoutCRC64 bool
	HTTPClient   *http.Client // nil = one of our own
	AWSConfig    *aws.Config  // nil = the usual chain: environment, profile, SSO, container, instance
}

// credentialsTimeout bounds the search for credentials. An instance that has no
// metadata service, or a hop limit in front of it, must not hang a backup.
const credentialsTimeout = time.Minute

// completeFactor: how much longer than StallTimeout a server may think over
// CompleteMultipartUpload, for which some copy the whole object.
const completeFactor = 10

// Store is a bucket, or a prefix of one.
type Store struct {
	client *awss3.Client
	bucket string
	prefix string // "" or ends with a slash
	region string
	stall  time.Duration

	withoutCRC atomic.Bool           // the server refuses CRC64NVME
	oneByOne   atomic.Bool           // the server has no DeleteObjects
	untagged   atomic.Pointer[error] // why the server takes no tags
	bucketSeen atomic.Bool           // something was answered that proves the bucket exists
}

var (
	_ objstore.Store        = (*Store)(nil)
	_ objstore.Tagger       = (*Store)(nil)
	_ objstore.FolderLister = (*Store)(nil)
	_ objstore.Locker       = (*Store)(nil)
	_ objstore.Thawer       = (*Store)(nil)
)

// Open prepares the client. It makes no request to the bucket: the first use
// shows whether it exists.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Bucket == "" {
		return nil, errors.New("open S3 store: no bucket is named")
	}
	prefix := strings.Trim(cfg.Prefix, "/")
	if prefix != "" {
		if err := objstore.ValidKey(prefix); err != nil {
			return nil, fmt.Errorf("open s3://%s: prefix: %w", cfg.Bucket, err)
		}
		prefix += "/"
	}
	if cfg.Endpoint != "" && !strings.HasPrefix(cfg.Endpoint, "http://") && !strings.HasPrefix(cfg.Endpoint, "https://") {
		return nil, fmt.Errorf("open s3://%s: endpoint %q is not a URL; write https://%s", cfg.Bucket, cfg.Endpoint, cfg.Endpoint)
	}
	awsConfig, err := loadConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open s3://%s: %w", cfg.Bucket, err)
	}
	if cfg.StallTimeout <= 0 {
		cfg.StallTimeout = time.Minute
	}
	s := &Store{bucket: cfg.Bucket, prefix: prefix, region: awsConfig.Region, stall: cfg.StallTimeout}
	s.withoutCRC.Store(cfg.WithoutCRC64)
	s.client = awss3.NewFromConfig(awsConfig, func(o *awss3.Options) { configure(o, cfg) })
	return s, nil
}

// loadConfig resolves region and credentials.
func loadConfig(ctx context.Context, cfg Config) (aws.Config, error) {
	var c aws.Config
	if cfg.AWSConfig != nil {
		c = cfg.AWSConfig.Copy()
	} else {
		var opts []func(*config.LoadOptions) error
		if cfg.Profile != "" {
			opts = append(opts, config.WithSharedConfigProfile(cfg.Profile))
		}
		var err error
		if c, err = config.LoadDefaultConfig(ctx, opts...); err != nil {
			return c, fmt.Errorf("read the AWS configuration: %w", err)
		}
	}
	if cfg.Region != "" {
		c.Region = cfg.Region
	}
	if c.Region == "" {
		if cfg.Endpoint == "" && c.BaseEndpoint == nil {
			return c, errors.New("no AWS region is set: give the region, or set AWS_REGION")
		}
		c.Region = "us-east-1" // what servers other than AWS expect
	}
	if c.Credentials != nil {
		c.Credentials = Credentials(c.Credentials)
	}
	return c, nil
}

func configure(o *awss3.Options, cfg Config) {
	o.Retryer = aws.NopRetryer{}
	// Checksums are ours: computed once, sent as a plain header. The SDK's
	// default trailers are what other servers stumble over.
	o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	o.DisableLogOutputChecksumValidationSkipped = true
	o.UsePathStyle = cfg.Endpoint != "" || other(o.BaseEndpoint) != ""
	if cfg.Endpoint != "" {
		o.BaseEndpoint = aws.String(cfg.Endpoint)
	}
	if cfg.PathStyle != nil {
		o.UsePathStyle = *cfg.PathStyle
	}
	inner := o.HTTPClient
	if cfg.HTTPClient != nil {
		inner = cfg.HTTPClient
	} else if b, ok := inner.(*awshttp.BuildableClient); ok || inner == nil {
		if b == nil {
			b = awshttp.NewBuildableClient()
		}
		inner = b.WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConnsPerHost = 64 // parts go up in parallel and must find a connection open
			t.TLSHandshakeTimeout = cfg.StallTimeout
			t.DisableCompression = true
		})
	}
	o.HTTPClient = &stallClient{inner: inner, limit: cfg.StallTimeout}
}

// credentials bounds the search for credentials and marks its errors.
type credentials struct{ aws.CredentialsProvider }

func (c credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	ctx, cancel := context.WithTimeout(ctx, credentialsTimeout)
	defer cancel()
	found, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return found, &credentialsError{err}
	}
	return found, nil
}

type credentialsError struct{ error }

func (e *credentialsError) Unwrap() error { return e.error }

// URL is s3://bucket/prefix.
func (s *Store) URL() string {
	return "s3://" + s.bucket + strings.TrimSuffix("/"+s.prefix, "/")
}

// full is the key in the bucket.
func (s *Store) full(key string) *string { return aws.String(s.prefix + key) }

// check refuses what must not be sent.
func check(ctx context.Context, op, key string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s %s: %w", op, key, err)
	}
	if err := objstore.ValidKey(key); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}
