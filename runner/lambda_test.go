package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// runtimeAPI speaks the runtime API of AWS Lambda as its documentation has it:
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
type runtimeAPI struct {
	*httptest.Server
	events  chan lambdaInvocation
	answers chan lambdaResult
}

type lambdaInvocation struct {
	id, event string
	limit     time.Duration
}

type lambdaResult struct {
	path string // after /invocation/: ID/response or ID/error
	body string
}

func newRuntimeAPI(t *testing.T) *runtimeAPI {
	t.Helper()
	api := &runtimeAPI{events: make(chan lambdaInvocation), answers: make(chan lambdaResult, 1)}
	const base = "/2018-06-01/runtime/"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+base+"invocation/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case e := <-api.events:
			h := w.Header()
			h.Set("Lambda-Runtime-Aws-Request-Id", e.id)
			h.Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(e.limit).UnixMilli()))
			h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:pgbackup-nightly")
			h.Set("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1")
			h.Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, e.event)
		case <-r.Context().Done():
		}
	})
	answer := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusAccepted)
		api.answers <- lambdaResult{strings.TrimPrefix(r.URL.Path, base+"invocation/"), string(body)}
	}
	mux.HandleFunc("POST "+base+"invocation/{id}/response", answer)
	mux.HandleFunc("POST "+base+"invocation/{id}/error", answer)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s", r.Method, r.URL)
		w.WriteHeader(http.StatusNotFound)
	})
	api.Server = httptest.NewServer(mux)
	t.Cleanup(func() { api.CloseClientConnections(); api.Close() })
	return api
}

func (api *runtimeAPI) invoke(t *testing.T, e lambdaInvocation) lambdaResult {
	t.Helper()
	if e.limit == 0 {
		e.limit = time.Minute
	}
	limit := time.After(e.limit + 10*time.Second)
	select {
	case api.events <- e:
	case <-limit:
		t.Fatal("nobody asks for an event")
	}
	select {
	case got := <-api.answers:
		return got
	case <-limit:
		t.Fatalf("no answer to %s", e.event)
	}
	return lambdaResult{}
}

// builtRunner builds the program as it is released.
func builtRunner(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bootstrap")
	cmd := exec.Command("go", "build", "-tags", "lambda.norpc", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid= -X main.version=1.2.3", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the runner: %v\n%s", err, out)
	}
	return path
}

func TestAsALambdaFunctionItRunsTheSameCommands(t *testing.T) {
	t.Parallel()
	bootstrap := builtRunner(t)
	p := bucket(t)
	p.commit("app@db1", time.Hour, 2*time.Hour, 3*time.Hour)
	p.commit("locked@db1", time.Hour, 2*time.Hour)
	api := newRuntimeAPI(t)
	cmd, out, stderr := p.command([]string{"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(api.URL, "http://"), `PGBACKUP_ARGS=["version"]`})
	cmd.Path, cmd.Err = bootstrap, nil
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	defer stop()

	event := func(args ...string) string {
		data, err := json.Marshal(map[string]any{"args": args, "source": "aws.scheduler"})
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	told := p.job(job.KindFreshness)
	told.Notify = []job.Notification{{Channel: job.ChannelSlack, URLRef: ref(t, "env:NOT_SET"), On: []job.Event{job.OnSuccess}}}
	logical := p.job(job.KindLogical)
	logical.Logical = &job.Logical{Databases: []string{"app"}, Server: job.Server{Host: "db1"}}
	files := p.job(job.KindFiles)
	files.Files = &job.Files{Paths: []string{"/etc"}}
	for _, c := range []struct {
		name, event string
		failed      bool
		code        int
		want        []string
	}{
		{"a rotation", event("rotate", "--job", p.upload(p.job(job.KindRotate)), "--source", "app@db1"), false, 0, []string{"Deleted 2 of 3"}},
		{"a warning is no failure", event("status", "--job", p.upload(told)), false, 3, []string{"fresh"}},
		{"without words it takes those of the environment", `{}`, false, 0, []string{"pgbackup-runner 1.2.3"}},
		{"what is too old", event("status", "--repository", p.url, "--max-age", "1s"), true, 1, []string{"pgbackup-runner status: exit code 1 (failed): the newest good backup is", "app@db1"}},
		{"wrong usage", event("rotate", "--nonsense"), true, 2, []string{"exit code 2 (usage)", "--nonsense"}},
		{"pg_dump", event("backup", "--job", p.upload(logical)), true, 2, []string{"AWS Lambda has none", "run_on fargate"}},
		{"files", event("backup", "--job", p.upload(files)), true, 2, []string{"a machine that AWS Lambda is not"}},
		{"no list", `{"args":"rotate"}`, true, 0, []string{"must be a list of texts"}},
	} {
		id := strings.ReplaceAll(c.name, " ", "-")
		got := api.invoke(t, lambdaInvocation{id: id, event: c.event})
		way := map[bool]string{false: "/response", true: "/error"}[c.failed]
		if got.path != id+way {
			t.Errorf("%s: %s: %s", c.name, got.path, got.body)
			continue
		}
		var answer struct {
			ExitCode     int    `json:"exit_code"`
			Output       string `json:"output"`
			ErrorMessage string `json:"errorMessage"`
			ErrorType    string `json:"errorType"`
		}
		if err := json.Unmarshal([]byte(got.body), &answer); err != nil {
			t.Fatalf("%v: %s", err, got.body)
		}
		for _, want := range c.want {
			if !strings.Contains(answer.Output+answer.ErrorMessage, want) {
				t.Errorf("%s: %s does not have %q", c.name, got.body, want)
			}
		}
		if !c.failed && answer.ExitCode != c.code || c.failed && answer.ErrorType != "lambdaFailure" {
			t.Errorf("%s: %s", c.name, got.body)
		}
	}

	// A run that waits is stopped before Lambda would end it, and gives back what
	// it took.
	p.lock("locked@db1")
	began := time.Now()
	got := api.invoke(t, lambdaInvocation{id: "late", event: event("rotate", "--job", p.upload(p.job(job.KindRotate)), "--source", "locked@db1"), limit: 8 * time.Second})
	if got.path != "late/error" || !strings.Contains(got.body, "interrupted (the time limit of the Lambda function is near)") || time.Since(began) > 8*time.Second {
		t.Errorf("after %s: %s: %s", time.Since(began), got.path, got.body)
	}
	stop()
	if !strings.Contains(out.String(), "Deleted 2 of 3") || !strings.Contains(stderr.String(), "pgbackup-runner: interrupted") {
		t.Errorf("the log does not have what was said:\n%s\n%s", out, stderr)
	}
}

func TestWhatIsReleasedIsSmall(t *testing.T) {
	t.Parallel()
	st, err := os.Stat(builtRunner(t))
	if err != nil {
		t.Fatal(err)
	}
	const most = 32 << 20
	if st.Size() > most {
		t.Errorf("the runner has %d bytes, at most %d: the provider carries two of it", st.Size(), most)
	}
	out, err := exec.Command("go", "list", "-tags", "lambda.norpc", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	for _, name := range []string{"ecs", "scheduler", "iam", "lambda", "sqs", "sns", "cloudwatchlogs"} {
		if slices.Contains(deps, "github.com/aws/aws-sdk-go-v2/service/"+name) {
			t.Errorf("the runner holds the SDK of %s, which only the provider needs", name)
		}
	}
	// The image of a task has neither.
	for _, name := range []string{"time/tzdata", "golang.org/x/crypto/x509roots/fallback"} {
		if !slices.Contains(deps, name) {
			t.Errorf("the runner does not bring %s", name)
		}
	}
	// With net/rpc the linker keeps every method of every type.
	if slices.Contains(deps, "net/rpc") {
		t.Error("the runner holds net/rpc")
	}
}

func TestAnAnswerIsBounded(t *testing.T) {
	t.Parallel()
	h := &head{most: 4}
	for _, part := range []string{"a", "bü", "üc"} {
		if n, err := h.Write([]byte(part)); n != len(part) || err != nil {
			t.Error(n, err)
		}
	}
	if got := h.String(); got != "abü" || !h.cut {
		t.Errorf("%q", got)
	}
	h = &head{most: 3}
	_, _ = h.Write([]byte("abü"))
	if got := h.String(); got != "ab" {
		t.Errorf("a character is cut through: %q", got)
	}
}
