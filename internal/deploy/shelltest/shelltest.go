// Package shelltest is what the tests of scripts share that fetch a runner: a
// repository on a real S3 server with a program in it, and a way to run what a
// target renders. Tests only.
package shelltest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// Repository is a repository in S3 that has a program for both architectures in
// the place of the runner.
type Repository struct {
	Server *testenv.S3Server
	Runner deploy.Runner
}

// New starts a server and brings a program there.
func New(t testing.TB, program []byte) Repository {
	t.Helper()
	s := testenv.S3(t)
	sum := sha256.Sum256(program)
	r := Repository{Server: s, Runner: deploy.Runner{
		Repository: job.RepositoryURL{Bucket: s.Bucket, Prefix: "it's prod", Region: s.Region, Endpoint: s.Endpoint, PathStyle: true},
		SHA256:     map[string]string{"x86_64": hex.EncodeToString(sum[:]), "arm64": hex.EncodeToString(sum[:])},
	}}
	r.Put(t, program)
	return r
}

// Put replaces the program, whatever its hash was.
func (r Repository) Put(t testing.TB, program []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for arch, sum := range r.Runner.SHA256 {
		goarch, err := runnerdist.ParseArch(arch)
		if err != nil {
			t.Fatal(err)
		}
		key := r.Runner.Repository.Prefix + "/" + runnerdist.Key(sum, goarch)
		if _, err := r.Server.Client().PutObject(ctx, &awss3.PutObjectInput{Bucket: &r.Server.Bucket, Key: aws.String(key), Body: bytes.NewReader(program)}); err != nil {
			t.Fatal(err)
		}
	}
}

// Command is a command as a target would start it.
type Command struct {
	Argv []string
	Dir  string // "" is a new one
	Env  []string
}

// Run starts a command with the AWS CLI on its path and credentials for the server
// of r, and waits for its end. Of the environment of the tests only the path
// reaches it.
func (r Repository) Run(t testing.TB, c Command) (code int, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	program := c.Argv[0]
	if !strings.Contains(program, "/") {
		found, err := exec.LookPath(program)
		if err != nil {
			t.Fatalf("%s is not on PATH: install it (apt-get install %s)", program, program)
		}
		program = found
	}
	cmd := exec.CommandContext(ctx, program, c.Argv[1:]...)
	cmd.Dir = c.Dir
	if cmd.Dir == "" {
		cmd.Dir = t.TempDir()
	}
	cmd.Env = append(r.Server.Env(), "HOME="+t.TempDir(), "PATH="+filepath.Dir(testenv.AWSCLI(t))+":"+os.Getenv("PATH"))
	cmd.Env = append(cmd.Env, c.Env...)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", c.Argv[0], err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}
