package connection_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
)

// witness stands in front of a server and keeps what was asked.
type witness struct {
	mu     sync.Mutex
	agents []string
	paths  []string
}

func (w *witness) before(t *testing.T, endpoint string) string {
	t.Helper()
	to, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.agents, w.paths = append(w.agents, r.UserAgent()), append(w.paths, r.URL.Path+" "+r.Header.Get("X-Amz-Target"))
		w.mu.Unlock()
		proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func (w *witness) clear() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.agents, w.paths = nil, nil
}

// count of the requests whose path and target are so.
func (w *witness) count(path string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.paths {
		if p == path {
			n++
		}
	}
	return n
}

func credentials(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_SESSION_TOKEN": "", "AWS_ENDPOINT_URL": "", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"} {
		t.Setenv(name, value)
	}
}

func TestServicesGoToTheirOwnEndpointsAndAreToldWhoAsks(t *testing.T) {
	credentials(t)
	server := testenv.AWS(t)
	var ecsAsked, stsAsked witness
	c := connection.New(connection.Settings{
		Version: "1.2.3", MaxRetries: 2, Region: "eu-west-1", UserAgent: []string{"acme-platform/4"}, SkipMetadata: true,
		Endpoints: map[string]string{"ECS": ecsAsked.before(t, server.Endpoint), "STS": stsAsked.before(t, server.Endpoint)},
	})
	cfg, err := c.AWS("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ecs.NewFromConfig(cfg).ListClusters(t.Context(), &ecs.ListClustersInput{}); err != nil {
		t.Fatal(err)
	}
	if len(ecsAsked.paths) != 1 || !strings.Contains(ecsAsked.paths[0], "ListClusters") || len(stsAsked.paths) != 1 {
		t.Errorf("ECS was asked %v, STS %v", ecsAsked.paths, stsAsked.paths)
	}
	for _, want := range []string{"terraform-provider-pgbackup/1.2.3", "acme-platform/4"} {
		if len(ecsAsked.agents) > 0 && !strings.Contains(ecsAsked.agents[0], want) {
			t.Errorf("the user agent %q does not have %s", ecsAsked.agents[0], want)
		}
	}
	who, err := c.Identity(t.Context())
	if err != nil || who.Account != "123456789012" || who.Partition != "aws" || len(stsAsked.paths) != 1 {
		t.Errorf("%+v, %v; STS was asked %d times", who, err, len(stsAsked.paths))
	}
	other, err := c.AWS("us-west-2")
	if err != nil || other.Region != "us-west-2" || cfg.Region != "eu-west-1" {
		t.Errorf("regions %s and %s, %v", other.Region, cfg.Region, err)
	}
}

func TestBadCredentialsAreSaidBeforeAnyResourceFails(t *testing.T) {
	credentials(t)
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid.</Message></Error></ErrorResponse>`))
	}))
	t.Cleanup(sts.Close)
	settings := connection.Settings{Region: "eu-west-1", MaxRetries: 1, SkipMetadata: true, Endpoints: map[string]string{"STS": sts.URL}}
	_, err := connection.New(settings).AWS("")
	if !errors.Is(err, awsapi.ErrDenied) || !strings.Contains(err.Error(), "whether the credentials are good") || !strings.Contains(err.Error(), "security token included in the request is invalid") {
		t.Errorf("%v", err)
	}
	settings.SkipCredentialsValidation = true
	if _, err := connection.New(settings).AWS(""); err != nil {
		t.Errorf("asked all the same: %v", err)
	}
}

func TestAnAccountThatIsNotAllowedIsRefused(t *testing.T) {
	credentials(t)
	server := testenv.AWS(t)
	settings := connection.Settings{Region: "eu-west-1", SkipMetadata: true, AllowedAccounts: []string{"999999999999"}, Endpoints: map[string]string{"STS": server.Endpoint}}
	_, err := connection.New(settings).AWS("")
	if err == nil || !strings.Contains(err.Error(), "123456789012") {
		t.Errorf("%v", err)
	}
}

func TestWithoutARegionTheErrorSaysWhereToGiveOne(t *testing.T) {
	credentials(t)
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	_, err := connection.New(connection.Settings{SkipMetadata: true, SkipCredentialsValidation: true}).AWS("")
	if err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("%v", err)
	}
}

func TestUnknownSettingsAreNotUsed(t *testing.T) {
	t.Parallel()
	c := connection.New(connection.Settings{Unknown: true})
	if _, err := c.AWS(""); !errors.Is(err, connection.ErrUnknown) {
		t.Errorf("%v", err)
	}
	if _, err := c.Identity(t.Context()); !errors.Is(err, connection.ErrUnknown) {
		t.Errorf("%v", err)
	}
}

func TestAResourcesOwnTagsWin(t *testing.T) {
	t.Parallel()
	c := connection.New(connection.Settings{DefaultTags: map[string]string{"team": "platform", "cost": "7"}})
	got := c.Tags(map[string]string{"cost": "8"})
	if len(got) != 2 || got["team"] != "platform" || got["cost"] != "8" || c.DefaultTags["cost"] != "7" {
		t.Errorf("%v", got)
	}
}

func TestOneNameHasOneTurnAtATime(t *testing.T) {
	t.Parallel()
	c := connection.New(connection.Settings{})
	unlock := c.Lock("bucket a")
	c.Lock("bucket b")()
	second := make(chan struct{})
	go func() {
		defer close(second)
		c.Lock("bucket a")()
	}()
	select {
	case <-second:
		t.Fatal("two have the turn of one bucket")
	case <-time.After(50 * time.Millisecond):
	}
	unlock()
	<-second
}
