package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/strictjson"
)

const (
	// envLambda is set by AWS Lambda for its custom runtimes: where events are
	// fetched from.
	envLambda = "AWS_LAMBDA_RUNTIME_API"
	// envLambdaArgs holds the command line, as a JSON array, for events without one.
	envLambdaArgs = "PGBACKUP_ARGS"
	// maxLambdaOutput bounds what an answer repeats of the output, in bytes.
	maxLambdaOutput = 64 << 10
	// lambdaReserve is how long before Lambda ends the function the run is stopped,
	// to give leases back and to tell; of a short function, a quarter of its time.
	lambdaReserve = 20 * time.Second
)

// lambdaEvent is what the function is invoked with. Other fields, such as those of
// EventBridge, are not looked at.
type lambdaEvent struct {
	Args []string `json:"args"`
}

// lambdaAnswer is what a run answers that did its work.
type lambdaAnswer struct {
	ExitCode  exitcode.Code `json:"exit_code"`
	Outcome   string        `json:"outcome"` // name of the exit code
	Output    string        `json:"output"`  // standard output
	Truncated bool          `json:"truncated,omitempty"`
}

// lambdaFailure is a run that did not. Its name is the errorType of the answer.
type lambdaFailure struct{ text string }

func (f *lambdaFailure) Error() string { return f.text }

// serveLambda runs a command line for every event, until the function ends.
func serveLambda(ctx context.Context, s streams) exitcode.Code {
	lambda.StartWithOptions(func(ctx context.Context, event json.RawMessage) (lambdaAnswer, error) {
		return invokeLambda(ctx, s, event)
	}, lambda.WithContext(ctx))
	return exitcode.Failed // StartWithOptions does not come back
}

// invokeLambda runs the command line of one event in this process. The log gets
// all that it prints.
func invokeLambda(ctx context.Context, s streams, event []byte) (lambdaAnswer, error) {
	args, err := lambdaArgs(event)
	if err != nil {
		return lambdaAnswer{}, &lambdaFailure{err.Error()}
	}
	ctx, stop := beforeLambdaEnds(ctx)
	defer stop()
	out := &head{most: maxLambdaOutput}
	a := newApp(streams{in: strings.NewReader(""), out: io.MultiWriter(s.out, out), err: s.err})
	a.onLambda = true
	code := a.run(ctx, args)
	if code != exitcode.Done && code != exitcode.Warnings {
		text := fmt.Sprintf("pgbackup-runner %s: exit code %d (%s)", args[0], int(code), code)
		if a.failure != "" {
			text += ": " + a.failure
		}
		return lambdaAnswer{}, &lambdaFailure{text}
	}
	return lambdaAnswer{ExitCode: code, Outcome: code.String(), Output: out.String(), Truncated: out.cut}, nil
}

// lambdaArgs is the command line of an event, else of the environment.
func lambdaArgs(event []byte) ([]string, error) {
	var e lambdaEvent
	if trimmed := bytes.TrimSpace(event); len(trimmed) > 0 && trimmed[0] == '{' {
		if err := json.Unmarshal(event, &e); err != nil {
			return nil, errors.New(`the event's "args" must be a list of texts, such as {"args": ["rotate", "--job", "s3://…"]}`)
		}
	}
	if text := os.Getenv(envLambdaArgs); len(e.Args) == 0 && text != "" {
		if err := strictjson.UnmarshalNamed(envLambdaArgs, []byte(text), &e.Args); err != nil {
			return nil, fmt.Errorf(`%w; write it as ["rotate", "--job", "s3://…"]`, err)
		}
	}
	if len(e.Args) == 0 {
		return nil, fmt.Errorf(`there is nothing to run: invoke the function with {"args": ["rotate", "--job", "s3://…"]}, or set %s to such a list`, envLambdaArgs)
	}
	return e.Args, nil
}

// beforeLambdaEnds ends the context while there is still time to clean up.
func beforeLambdaEnds(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	left := time.Until(deadline)
	// Only the cause of the first cancellation counts, and it must be ours.
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(left-min(lambdaReserve, left/4), func() { cancel(interrupted{"the time limit of the Lambda function is near"}) })
	return ctx, func() {
		timer.Stop()
		cancel(nil)
	}
}

// head keeps the beginning of what is written.
type head struct {
	most int
	mu   sync.Mutex
	kept bytes.Buffer
	cut  bool
}

func (h *head) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	room := h.most - h.kept.Len()
	if len(b) > room {
		h.cut = true
	}
	h.kept.Write(b[:min(room, len(b))])
	return len(b), nil
}

// String is what was kept, without a character that was cut through.
func (h *head) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.ToValidUTF8(h.kept.String(), "")
}
