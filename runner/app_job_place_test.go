package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// place is a repository for jobs to work on, with a policy "prod" that keeps one
// point and promises 25 hours.
type place struct {
	t    *testing.T
	url  string
	repo *repo.Repository
	env  []string // to reach it
	s3   *testenv.S3Server
}

func newPlace(t *testing.T, url string, srv *testenv.S3Server) *place {
	t.Helper()
	at, err := location.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, url: url, s3: srv}
	opts := location.OpenOptions{Create: true}
	if srv != nil {
		opts.AWS = &aws.Config{Region: srv.Region, Credentials: credentials.NewStaticCredentialsProvider(srv.AccessKey, srv.SecretKey, "")}
		p.env = srv.Env()
	}
	store, err := location.Open(t.Context(), at, opts)
	if err != nil {
		t.Fatal(err)
	}
	if p.repo, err = repo.Create(t.Context(), store, repo.CreateOptions{Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	document, err := policy.Parse([]byte(`{"format":1,"name":"prod","objectives":{"rpo":"25h"},"retention":{"keep_last":1}}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.repo.PutPolicyRevision(t.Context(), 0, document, policy.Envelope{At: time.Now(), By: "a test", Loss: &policy.Loss{To: document.Digest()}}); err != nil {
		t.Fatal(err)
	}
	return p
}

// directory is a place in a folder, bucket one in a bucket of a real S3 server.
func directory(t *testing.T) *place {
	return newPlace(t, "file://"+filepath.Join(t.TempDir(), "repo"), nil)
}

func bucket(t *testing.T) *place {
	srv := testenv.S3(t)
	return newPlace(t, "s3://"+srv.Bucket+"/prod?"+url.Values{"endpoint": {srv.Endpoint}, "region": {srv.Region}}.Encode(), srv)
}

// commit adds points of a source that began so long ago.
func (p *place) commit(source string, ages ...time.Duration) {
	p.t.Helper()
	for _, age := range ages {
		start := time.Now().Add(-age)
		w, err := p.repo.NewPoint(source, "logical", start, repo.WriterOptions{})
		if err == nil {
			err = w.WriteStream(p.t.Context(), "archive", bytes.Repeat([]byte("what was backed up"), 100))
		}
		if err == nil {
			err = w.Commit(p.t.Context(), &repo.Manifest{End: start.Add(time.Minute), Policy: "prod", PolicyRevision: 1})
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
}

// job makes a job of the place.
func (p *place) job(kind job.Kind) job.Job {
	return job.Job{Format: job.Format, Name: "nightly-" + strings.ReplaceAll(string(kind), "_", "-"), Kind: kind, Repository: p.url, Policy: "prod"}
}

// file writes a job file.
func (p *place) file(j job.Job) string {
	p.t.Helper()
	path := filepath.Join(p.t.TempDir(), j.Name+".json")
	if err := os.WriteFile(path, p.encode(j), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return path
}

func (p *place) encode(j job.Job) []byte {
	p.t.Helper()
	data, err := j.Encode()
	if err != nil {
		p.t.Fatal(err)
	}
	return data
}

// upload puts a job file into the bucket, as the provider does, and gives what
// --job takes.
func (p *place) upload(j job.Job) string {
	data := p.encode(j)
	return p.put(job.Key(j.Name, data), data)
}

func (p *place) put(key string, data []byte) string {
	p.t.Helper()
	at, err := location.Parse(p.url)
	if err != nil {
		p.t.Fatal(err)
	}
	at.Prefix += "/" + key
	if _, err := p.s3.Client().PutObject(p.t.Context(), &awss3.PutObjectInput{Bucket: &at.Bucket, Key: &at.Prefix, Body: bytes.NewReader(data)}); err != nil {
		p.t.Fatal(err)
	}
	return at.String()
}

// lock takes the lease of a source as another machine would: a run waits a minute
// for it.
func (p *place) lock(source string) {
	p.t.Helper()
	other := repo.Self()
	other.Host, other.Boot = "another-host", "another-boot"
	lease, _, err := p.repo.TakeLease(context.Background(), source, repo.LeaseOptions{What: "backup", Self: other})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = lease.Release() })
}

// ended is how a run of the program ended.
type ended struct {
	code        int
	out, stderr string
}

// command is the real program, as it is started on a machine.
func (p *place) command(env []string, args ...string) (*exec.Cmd, *bytes.Buffer, *bytes.Buffer) {
	cmd := exec.Command("pgbackup-runner", args...)
	cmd.Env = append(append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.t.TempDir(), "AWS_EC2_METADATA_DISABLED=true"}, p.env...), env...)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	return cmd, &out, &stderr
}

func (p *place) run(env []string, args ...string) ended {
	p.t.Helper()
	cmd, out, stderr := p.command(env, args...)
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return ended{cmd.ProcessState.ExitCode(), out.String(), stderr.String()}
}

func (e ended) String() string { return fmt.Sprintf("exit code %d\n%s\n%s", e.code, e.out, e.stderr) }

// document is JSON of the output, which must be one document.
func (e ended) document(t *testing.T) map[string]any {
	t.Helper()
	var d map[string]any
	if err := json.Unmarshal([]byte(e.out), &d); err != nil {
		t.Fatalf("%v: %s", err, e)
	}
	return d
}
