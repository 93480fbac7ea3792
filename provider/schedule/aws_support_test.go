package schedule_test

import (
	"context"
	"encoding/json"
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

// cloud is moto behind a proxy that refuses what a test wants refused.
type cloud struct {
	*testenv.AWSServer
	t      *testing.T
	mu     sync.Mutex
	refuse func(service string, r *http.Request) bool
	one    string // folders of two releases of the runner
	two    string
	before []string // what was in the account
}

// signedFor is the service in the signature of a request.
var signedFor = regexp.MustCompile(`Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request`)

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{AWSServer: testenv.AWS(t), t: t}
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
	c.one, c.two = filepath.Join(top, "one"), filepath.Join(top, "two")
	for version, dir := range map[string]string{"one": c.one, "two": c.two} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		runnertest.Build(t, dir, runnerdist.AMD64, version)
	}
	c.before = c.inventory()
	return c
}

func (c *cloud) refusing(when func(service string, r *http.Request) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = when
}

func (c *cloud) inventory() []string {
	c.t.Helper()
	all, err := testenv.Inventory(context.Background(), c.Config())
	if err != nil {
		c.t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(s string) bool { return strings.HasPrefix(s, "task definition, INACTIVE") })
}

// made lists what is in the account beyond what was there before.
func (c *cloud) made() []string {
	return slices.DeleteFunc(c.inventory(), func(s string) bool { return slices.Contains(c.before, s) })
}

// keys of the bucket below a folder of the repository.
func (c *cloud) keys(folder string) (keys []string) {
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

const onFargate = `fargate = {
      cluster         = "arn:aws:ecs:us-east-1:123456789012:cluster/backups"
      subnets         = ["subnet-0a1b2c3d"]
      security_groups = ["sg-0a1b2c3d"]
      cpu             = 512
      memory          = 1024
      environment     = { PGCONNECT_TIMEOUT = "20" }
    }`

// config of a schedule; runners is the folder of a release.
func (c *cloud) config(runners, job, runOn string, lines ...string) string {
	return c.head(runners) + fmt.Sprintf(`
resource "pgbackup_schedule" "nightly" {
  name   = "nightly"
  policy = pgbackup_policy.prod.id
  runner = pgbackup_runner.main.release
  cron   = "0 2 * * *"
  tags   = { team = "data" }
  job    = { %s }
  run_on = {
    %s
  }
  %s
}
`, job, runOn, strings.Join(lines, "\n  "))
}

func (c *cloud) head(runners string) string {
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

// plansNothing holds that a second plan is empty.
func plansNothing(t *testing.T, w *providertest.Workspace, when string) {
	t.Helper()
	r := w.Plan()
	if got := w.Show(address); r.Failed || len(got.Actions) != 1 || got.Actions[0] != "no-op" {
		t.Errorf("%s: the second plan does %v:\n%s\n%s", when, got.Actions, r, w.PlanText())
	}
}

func asJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}
