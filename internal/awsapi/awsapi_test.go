package awsapi_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
)

func answer(code, message string) error {
	return fmt.Errorf("operation error ECS: RunTask, https response error StatusCode: 400, %w", &smithy.GenericAPIError{Code: code, Message: message})
}

func TestErrorsSayWhatFailedOnWhatAndWhatToDo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		is   error
		want []string
	}{
		{answer("AccessDeniedException", "User x is not authorized."), awsapi.ErrDenied, []string{"creating EventBridge schedule (nightly): access denied", "allow this identity scheduler:CreateSchedule", "User x is not authorized"}},
		{answer("ResourceNotFoundException", "Schedule nightly does not exist."), awsapi.ErrGone, []string{"is not there", "Schedule nightly does not exist"}},
		{answer("ThrottlingException", "Rate exceeded"), awsapi.ErrThrottled, []string{"-parallelism", "Rate exceeded"}},
		{answer("ValidationException", "Invalid cron."), nil, []string{"creating EventBridge schedule (nightly): ValidationException: Invalid cron"}},
	} {
		err := awsapi.Explain(t.Context(), "creating EventBridge schedule (nightly)", "scheduler:CreateSchedule", c.err)
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not in: %v", want, err)
			}
		}
		if c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%v does not wrap %v", err, c.is)
		}
		if strings.Contains(err.Error(), "operation error") {
			t.Errorf("layers of the SDK are in: %v", err)
		}
	}
	if awsapi.Explain(t.Context(), "x", "y", nil) != nil {
		t.Error("no error became one")
	}
}

func TestTheCodeSurvivesTheWording(t *testing.T) {
	t.Parallel()
	err := awsapi.Explain(t.Context(), "doing", "a:B", answer("ConflictException", "taken"))
	if !awsapi.Is(err, "ConflictException") {
		t.Errorf("%v has code %q", err, awsapi.Code(err))
	}
}

func TestAnInterruptedCallSaysWhoInterruptedIt(t *testing.T) {
	t.Parallel()
	cause := errors.New("the lease was lost")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if err := awsapi.Explain(ctx, "doing", "a:B", context.Canceled); !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
}

func TestWaitingEndsWhenItIsDoneOrTooLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		err := awsapi.Until(t.Context(), awsapi.Waiting{What: "it", Limit: time.Hour}, func(context.Context) (bool, string, error) {
			looks++
			return looks == 5, "creating", nil
		})
		if err != nil || looks != 5 {
			t.Errorf("%d looks, %v", looks, err)
		}
		begun := time.Now()
		err = awsapi.Until(t.Context(), awsapi.Waiting{What: "snapshot x to be available", Limit: time.Minute}, func(context.Context) (bool, string, error) { return false, "creating", nil })
		if !errors.Is(err, awsapi.ErrTimeout) || !strings.Contains(err.Error(), "snapshot x to be available") || !strings.Contains(err.Error(), "it is creating") || time.Since(begun) > time.Minute {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
		bad := errors.New("bad")
		if err := awsapi.Until(t.Context(), awsapi.Waiting{What: "it", Limit: time.Minute}, func(context.Context) (bool, string, error) { return false, "", bad }); !errors.Is(err, bad) {
			t.Errorf("%v", err)
		}
	})
}

func TestARoleThatIsNotKnownYetIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		refused := answer("ValidationException", "The execution role you provide must allow AWS EventBridge Scheduler to assume the role.")
		calls := 0
		err := awsapi.UntilAssumable(t.Context(), "nightly", func(context.Context) error {
			if calls++; calls < 4 {
				return refused
			}
			return nil
		})
		if err != nil || calls != 4 {
			t.Errorf("%d calls, %v", calls, err)
		}
		err = awsapi.UntilAssumable(t.Context(), "nightly", func(context.Context) error { return refused })
		if !awsapi.Is(err, "ValidationException") || errors.Is(err, awsapi.ErrTimeout) {
			t.Errorf("the service's own words are lost: %v", err)
		}
		other := answer("ValidationException", "Invalid cron.")
		calls = 0
		err = awsapi.UntilAssumable(t.Context(), "nightly", func(context.Context) error { calls++; return other })
		if !errors.Is(err, other) || calls != 1 {
			t.Errorf("%d calls, %v", calls, err)
		}
	})
}

func TestWhatWasJustMadeIsWaitedForUntilEverybodyKnowsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, code := range []string{"ResourceNotFoundException", "OperationAbortedException"} {
			calls := 0
			err := awsapi.UntilKnown(t.Context(), "log group x", func(ctx context.Context) error {
				if calls++; calls < 4 {
					return awsapi.Explain(ctx, "changing log group x", "logs:PutRetentionPolicy", answer(code, "please try again"))
				}
				return nil
			})
			if err != nil || calls != 4 {
				t.Errorf("%s: %d calls, %v", code, calls, err)
			}
		}
		begun := time.Now()
		err := awsapi.UntilKnown(t.Context(), "log group x", func(context.Context) error { return answer("ResourceNotFoundException", "no such group") })
		if !awsapi.Is(err, "ResourceNotFoundException") || time.Since(begun) > 2*time.Minute {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
	})
}
