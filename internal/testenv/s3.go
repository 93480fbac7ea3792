package testenv

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// S3Server is a running versitygw with one bucket.
type S3Server struct {
	Endpoint  string // http://127.0.0.1:port
	Region    string
	AccessKey string
	SecretKey string
	Bucket    string
	Dir       string // where the server keeps its buckets, one folder each
	CA        string // file with the certificate of a server that speaks HTTPS; "" else

	client *http.Client
}

// S3Option changes how S3 starts its server.
type S3Option func(*s3Options)

type s3Options struct {
	versioned bool
	locked    bool
	like      *S3Server
	region    string
	tls       bool
}

// S3Versioned makes the bucket a versioned one.
func S3Versioned() S3Option { return func(o *s3Options) { o.versioned = true } }

// S3Locked makes the bucket one with Object Lock, which is versioned too.
func S3Locked() S3Option { return func(o *s3Options) { o.versioned, o.locked = true, true } }

// S3In puts the server into a region, which it asks of every request; us-east-1 is the
// default.
func S3In(region string) S3Option { return func(o *s3Options) { o.region = region } }

// S3Like gives the server the credentials of another one, whose bucket has the
// same name: two places that only the endpoint tells apart.
func S3Like(other *S3Server) S3Option { return func(o *s3Options) { o.like = other } }

// S3 starts an S3 server (versitygw over a temporary folder) on a free loopback
// port with random credentials and an empty bucket. It is stopped, and its data
// removed, when the test ends.
func S3(t testing.TB, opts ...S3Option) *S3Server {
	t.Helper()
	var o s3Options
	for _, opt := range opts {
		opt(&o)
	}
	bin := Tool(t, "versitygw")
	top := t.TempDir()
	s := &S3Server{
		Region:    "us-east-1",
		AccessKey: "AK" + rand.Text()[:16],
		SecretKey: rand.Text() + rand.Text()[:8],
		Bucket:    "test-bucket",
		Dir:       filepath.Join(top, "buckets"),
	}
	if o.region != "" {
		s.Region = o.region
	}
	if o.like != nil {
		s.AccessKey, s.SecretKey = o.like.AccessKey, o.like.SecretKey
	}
	mkdir(t, s.Dir)
	posix := []string{"posix"}
	if o.versioned {
		versions := filepath.Join(top, "versions")
		mkdir(t, versions)
		posix = append(posix, "--versioning-dir", versions)
	}
	posix = append(posix, s.Dir)
	if o.tls {
		var key string
		s.CA, key = certify(t, top)
		posix = append([]string{"--cert", s.CA, "--key", key}, posix...)
	}
	s.client = trusting(t, s.CA)

	var last string
	for range 5 {
		if last = s.start(t, bin, top, posix); last == "" {
			s.createBucket(t, o)
			return s
		}
	}
	t.Fatalf("versitygw did not start:\n%s", last)
	return nil
}

// start runs the server on a fresh port; it returns what the server printed
// when it did not come up.
func (s *S3Server) start(t testing.TB, bin, top string, posix []string) string {
	t.Helper()
	addr := FreeAddr(t)
	cmd := exec.Command(bin, append([]string{"--port", addr, "--region", s.Region, "--keep-alive", "--quiet"}, posix...)...)
	cmd.Dir = top
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY_ID="+s.AccessKey, "ROOT_SECRET_ACCESS_KEY="+s.SecretKey)
	s.Endpoint = "http://" + addr
	if s.CA != "" {
		s.Endpoint = "https://" + addr
	}
	return serveWith(t, s.client, cmd, s.Endpoint, 20*time.Second)
}

// Client returns an SDK client for the server's owner.
func (s *S3Server) Client() *awss3.Client {
	o := awss3.Options{
		Region:       s.Region,
		BaseEndpoint: aws.String(s.Endpoint),
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, ""),
	}
	if s.client != nil {
		o.HTTPClient = s.client
	}
	return awss3.New(o)
}

func (s *S3Server) createBucket(t testing.TB, o s3Options) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c := s.Client()
	if _, err := c.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: &s.Bucket, ObjectLockEnabledForBucket: aws.Bool(o.locked)}); err != nil {
		t.Fatalf("create bucket %s on %s: %v", s.Bucket, s.Endpoint, err)
	}
	if !o.versioned || o.locked {
		return
	}
	_, err := c.PutBucketVersioning(ctx, &awss3.PutBucketVersioningInput{
		Bucket:                  &s.Bucket,
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		t.Fatalf("enable versioning of bucket %s: %v", s.Bucket, err)
	}
}

// Env is the environment a child process needs to reach the server with the
// usual AWS credential chain.
func (s *S3Server) Env() []string {
	env := []string{
		"AWS_ACCESS_KEY_ID=" + s.AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + s.SecretKey,
		"AWS_REGION=" + s.Region,
		"AWS_EC2_METADATA_DISABLED=true",
		// A developer's own profile must not leak into a test.
		"AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
	}
	if s.CA != "" {
		env = append(env, "AWS_CA_BUNDLE="+s.CA)
	}
	return env
}

// FreeAddr returns a loopback host:port nobody listens on at the moment.
func FreeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func mkdir(t testing.TB, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(fmt.Errorf("make a folder for the S3 server: %w", err))
	}
}
