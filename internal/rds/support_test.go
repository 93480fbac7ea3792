package rds_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssdk "github.com/aws/aws-sdk-go-v2/service/rds"

	api "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rotate"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/verify"
)

// front stands before the emulator and gives the answers of AWS that it lacks: a
// refusal, by the name of the call.
type front struct {
	mu      sync.Mutex
	refuse  map[string]string // action -> error code
	replace map[string]func(string) string
	first   map[string]int // action -> how many more times it is refused; 0 is for ever
	calls   []string
	forms   map[string]url.Values // action -> what was asked last
}

func (f *front) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
		_ = req.Body.Close()
		req.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	form, _ := url.ParseQuery(string(body))
	action := form.Get("Action")
	f.mu.Lock()
	f.calls = append(f.calls, action)
	if f.forms == nil {
		f.forms = map[string]url.Values{}
	}
	f.forms[action] = form
	code, change := f.refuse[action], f.replace[action]
	if f.first[action] > 0 {
		if f.first[action]--; f.first[action] == 0 {
			delete(f.refuse, action)
		}
	}
	f.mu.Unlock()
	answer := func(status int, text string) *http.Response {
		return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"text/xml"}}, Body: io.NopCloser(strings.NewReader(text)), Request: req}
	}
	if code != "" {
		status := 400
		if code == "AccessDenied" {
			status = 403
		}
		return answer(status, "<ErrorResponse><Error><Type>Sender</Type><Code>"+code+"</Code><Message>as AWS says it</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"), nil
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil || change == nil {
		return resp, err
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return answer(resp.StatusCode, change(string(text))), err
}

func (f *front) set(action, code string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse[action] = code
}

// refuseFirst refuses a call so many times.
func (f *front) refuseFirst(action, code string, times int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse[action], f.first[action] = code, times
}

func (f *front) change(action string, with func(string) string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replace[action] = with
}

func (f *front) count(action string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		if c == action {
			n++
		}
	}
	return n
}

// asked is what a call said last.
func (f *front) asked(action string) url.Values {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.forms[action]
}

// world is an account with an instance and a cluster, and a repository.
type world struct {
	t      *testing.T
	front  *front
	server *testenv.AWSServer
	cfg    aws.Config
	api    *api.Client
	raw    *awssdk.Client
	repo   *repo.Repository
	now    time.Time
}

var shop = api.Target{ID: "shop"}

func newWorld(t *testing.T) *world {
	t.Helper()
	server := testenv.AWS(t)
	f := &front{refuse: map[string]string{}, replace: map[string]func(string) string{}, first: map[string]int{}}
	cfg := aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(server.Endpoint), HTTPClient: &http.Client{Transport: f},
		Credentials: credentials.NewStaticCredentialsProvider("testing", "testing", ""), RetryMaxAttempts: 1,
	}
	w := &world{t: t, front: f, server: server, cfg: cfg, api: api.New(cfg), raw: awssdk.NewFromConfig(cfg), now: time.Now().Add(-time.Hour)}
	w.repo = w.newRepository()
	_, err := w.raw.CreateDBInstance(t.Context(), &awssdk.CreateDBInstanceInput{
		DBInstanceIdentifier: aws.String("shop"), DBInstanceClass: aws.String("db.t3.micro"), Engine: aws.String("postgres"), AllocatedStorage: aws.Int32(20),
		BackupRetentionPeriod: aws.Int32(7), MasterUsername: aws.String("app"), MasterUserPassword: aws.String("not-a-secret"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) newRepository() *repo.Repository {
	w.t.Helper()
	store, err := dir.Create(filepath.Join(w.t.TempDir(), "repo"))
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := repo.Create(w.t.Context(), store, repo.CreateOptions{Now: time.Now()})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) options(change ...func(*rds.Options)) rds.Options {
	o := rds.Options{
		Repo: w.repo, RDS: w.api, Target: shop, Limit: 5 * time.Second, First: 10 * time.Millisecond,
		Self: repo.Self(), Clock: func() time.Time { return w.now },
	}
	for _, c := range change {
		c(&o)
	}
	return o
}

// take takes one a minute after the one before.
func (w *world) take(change ...func(*rds.Options)) rds.Result {
	w.t.Helper()
	w.now = w.now.Add(time.Minute)
	result, err := rds.Take(w.t.Context(), w.options(change...))
	if err != nil {
		w.t.Fatal(err)
	}
	return result
}

func (w *world) clients(_ context.Context, region string) (*api.Client, error) {
	cfg := w.cfg.Copy()
	cfg.Region = region
	return api.New(cfg), nil
}

func (w *world) snapshots() (names []string) {
	w.t.Helper()
	for _, cluster := range []bool{false, true} {
		all, err := w.api.Snapshots(w.t.Context(), api.Query{Target: api.Target{Cluster: cluster}, Type: api.Manual})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, s := range all {
			names = append(names, s.Name)
		}
	}
	return names
}

func (w *world) points() []repo.Listed {
	w.t.Helper()
	points, err := w.repo.List(w.t.Context(), repo.Filter{Kind: rds.Kind})
	if err != nil {
		w.t.Fatal(err)
	}
	return points
}

func (w *world) rotate(keep int, r *repo.Repository) (rotate.Outcome, error) {
	rules := retention.Rules{}
	rules.KeepLast = keep
	return rotate.Run(w.t.Context(), rotate.Options{
		Repo: r, Rules: rules, Now: time.Now(), Self: repo.Self(), Release: rds.Release(w.clients, r, slog.New(slog.DiscardHandler)), Standing: rds.Standing(w.clients),
	})
}

func (w *world) verify() verify.Report {
	w.t.Helper()
	report, err := verify.Run(w.t.Context(), verify.Options{Repo: w.repo, Points: w.points(), Mark: true, Now: time.Now(), Outside: rds.Check(w.clients)})
	if err != nil {
		w.t.Fatal(err)
	}
	return report
}

// leave makes the snapshot of a run that died before its manifest.
func (w *world) leave(change ...func(*rds.Options)) string {
	w.t.Helper()
	w.now = w.now.Add(time.Minute)
	ctx, cancel := context.WithCancelCause(w.t.Context())
	w.front.change("CreateDBSnapshot", func(body string) string { cancel(errors.New("killed")); return body })
	defer w.front.change("CreateDBSnapshot", nil)
	before := w.snapshots()
	if _, err := rds.Take(ctx, w.options(change...)); err == nil {
		w.t.Fatal("it was not killed")
	}
	for _, name := range w.snapshots() {
		if !slices.Contains(before, name) {
			return name
		}
	}
	w.t.Fatal("no snapshot was left")
	return ""
}
