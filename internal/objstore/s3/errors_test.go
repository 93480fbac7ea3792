package s3_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// wantOneLine: readable, with the words that help and without the SDK's frames.
func wantOneLine(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	text := err.Error()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q does not say %q", text, w)
		}
	}
	for _, noise := range []string{"\n", "operation error", "https response error", "%!", "0x"} {
		if strings.Contains(text, noise) {
			t.Errorf("%q has %q in it", text, noise)
		}
	}
}

func TestRefusedCredentialsAreDeniedAndTheSecretIsNotShown(t *testing.T) {
	t.Parallel()
	srv := testenv.S3(t)
	for name, keys := range map[string][2]string{
		"unknown key":  {"AKUNKNOWN", "some-secret-value"},
		"wrong secret": {srv.AccessKey, "some-secret-value"},
	} {
		cfg := config(t, srv)
		cfg.AWSConfig = &aws.Config{Credentials: credentials.NewStaticCredentialsProvider(keys[0], keys[1], "")}
		s := open(t, cfg)
		_, putErr := s.Put(t.Context(), "k", []byte("x"), objstore.PutOptions{})
		_, headErr := s.Head(t.Context(), "k", "")
		_, _, getErr := s.Get(t.Context(), "k", objstore.GetOptions{})
		var listErr error
		for _, listErr = range s.List(t.Context(), "") {
		}
		for op, err := range map[string]error{"put": putErr, "head": headErr, "get": getErr, "list": listErr, "delete": s.Delete(t.Context(), "k")} {
			if !errors.Is(err, objstore.ErrDenied) {
				t.Errorf("%s, %s: %v, want %v", name, op, err, objstore.ErrDenied)
			}
			wantOneLine(t, err, op, "s3://"+srv.Bucket)
			if err != nil && strings.Contains(err.Error(), "some-secret") {
				t.Errorf("%s shows the secret", op)
			}
		}
	}
}

func TestAMissingBucketIsNamedByEveryOperation(t *testing.T) {
	t.Parallel()
	cfg := config(t, testenv.S3(t))
	cfg.Bucket = "no-such-bucket"
	for op, try := range map[string]func(s *s3.Store) error{
		"put":    func(s *s3.Store) error { _, err := s.Put(t.Context(), "k", nil, objstore.PutOptions{}); return err },
		"create": func(s *s3.Store) error { _, err := s.Create(t.Context(), "k", objstore.PutOptions{}); return err },
		"get":    func(s *s3.Store) error { _, _, err := s.Get(t.Context(), "k", objstore.GetOptions{}); return err },
		"head":   func(s *s3.Store) error { _, err := s.Head(t.Context(), "k", ""); return err },
		"delete": func(s *s3.Store) error { return s.Delete(t.Context(), "k", "l") },
		"list uploads": func(s *s3.Store) error {
			_, err := s.PendingUploads(t.Context(), "")
			return err
		},
		"list": func(s *s3.Store) error {
			for _, err := range s.List(t.Context(), "") {
				return err
			}
			return nil
		},
	} {
		err := try(open(t, cfg))
		if !errors.Is(err, objstore.ErrNoBucket) {
			t.Errorf("%s: %v, want %v", op, err, objstore.ErrNoBucket)
		}
		wantOneLine(t, err, op, "no-such-bucket", "create it")
	}
}

func TestNoCredentialsAtAllIsSaidInBoundedTime(t *testing.T) {
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
	srv := testenv.S3(t)
	s, err := s3.Open(t.Context(), s3.Config{Bucket: srv.Bucket, Endpoint: srv.Endpoint})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, err = s.Head(t.Context(), "k", "")
	if !errors.Is(err, objstore.ErrDenied) || time.Since(began) > 10*time.Second {
		t.Errorf("head after %s: %v", time.Since(began), err)
	}
	wantOneLine(t, err, "AWS_ACCESS_KEY_ID")
}

func TestTheUsualEnvironmentIsRead(t *testing.T) {
	srv := testenv.S3(t)
	for _, pair := range srv.Env() {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	s, err := s3.Open(t.Context(), s3.Config{Bucket: srv.Bucket, Endpoint: srv.Endpoint})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "k", []byte("x"), objstore.PutOptions{}); err != nil {
		t.Error(err)
	}
}

func TestTheWrongRegionNamesTheRightOne(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amz-Bucket-Region", "eu-west-1")
		w.WriteHeader(http.StatusMovedPermanently)
	}))
	t.Cleanup(srv.Close)
	s, err := s3.Open(t.Context(), s3.Config{
		Bucket: "b", Region: "us-east-1", Endpoint: srv.URL,
		AWSConfig: &aws.Config{Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Head(t.Context(), "k", "")
	wantOneLine(t, err, "eu-west-1", "us-east-1", "set the region")
	if errors.Is(err, objstore.ErrTransient) {
		t.Errorf("%v is not temporary", err)
	}
}

func TestAFullServerIsNotATemporaryFailure(t *testing.T) {
	t.Parallel()
	s := behindHTTP(t, func(int, *http.Request) (int, bool) { return http.StatusInsufficientStorage, true })
	_, err := s.Put(t.Context(), "k", []byte("x"), objstore.PutOptions{})
	if !errors.Is(err, objstore.ErrNoSpace) || errors.Is(err, objstore.ErrTransient) {
		t.Errorf("put: %v, want %v", err, objstore.ErrNoSpace)
	}
	wantOneLine(t, err, "quota")
}

func TestConfigurationMistakesAreFoundWhenOpening(t *testing.T) {
	for want, cfg := range map[string]s3.Config{
		"no bucket":    {},
		"not a URL":    {Bucket: "b", Endpoint: "minio.example.org:9000"},
		"no AWS regio": {Bucket: "b", AWSConfig: &aws.Config{}},
		"prefix":       {Bucket: "b", Prefix: "a/../b", Region: "us-east-1"},
	} {
		_, err := s3.Open(t.Context(), cfg)
		wantOneLine(t, err, want)
	}
}

func TestAURLNamesBucketAndPrefix(t *testing.T) {
	for want, cfg := range map[string]s3.Config{
		"s3://b":     {Bucket: "b", Region: "x", AWSConfig: &aws.Config{}},
		"s3://b/p/q": {Bucket: "b", Prefix: "/p/q/", Region: "x", AWSConfig: &aws.Config{}},
	} {
		if got := open(t, cfg).URL(); got != want {
			t.Errorf("URL is %s, want %s", got, want)
		}
	}
}
