package testenv

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
)

// AWSServer is a running moto server, which answers for many services of AWS, S3
// among them, and believes every credential.
type AWSServer struct {
	Endpoint string // http://127.0.0.1:port, of every service
	Region   string
	Bucket   string // there already, empty
}

// AWS starts a moto server on a free loopback port. It is stopped, and all it
// knew forgotten, when the test ends.
//
// It accepts much that AWS refuses, and keeps only what it knows of a lifecycle
// rule: tests of refusals and of bytes need something else.
func AWS(t testing.TB) *AWSServer {
	t.Helper()
	bin := PythonTool(t, "moto_server")
	if to, err := filepath.EvalSymlinks(bin); err == nil {
		bin = to
	}
	python := filepath.Join(filepath.Dir(bin), "python3") // the one that has moto
	s := &AWSServer{Region: "us-east-1", Bucket: "test-bucket"}
	var last string
	for range 5 {
		if last = s.start(t, python); last == "" {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if _, err := s.Client().CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: &s.Bucket}); err != nil {
				t.Fatalf("create bucket %s on moto: %v", s.Bucket, err)
			}
			return s
		}
	}
	t.Fatalf("moto_server did not start:\n%s", last)
	return nil
}

// MotoProgram, of Python, runs the server with one mistake of it put right: it answers the CPU of a
// running container as a number, where ECS has a text and every SDK expects one.
const MotoProgram = `
import sys
from moto.ecs.models import Container

made = Container.__init__
def make(self, task_def):
    made(self, task_def)
    self.cpu = str(self.cpu or 0)
    self.memory = self.memory and str(self.memory)
Container.__init__ = make

from moto.server import main
sys.exit(main(sys.argv[1:]))
`

// start runs the server on a fresh port; it returns what the server printed
// when it did not come up.
func (s *AWSServer) start(t testing.TB, python string) string {
	t.Helper()
	addr := FreeAddr(t)
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-c", MotoProgram, "-H", host, "-p", port)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), s.Env()...)
	s.Endpoint = "http://" + addr
	return serve(t, cmd, s.Endpoint+"/moto-api/data.json", time.Minute)
}

// Client returns an S3 client of the server.
func (s *AWSServer) Client() *awss3.Client {
	return awss3.New(awss3.Options{
		Region: s.Region, BaseEndpoint: aws.String(s.Endpoint), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("testing", "testing", ""),
	})
}

// Config leads clients of every service to the server. A call that fails is not
// repeated: tests say themselves what fails.
func (s *AWSServer) Config() aws.Config {
	return aws.Config{
		Region: s.Region, BaseEndpoint: aws.String(s.Endpoint),
		Credentials: credentials.NewStaticCredentialsProvider("testing", "testing", ""),
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
	}
}

// Env is the environment a child process needs to reach the server, for every
// service, with the usual AWS chain.
func (s *AWSServer) Env() []string {
	env := (&S3Server{AccessKey: "testing", SecretKey: "testing", Region: s.Region}).Env()
	if s.Endpoint != "" {
		env = append(env, "AWS_ENDPOINT_URL="+s.Endpoint)
	}
	return env
}

// PythonTool returns the path of a program in .venv/bin of the module, or else
// the one on PATH. The test fails when there is neither.
func PythonTool(t testing.TB, name string) string {
	t.Helper()
	if root, ok := moduleRoot(); ok {
		p := filepath.Join(root, ".venv", "bin", name)
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() {
			return p
		}
	}
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	t.Fatalf("%s is neither in .venv/bin nor on PATH: run `make tools` in the module root", name)
	return ""
}
