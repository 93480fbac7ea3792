package testenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Function runs a program for AWS Lambda (runtime provided.al2023) as a process of
// this machine, with one event, and the runtime interface that Lambda has.
//
// Source: AWS Lambda Developer Guide, "Using the Lambda runtime API".
type Function struct {
	Bootstrap string   // path of the program
	Env       []string // what the function's settings and its role give
	Event     []byte
	Timeout   time.Duration
}

// FunctionEnd is how an event ended.
type FunctionEnd struct {
	Answer []byte
	Failed bool   // the function answered with an error, which is Answer
	Log    string // standard output and error as they came
}

// RunFunction runs one event to its end. The error is for a program that does not
// do as Lambda expects.
func RunFunction(ctx context.Context, f Function) (end FunctionEnd, err error) {
	ctx, cancel := context.WithTimeout(ctx, f.Timeout)
	defer cancel()
	answered := make(chan struct{})
	api := &runtimeAPI{f: f, end: &end, answered: answered}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return FunctionEnd{}, err
	}
	server := &http.Server{Handler: api, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()

	cmd := exec.CommandContext(ctx, f.Bootstrap)
	cmd.Env = append([]string{"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String(), "AWS_LAMBDA_FUNCTION_NAME=test", "AWS_LAMBDA_FUNCTION_VERSION=$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512", "PATH=/usr/bin:/bin"}, f.Env...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return FunctionEnd{}, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-answered:
		cancel() // as Lambda does with a function that is no longer needed
		<-ended  //nolint:errcheck // it was told to end, and says so
	case err = <-ended:
		err = fmt.Errorf("the function ended without an answer: %w", errors.Join(err, ctx.Err()))
	}
	end.Log = log.String()
	return end, err
}

// runtimeAPI hands out one event, and takes its answer.
type runtimeAPI struct {
	f        Function
	end      *FunctionEnd
	answered chan struct{}

	mu    sync.Mutex
	given bool
}

const invocation = "/2018-06-01/runtime/invocation/"

func (a *runtimeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	first := !a.given
	a.given = a.given || r.URL.Path == invocation+"next"
	a.mu.Unlock()
	switch {
	case r.URL.Path == invocation+"next" && first:
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", "1")
		w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(a.f.Timeout).UnixMilli(), 10))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:test")
		_, _ = w.Write(a.f.Event)
	case r.URL.Path == invocation+"next":
		<-r.Context().Done() // there is no other event
	case r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, invocation+"1/"):
		a.end.Answer, _ = io.ReadAll(r.Body)
		a.end.Failed = strings.HasSuffix(r.URL.Path, "/error")
		w.WriteHeader(http.StatusAccepted)
		close(a.answered)
	default:
		http.NotFound(w, r)
	}
}
