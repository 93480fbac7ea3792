package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/observe"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func ref(t *testing.T, text string) secretref.Ref {
	t.Helper()
	r, err := secretref.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// listener is somebody who is told, at /slack/SECRETTOKEN and so on.
type listener struct {
	*httptest.Server
	mu     sync.Mutex
	heard  []string          // paths, in order
	bodies map[string][]byte // the last one of each path
	header http.Header       // of the last webhook
}

func listen(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) *listener {
	t.Helper()
	l := &listener{bodies: map[string][]byte{}}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		l.mu.Lock()
		l.heard, l.bodies[r.URL.Path] = append(l.heard, r.URL.Path), body
		if strings.HasPrefix(r.URL.Path, "/hook") {
			l.header = r.Header.Clone()
		}
		l.mu.Unlock()
		if answer != nil {
			answer(w, r)
		}
	}))
	t.Cleanup(func() { l.CloseClientConnections(); l.Close() })
	return l
}

func (l *listener) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.heard)
}

// env holds the URLs, which are secrets.
func (l *listener) env() []string {
	return []string{"SLACK=" + l.URL + "/slack/SECRETTOKEN", "HOOK=" + l.URL + "/hook/SECRETTOKEN", "PING=" + l.URL + "/ping/SECRETTOKEN", "HOOK_KEY=0123456789abcdefKEY"}
}

// told adds all channels to a job.
func told(t *testing.T, j job.Job) job.Job {
	j.Notify = []job.Notification{
		{Channel: job.ChannelSlack, URLRef: ref(t, "env:SLACK")},
		{Channel: job.ChannelWebhook, URLRef: ref(t, "env:HOOK"), SecretRef: ref(t, "env:HOOK_KEY")},
		{Channel: job.ChannelPing, URLRef: ref(t, "env:PING")},
	}
	return j
}

func (l *listener) report(t *testing.T) observe.Report {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	body := l.bodies["/hook/SECRETTOKEN"]
	var r observe.Report
	if err := json.Unmarshal(body, &r); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if want := observe.Signature([]byte("0123456789abcdefKEY"), l.header.Get(observe.HeaderTimestamp), body); l.header.Get(observe.HeaderSignature) != want {
		t.Errorf("signature %s, want %s", l.header.Get(observe.HeaderSignature), want)
	}
	return r
}

func keepsSecrets(t *testing.T, e ended) {
	t.Helper()
	for _, secret := range []string{"SECRETTOKEN", "127.0.0.1", "abcdefKEY"} {
		if strings.Contains(e.out+e.stderr, secret) {
			t.Errorf("%q was printed: %s", secret, e)
		}
	}
}

func TestASuccessfulRunIsToldToThoseWhoAskedForIt(t *testing.T) {
	t.Parallel()
	p, l := directory(t), listen(t, nil)
	p.commit("app@db1", time.Hour, 2*time.Hour, 3*time.Hour)
	got := p.run(l.env(), "rotate", "--job", p.file(told(t, p.job(job.KindRotate))))
	if got.code != 0 {
		t.Fatal(got)
	}
	keepsSecrets(t, got)
	heard := l.all()
	start, end := slices.Index(heard, "/ping/SECRETTOKEN/start"), slices.Index(heard, "/ping/SECRETTOKEN")
	if len(heard) != 3 || start < 0 || end < start || !slices.Contains(heard, "/hook/SECRETTOKEN") {
		t.Errorf("told %v", heard)
	}
	r := l.report(t)
	if r.Event != job.OnSuccess || *r.ExitCode != 0 || r.Outcome != "done" || r.DeletedPoints != 2 || r.DeletedBytes == 0 || r.Job != "nightly-rotate" || r.Command != "rotate" || r.Policy != "prod" ||
		r.Repository != p.url || r.Host == "" || len(r.Run) < 20 || r.End.Before(r.Start) || r.Error != "" {
		t.Errorf("%+v", r)
	}
}

func TestAFailedRunIsToldWithItsReason(t *testing.T) {
	t.Parallel()
	p, l := directory(t), listen(t, nil)
	p.commit("app@db1", 72*time.Hour)
	got := p.run(l.env(), "status", "--job", p.file(told(t, p.job(job.KindFreshness))))
	if got.code != 1 {
		t.Fatal(got)
	}
	keepsSecrets(t, got)
	if heard := l.all(); !slices.Contains(heard, "/ping/SECRETTOKEN/fail") || !slices.Contains(heard, "/slack/SECRETTOKEN") || len(heard) != 4 {
		t.Errorf("told %v", heard)
	}
	if r := l.report(t); r.Event != job.OnFailure || *r.ExitCode != 1 || !strings.Contains(r.Error, "older than 25h: app@db1") {
		t.Errorf("%+v", r)
	}
	if slack := string(l.bodies["/slack/SECRETTOKEN"]); !strings.Contains(slack, ":x: *nightly-freshness*") || !strings.Contains(slack, "older than 25h") {
		t.Error(slack)
	}
}

func TestAReceiverThatFailsIsAWarningAndNeverAFailure(t *testing.T) {
	t.Parallel()
	p := directory(t)
	p.commit("app@db1", time.Hour, 72*time.Hour)
	l := listen(t, func(w http.ResponseWriter, r *http.Request) { http.Error(w, r.RequestURI, http.StatusNotFound) })
	rotate := p.file(told(t, p.job(job.KindRotate)))
	got := p.run(l.env(), "rotate", "--job", rotate)
	if got.code != 3 || !strings.Contains(got.out, "Deleted 1 of 2") || !strings.Contains(got.stderr, "notify[1] (webhook, env:HOOK) was not told of the success: it answered 404 Not Found") {
		t.Error(got)
	}
	keepsSecrets(t, got)
	// Nor does it hide what went wrong.
	stale := p.job(job.KindFreshness)
	stale.Freshness = &job.Freshness{}
	got = p.run(l.env(), "status", "--max-age", "1s", "--job", p.file(told(t, stale)))
	if got.code != 1 || !strings.Contains(got.stderr, "pgbackup-runner: the newest good backup is missing or older than 1s") || !strings.Contains(got.stderr, "notify[0] (slack, env:SLACK) was not told of the failure") {
		t.Error(got)
	}
	keepsSecrets(t, got)
	// A reference that leads nowhere, and one that is no URL.
	got = p.run([]string{"HOOK=SECRETTOKEN without a scheme", "PING=" + l.URL}, "rotate", "--job", rotate)
	if got.code != 3 || !strings.Contains(got.stderr, "read env:HOOK_KEY: secret not found") && !strings.Contains(got.stderr, "is not an http:// or https:// URL") {
		t.Error(got)
	}
	if strings.Contains(got.stderr, "SECRETTOKEN") {
		t.Error(got)
	}
}

func TestWhoDoesNotDoTheJobTellsNobody(t *testing.T) {
	t.Parallel()
	p, l := directory(t), listen(t, nil)
	p.commit("app@db1", time.Hour, 2*time.Hour)
	j := told(t, p.job(job.KindRotate))
	j.Metrics = job.MetricsEMF
	file := p.file(j)
	for _, args := range [][]string{{"rotate", "--dry-run"}, {"list"}, {"status"}, {"show", "latest"}} {
		got := p.run(l.env(), append(args, "--job", file)...)
		if got.code != 0 || strings.Contains(got.stderr, "_aws") {
			t.Errorf("%v: %s", args, got)
		}
	}
	if heard := l.all(); len(heard) > 0 {
		t.Errorf("told %v", heard)
	}
}

func TestASlowReceiverDoesNotHoldUpARunThatWasStopped(t *testing.T) {
	t.Parallel()
	p := directory(t)
	p.commit("app@db1", time.Hour, 2*time.Hour)
	p.lock("app@db1")
	l := listen(t, func(_ http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/slack") {
			<-r.Context().Done()
		}
	})
	cmd, out, stderr := p.command(l.env(), "rotate", "--job", p.file(told(t, p.job(job.KindRotate))))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); len(l.all()) == 0; time.Sleep(20 * time.Millisecond) { // its start was told
		if time.Now().After(deadline) {
			t.Fatal("nobody was told of the start")
		}
	}
	began := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	got := ended{cmd.ProcessState.ExitCode(), out.String(), stderr.String()}
	if got.code != 1 || time.Since(began) > 14*time.Second {
		t.Errorf("after %s: %s", time.Since(began), got)
	}
	keepsSecrets(t, got)
	if r := l.report(t); r.Event != job.OnFailure || !strings.Contains(r.Error, "interrupted (terminated)") {
		t.Errorf("%+v", r)
	}
	if !slices.Contains(l.all(), "/ping/SECRETTOKEN/fail") || !strings.Contains(got.stderr, "notify[0] (slack, env:SLACK) was not told of the failure: stopped before it answered") {
		t.Errorf("told %v: %s", l.all(), got)
	}
}

func TestTheNumbersOfARunAreInItsLog(t *testing.T) {
	t.Parallel()
	p := directory(t)
	p.commit("app@db1", 2*time.Hour, 3*time.Hour)
	p.commit("crm@db1", 30*time.Hour)
	j := p.job(job.KindFreshness)
	j.Metrics = job.MetricsEMF
	got := p.run(nil, "status", "--job", p.file(j), "--json")
	if got.code != 1 || got.document(t)["fresh"] != false {
		t.Fatal(got)
	}
	lines := map[string]map[string]any{}
	for line := range strings.SplitSeq(got.stderr, "\n") {
		var l map[string]any
		if json.Unmarshal([]byte(line), &l) == nil && l["_aws"] != nil {
			source, _ := l["Source"].(string)
			if l["Succeeded"] != nil {
				source = "own"
			}
			lines[source] = l
		}
	}
	if len(lines) != 4 {
		t.Fatalf("%d lines of numbers: %s", len(lines), got)
	}
	between := func(source, name string, from, to float64) {
		if v, ok := lines[source][name].(float64); !ok || v < from || v > to {
			t.Errorf("%s %s is %v, want %v to %v", source, name, lines[source][name], from, to)
		}
	}
	between("", "Failed", 1, 1)
	between("", "RecoveryPoints", 3, 3)
	between("", "Age", 30*3600, 30*3600+60)
	between("", "RepositoryBytes", 100, 10_000)
	between("app@db1", "Age", 2*3600, 2*3600+60)
	between("crm@db1", "Age", 30*3600, 30*3600+60)
	// A job that makes no backups says nothing of the success of its policy.
	between("own", "Succeeded", 0, 0)
	if lines[""]["Repository"] != p.url || lines[""]["Policy"] != "prod" || lines[""]["Job"] != "nightly-freshness" {
		t.Error(lines[""])
	}
}

func TestTheNumbersOfARunReachCloudWatch(t *testing.T) {
	t.Parallel()
	srv, p := testenv.AWS(t), directory(t)
	p.commit("app@db1", time.Hour, 2*time.Hour)
	j := p.job(job.KindRotate)
	j.Metrics = job.MetricsCloudWatch
	if got := p.run(srv.Env(), "rotate", "--job", p.file(j)); got.code != 0 || strings.Contains(got.stderr, "_aws") {
		t.Fatal(got)
	}
	client := cloudwatch.NewFromConfig(aws.Config{Region: srv.Region, BaseEndpoint: &srv.Endpoint, Credentials: credentials.NewStaticCredentialsProvider("testing", "testing", "")})
	listed, err := client.ListMetrics(t.Context(), &cloudwatch.ListMetricsInput{Namespace: aws.String("pgbackup")})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]int{}
	for _, m := range listed.Metrics {
		names[*m.MetricName]++
	}
	for name, want := range map[string]int{"Succeeded": 1, "Failed": 2, "Duration": 2, "RecoveryPoints": 2, "RepositoryBytes": 2, "Age": 2} {
		if names[name] != want {
			t.Errorf("%s has %d series, want %d", name, names[name], want)
		}
	}
	// Without a way to CloudWatch the run is still good.
	dead := []string{"AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b"}
	if got := p.run(dead, "rotate", "--job", p.file(j)); got.code != 3 || !strings.Contains(got.stderr, "its metrics were not published: publishing CloudWatch metrics") {
		t.Error(got)
	}
}

func TestABackupIsToldWithWhatItMade(t *testing.T) {
	t.Parallel()
	p, l := directory(t), listen(t, nil)
	no := false
	j := told(t, p.job(job.KindCommand))
	j.Command, j.Rotate, j.Metrics = &job.Command{Argv: []string{"seq", "1000"}}, &no, job.MetricsEMF
	file := p.file(j)
	var got ended
	for range enough + 1 {
		if got = p.run(l.env(), "backup", "--job", file); got.code != 0 {
			t.Fatal(got)
		}
	}
	r := l.report(t)
	if len(r.Points) != 1 || r.Points[0].Source != "nightly-command@"+thisHost() || r.Points[0].Kind != "command" || r.Points[0].Plain != 3893 || r.Points[0].Stored == 0 {
		t.Fatalf("%+v", r)
	}
	for _, want := range []string{`"Succeeded":1`, `"PlainBytes":3893`, `"RecoveryPoints":4`, `"SizeRatio":100`, `"Source":"nightly-command@` + thisHost() + `"`} {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("%s is not in %s", want, got.stderr)
		}
	}
}

func TestANewSizeIsHeldAgainstTheMedianOfThoseBefore(t *testing.T) {
	t.Parallel()
	p := directory(t)
	p.commit("app@db1", 5*time.Hour, 4*time.Hour, 3*time.Hour, 2*time.Hour)
	a := newApp(streams{out: io.Discard, err: io.Discard})
	lanes, err := a.survey(t.Context(), p.repo, repo.Filter{}, "prod")
	if err != nil || len(lanes) != 1 {
		t.Fatal(lanes, err)
	}
	points, sizes := lanes[0].points, map[string]int64{}
	for i, size := range []int64{50, 300, 100, 200} { // newest first
		sizes[points[i].String()] = size
	}
	made := func(i int) []madePoint {
		return []madePoint{{Source: "app@db1", Kind: "logical", ID: points[i].ID, Stored: sizes[points[i].String()]}}
	}
	if got := sizeRatios(made(0), lanes, sizes); len(got) != 1 || got[0] != 25 {
		t.Errorf("50 after 200, 100, 300: %v; want 25", got)
	}
	if got := sizeRatios(made(1), lanes, sizes); len(got) != 0 {
		t.Errorf("there are two before it: %v", got)
	}
}
