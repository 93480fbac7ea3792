// Package awsapi is what all calls to the services of AWS have in common: what
// their errors mean, how they are worded, and how something is waited for. The
// packages below it have one part of AWS each.
//
// What must not live here: any one service, and deciding what there should be.
package awsapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// Errors a caller may test for with errors.Is.
var (
	// ErrGone: what was asked for is not there.
	ErrGone = errors.New("is not there")
	// ErrDenied: the identity may not do this.
	ErrDenied = errors.New("access denied")
	// ErrThrottled: AWS was asked too often, even after the SDK's own retries.
	ErrThrottled = errors.New("too many requests")
	// ErrForeign: something of that name is there and pgbackup did not make it.
	ErrForeign = errors.New("is there already, and not made by pgbackup")
	// ErrSuperseded: a later deployment of the same name has taken it over.
	ErrSuperseded = errors.New("belongs to a later deployment of the same name")
	// ErrTimeout: something did not become what was waited for.
	ErrTimeout = errors.New("timed out")
)

var (
	gone = []string{"NoSuchEntity", "NotFoundException", "ResourceNotFoundException", "NoSuchBucket", "NoSuchKey", "NotFound",
		"DBInstanceNotFound", "DBInstanceNotFoundFault", "DBSnapshotNotFound", "DBSnapshotNotFoundFault", "DBClusterNotFoundFault", "DBClusterSnapshotNotFoundFault",
		"ClusterNotFoundException", "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "ParameterNotFound", "ResourceNotFound", "DBParameterGroupNotFound", "DBClusterParameterGroupNotFound"}
	denied    = []string{"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation", "AuthorizationErrorException", "InvalidClientTokenId", "ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException"}
	throttled = []string{"Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown", "ThrottledException"}
)

// Code is the code of the service's error inside err, "" when there is none.
func Code(err error) string {
	if api := smithy.APIError(nil); errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// Is reports whether err is an answer of the service with one of these codes.
func Is(err error, codes ...string) bool { return slices.Contains(codes, Code(err)) }

// Explain words an error of the SDK: what was tried ("creating EventBridge
// schedule (nightly)"), what the service said in its own words, and what to do.
// permission is the action the call needs, such as "scheduler:CreateSchedule".
// The result wraps the errors of this package, and the cause of ctx where that is
// why the call ended.
func Explain(ctx context.Context, doing, permission string, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%s: %w", doing, cause)
	}
	said := words(err)
	switch code := Code(err); {
	case slices.Contains(gone, code):
		return fmt.Errorf("%s: %w (%s)", doing, ErrGone, said)
	case slices.Contains(denied, code):
		return fmt.Errorf("%s: %w: allow this identity %s, or look whether its credentials have expired (%s)", doing, ErrDenied, permission, said)
	case slices.Contains(throttled, code):
		return fmt.Errorf("%s: %w: AWS limits the calls of this account; apply again, or with less -parallelism (%s)", doing, ErrThrottled, said)
	}
	return fmt.Errorf("%s: %w", doing, reworded{said, err})
}

// reworded is an error in fewer words, which errors.As still sees through.
type reworded struct {
	said  string
	cause error
}

func (r reworded) Error() string { return r.said }
func (r reworded) Unwrap() error { return r.cause }

// words is what the service said, without the operation and the SDK's layers
// around it; of an error that never reached a service, the innermost reason.
func words(err error) string {
	if api := smithy.APIError(nil); errors.As(err, &api) {
		said := strings.TrimSpace(api.ErrorMessage())
		if said == "" {
			said = "no message"
		}
		id := ""
		if response := (*awshttp.ResponseError)(nil); errors.As(err, &response) && response.ServiceRequestID() != "" {
			id = ", request " + response.ServiceRequestID()
		}
		return fmt.Sprintf("%s: %s%s", api.ErrorCode(), strings.TrimSuffix(said, "."), id)
	}
	if dns := (*net.DNSError)(nil); errors.As(err, &dns) {
		return fmt.Sprintf("no address is known for %s: look at region and endpoint", dns.Name)
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return op.Error()
	}
	return err.Error()
}

// Waiting is something that takes time.
type Waiting struct {
	What  string        // "snapshot app-20261121 to be available"
	Limit time.Duration // how long at most
	First time.Duration // before the second look; it doubles up to Most. Default 500 ms
	Most  time.Duration // between two looks; default 15 s
}

// Until looks again and again until look says it is done. state is what it is now,
// for the error of a wait that ends too early, which wraps ErrTimeout.
func Until(ctx context.Context, w Waiting, look func(ctx context.Context) (done bool, state string, err error)) error {
	if w.First <= 0 {
		w.First = 500 * time.Millisecond
	}
	if w.Most <= 0 {
		w.Most = 15 * time.Second
	}
	limit := time.Now().Add(w.Limit)
	for pause := w.First; ; pause = min(2*pause, w.Most) {
		done, state, err := look(ctx)
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", w.What, err)
		}
		if done {
			return nil
		}
		if time.Now().Add(pause).After(limit) {
			return fmt.Errorf("waiting for %s: %w after %s; it is %s", w.What, ErrTimeout, w.Limit, state)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("waiting for %s, which is %s: %w", w.What, state, context.Cause(ctx))
		case <-timer.C:
		}
	}
}

// UntilKnown calls until the service knows what was just made, for a minute: AWS
// answers from several places, and not all of them know of it at once. what is
// what was made, for the error.
func UntilKnown(ctx context.Context, what string, call func(ctx context.Context) error) error {
	var last error
	err := Until(ctx, Waiting{What: what + " to be known everywhere", Limit: time.Minute, Most: 5 * time.Second}, func(ctx context.Context) (bool, string, error) {
		last = call(ctx)
		unknown := errors.Is(last, ErrGone) || slices.Contains(gone, Code(last)) || Is(last, "OperationAbortedException", "OperationAborted", "ConflictException", "ResourceConflictException")
		return !unknown, "not known yet", nil
	})
	if errors.Is(err, ErrTimeout) {
		return last
	}
	return errors.Join(err, last)
}

// settling is how long a new role may be unknown to the rest of AWS.
const settling = 2 * time.Minute

// UntilAssumable calls until the service no longer says that it cannot assume a
// role, which is what it says of one that was just made: IAM takes its time to
// tell everybody.
func UntilAssumable(ctx context.Context, role string, call func(ctx context.Context) error) error {
	var last error
	err := Until(ctx, Waiting{What: "role " + role + " to be known everywhere", Limit: settling, First: time.Second, Most: 10 * time.Second},
		func(ctx context.Context) (bool, string, error) {
			if last = call(ctx); last != nil && notAssumable(last) {
				return false, "not assumable yet", nil
			}
			return true, "", nil
		})
	if err != nil && last != nil && notAssumable(last) && errors.Is(err, ErrTimeout) {
		return last
	}
	return errors.Join(err, last)
}

// notAssumable recognises a refusal to take on a role in the words of the
// services: none of them has a code of its own for it.
func notAssumable(err error) bool {
	text := strings.ToLower(err.Error())
	if api := smithy.APIError(nil); errors.As(err, &api) {
		text = strings.ToLower(api.ErrorMessage())
	}
	for _, said := range []string{"cannot be assumed", "can't be assumed", "unable to assume", "not authorized to assume", "must allow the aws eventbridge scheduler", "assume the role", "role is not valid", "cannot assume"} {
		if strings.Contains(text, said) {
			return true
		}
	}
	return false
}
