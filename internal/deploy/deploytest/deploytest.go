// Package deploytest is the world that tests of deployed jobs take place in: an
// emulated AWS, a real S3 server and PostgreSQL, and a repository with the runner
// and a key in it. Tests only.
package deploytest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// Account is moto's.
const Account = "123456789012"

// World is what a deployed job needs: AWS, S3, PostgreSQL with the database shop, a
// sealed repository with the runner in it, and the secrets acme/db#password and
// acme/backup-key.
type World struct {
	AWS    *testenv.AWSServer
	S3     *testenv.S3Server
	PG     *testenv.PostgresServer
	At     job.RepositoryURL
	Runner string   // path of the program
	SHA256 string   // of it
	Arch   string   // of it, in the words of users
	Env    []string // what the platform gives a task or function of the role
}

// New makes a World that ends with the test.
func New(t testing.TB) *World {
	t.Helper()
	w := &World{AWS: testenv.AWS(t), S3: testenv.S3(t), PG: testenv.Postgres(t), Arch: map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]}
	w.PG.CreateDatabase(t, "shop")
	testenv.LoadSample(t, w.PG, "shop")
	// The task's role, in tests: moto believes every credential, so all take the
	// ones of the S3 server. What is not S3 is at moto.
	w.Env = append(w.S3.Env(), "AWS_ENDPOINT_URL="+w.AWS.Endpoint)
	w.At = job.RepositoryURL{Bucket: w.S3.Bucket, Prefix: "prod", Region: w.S3.Region, Endpoint: w.S3.Endpoint, PathStyle: true}
	w.build(t)
	key := filepath.Join(t.TempDir(), "key")
	w.Run(t, "key", "generate", "--out", key)
	w.secret(t, "acme/backup-key", strings.TrimSpace(string(ReadFile(t, key))))
	w.secret(t, "acme/db", `{"password":"`+w.PG.Password+`"}`)
	w.Run(t, "init", "--repository", w.At.String(), "--key", "secretsmanager:acme/backup-key")
	w.Put(t, runnerdist.Key(w.SHA256, runtime.GOARCH), ReadFile(t, w.Runner))
	return w
}

func (w *World) build(t testing.TB) {
	t.Helper()
	w.Runner = filepath.Join(t.TempDir(), "pgbackup-runner")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", w.Runner, "github.com/pgbackup/terraform-provider-pgbackup/runner")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the runner: %v\n%s", err, out)
	}
	hash := sha256.Sum256(ReadFile(t, w.Runner))
	w.SHA256 = hex.EncodeToString(hash[:])
}

// Run runs the runner here, as the one who administers the repository.
func (w *World) Run(t testing.TB, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), w.Runner, args...)
	cmd.Env = append(os.Environ(), w.Env...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", args, err, out, errs.Bytes())
	}
	return out
}

func (w *World) secret(t testing.TB, name, value string) {
	t.Helper()
	if _, err := secretsmanager.NewFromConfig(w.AWS.Config()).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &name, SecretString: &value}); err != nil {
		t.Fatal(err)
	}
}

// Put brings an object into the repository.
func (w *World) Put(t testing.TB, key string, content []byte) {
	t.Helper()
	if _, err := w.S3.Client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &w.At.Bucket, Key: aws.String(w.At.Prefix + "/" + key), Body: bytes.NewReader(content)}); err != nil {
		t.Fatal(err)
	}
}

// Point is a recovery point as `list` has it.
type Point struct {
	ID, Source, Kind string
	Verified         bool
}

// Points lists the repository.
func (w *World) Points(t testing.TB) []Point {
	t.Helper()
	var list struct{ Points []Point }
	if err := json.Unmarshal(w.Run(t, "list", "--repository", w.At.String(), "--json"), &list); err != nil {
		t.Fatal(err)
	}
	return list.Points
}

// ReadFile reads a file or ends the test.
func ReadFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Metrics are the documents of CloudWatch's embedded metric format in a log.
func Metrics(log string) (documents []map[string]any) {
	for line := range strings.Lines(log) {
		var m map[string]any
		if json.Unmarshal([]byte(line), &m) == nil && m["_aws"] != nil {
			documents = append(documents, m)
		}
	}
	return documents
}

// Release is the runner as a pgbackup_runner has brought it.
func (w *World) Release() deploy.Runner {
	return deploy.Runner{Repository: w.At, SHA256: map[string]string{w.Arch: w.SHA256}}
}

// PutJob brings a job's file to where a deployed job looks for it.
func (w *World) PutJob(t testing.TB, j job.Job) {
	t.Helper()
	file, err := j.Encode()
	if err != nil {
		t.Fatal(err)
	}
	key, err := deploy.JobKey(j)
	if err != nil {
		t.Fatal(err)
	}
	w.Put(t, key, file)
}

// Ref reads a reference to a secret that is well written.
func Ref(text string) secretref.Ref {
	r, err := secretref.Parse(text)
	if err != nil {
		panic(err)
	}
	return r
}

// DrillReports are those in the repository, newest first. They are read without its
// key, so that their seal is not checked.
func (w *World) DrillReports(t testing.TB) (reports []drillreport.Report) {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion(w.S3.Region), config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(w.S3.AccessKey, w.S3.SecretKey, "")))
	if err != nil {
		t.Fatal(err)
	}
	store, err := location.Open(t.Context(), w.At, location.OpenOptions{AWS: &cfg})
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Open(t.Context(), store, repo.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	listed, err := r.DrillReports(t.Context(), repo.DrillFilter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range listed {
		if l.Problem != nil {
			t.Fatal(l.Problem)
		}
		reports = append(reports, *l.Report)
	}
	return reports
}
