// Package deploymenttest is what the acceptance tests of resources share that deploy
// jobs: an emulated AWS that can be told to refuse, and configurations around a job.
//
// What must not live here: assertions about one resource, and anything a non-test
// package imports.
package deploymenttest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist/runnertest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

// Cloud is moto behind a proxy that refuses what a test wants refused.
type Cloud struct {
	*testenv.AWSServer
	t      *testing.T
	mu     sync.Mutex
	refuse func(service string, r *http.Request) bool
	One    string   // folder of a release of the runner
	Two    string   // of another one
	before []string // what was in the account
}

// signedFor is the service in the signature of a request.
var signedFor = regexp.MustCompile(`Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request`)

// New makes one that ends with the test.
func New(t *testing.T) *Cloud {
	t.Helper()
	c := &Cloud{AWSServer: testenv.AWS(t), t: t}
	target, err := url.Parse(c.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		service := ""
		if m := signedFor.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
			service = m[1]
		}
		c.mu.Lock()
		refuse := c.refuse
		c.mu.Unlock()
		if refuse != nil && refuse(service, r) {
			w.Header().Set("X-Amzn-ErrorType", "AccessDeniedException")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"message":"no"}`))
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	for _, pair := range c.Env() {
		key, value, _ := strings.Cut(pair, "=")
		t.Setenv(key, value)
	}
	t.Setenv("AWS_ENDPOINT_URL", front.URL)
	t.Setenv("AWS_MAX_ATTEMPTS", "2")
	top := t.TempDir()
	c.One, c.Two = filepath.Join(top, "one"), filepath.Join(top, "two")
	for version, dir := range map[string]string{"one": c.One, "two": c.Two} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		runnertest.Build(t, dir, runnerdist.AMD64, version)
	}
	c.before = c.inventory()
	return c
}

// Refusing has requests refused from now on; nil lets all pass.
func (c *Cloud) Refusing(when func(service string, r *http.Request) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = when
}

func (c *Cloud) inventory() []string {
	c.t.Helper()
	all, err := testenv.Inventory(context.Background(), c.Config())
	if err != nil {
		c.t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(s string) bool { return strings.HasPrefix(s, "task definition, INACTIVE") })
}

// Made lists what is in the account beyond what was there before.
func (c *Cloud) Made() []string {
	return slices.DeleteFunc(c.inventory(), func(s string) bool { return slices.Contains(c.before, s) })
}

// Keys of the bucket below a folder of the repository.
func (c *Cloud) Keys(folder string) (keys []string) {
	c.t.Helper()
	out, err := c.Client().ListObjectsV2(context.Background(), &awss3.ListObjectsV2Input{Bucket: &c.Bucket, Prefix: aws.String("prod/" + folder)})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, o := range out.Contents {
		keys = append(keys, aws.ToString(o.Key))
	}
	return keys
}

// Head of a configuration: a repository, a policy and a runner, whose release is in
// the folder runners.
func (c *Cloud) Head(runners string) string {
	return fmt.Sprintf(`
provider "pgbackup" {
  region            = "us-east-1"
  s3_use_path_style = true
  runner_path       = %q
  default_tags      = { tags = { cost = "backup" } }
}

resource "pgbackup_repository" "main" {
  s3 = { bucket = %q, prefix = "prod", create_bucket = false }
}

resource "pgbackup_policy" "prod" {
  name       = "prod"
  repository = pgbackup_repository.main.id
  retention  = { keep_daily = 30 }
}

resource "pgbackup_runner" "main" {
  repository    = pgbackup_repository.main.id
  architectures = ["x86_64"]
}
`, runners, c.Bucket)
}

// PlansNothing holds that a second plan does nothing to a resource.
func PlansNothing(t *testing.T, w *providertest.Workspace, address, when string) {
	t.Helper()
	r := w.Plan()
	if got := w.Show(address); r.Failed || len(got.Actions) != 1 || got.Actions[0] != "no-op" {
		t.Errorf("%s: the second plan does %v:\n%s\n%s", when, got.Actions, r, w.PlanText())
	}
}
