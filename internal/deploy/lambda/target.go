package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/functions"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/schedules"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/scheduled"
)

// Target is the Lambda of one account and region.
type Target struct {
	account   *scheduled.Account
	functions *functions.Functions
	log       *slog.Logger
}

// New gives the target that cfg leads to.
func New(cfg aws.Config, o Options) *Target {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Target{account: scheduled.Open(cfg, o.Generation), functions: functions.New(cfg), log: o.Log}
}

// Apply makes everything, or puts right what is there. Repeating it after it broke
// off anywhere finishes the work and makes nothing twice. Something of a needed
// name that is not ours is awsapi.ErrForeign and left alone.
func (t *Target) Apply(ctx context.Context, r Rendered) (Deployed, error) {
	if err := t.account.EnsureBelow(ctx, r.parts); err != nil {
		return Deployed{}, err
	}
	made, err := t.functions.Ensure(ctx, r.function)
	if made {
		t.account.Made(func(ctx context.Context) error { return t.functions.Remove(ctx, r.parts.Name) })
	}
	if err != nil {
		return Deployed{}, err
	}
	if err := t.account.EnsureSchedule(ctx, r.parts.Schedule); err != nil {
		return Deployed{}, err
	}
	d := r.Planned()
	t.log.InfoContext(ctx, "job is on Lambda", "schedule", d.ScheduleARN, "function", d.FunctionARN)
	return d, t.account.RemoveUnused(ctx, r.parts)
}

// CheckFree holds that Apply would take nothing over from a working deployment of
// the same name: scheduled.ErrTaken. The same one, or half of one, is no obstacle.
func (t *Target) CheckFree(ctx context.Context, r Rendered) error {
	return t.account.CheckFree(ctx, r.parts, r.Document(), func(ctx context.Context, document string) (string, error) {
		now, _, err := t.Read(ctx, document)
		return now, err
	})
}

// Undo removes what Apply made here, and nothing that was there before.
func (t *Target) Undo(ctx context.Context) error { return t.account.Undo(ctx) }

// Read gives the document of what is there: text that Rendered.Document or Read
// gave names what to look for, and is given back where nothing was changed. Parts
// that are gone are absent; awsapi.ErrGone says that all are.
func (t *Target) Read(ctx context.Context, document string) (now string, d Deployed, err error) {
	was, err := scheduled.Parse(document)
	if err != nil {
		return "", Deployed{}, err
	}
	is, found, err := t.account.Read(ctx, was)
	if err != nil {
		return "", Deployed{}, err
	}
	function, err := t.functions.Read(ctx, was.Name)
	switch {
	case err == nil:
		is.Function = function.Plain()
		d.RoleARN, d.LogGroup = aws.ToString(function.Setup.Role), "/aws/lambda/"+was.Name
		if l := function.Setup.LoggingConfig; l != nil {
			d.LogGroup = aws.ToString(l.LogGroup)
		}
	case !errors.Is(err, awsapi.ErrGone):
		return "", Deployed{}, err
	}
	if when := found.When; when != nil {
		d.ScheduleARN, d.FunctionARN = found.ARN, aws.ToString(when.Target.Arn)
		if dead := when.Target.DeadLetterConfig; dead != nil {
			d.DeadLetterQueueARN = aws.ToString(dead.Arn)
		}
	}
	if is.Empty() {
		return "", Deployed{}, fmt.Errorf("reading what runs %s on Lambda: %w", was.Name, awsapi.ErrGone)
	}
	return is.String(), d, nil
}

// Remove removes everything of ours that belongs to a document, the schedule
// first. What is gone already is no error; what somebody else made stays. Nothing
// goes, with awsapi.ErrSuperseded, when it is of another generation.
func (t *Target) Remove(ctx context.Context, document string) error {
	d, err := scheduled.Parse(document)
	if err != nil {
		return err
	}
	if err := t.account.RemoveSchedule(ctx, d.Name); err != nil {
		return err
	}
	if err := t.functions.Remove(ctx, d.Name); err != nil {
		return err
	}
	return t.account.RemoveRest(ctx, d)
}

// Invoke runs what a schedule starts, now, and waits for it, which takes as long
// as the job does. exitCode is the runner's, with the end of its output; a run
// that failed is an error in the runner's words.
func (t *Target) Invoke(ctx context.Context, scheduleARN string) (exitCode int, output string, err error) {
	_, group, name, err := schedules.ParseARN(scheduleARN)
	if err != nil {
		return 0, "", err
	}
	when, _, err := t.account.Schedules.Read(ctx, group, name)
	if err != nil {
		return 0, "", err
	}
	answer, failed, err := t.functions.Invoke(ctx, aws.ToString(when.Target.Arn), []byte(aws.ToString(when.Target.Input)))
	if err != nil {
		return 0, "", err
	}
	var a struct {
		ExitCode     int    `json:"exit_code"`
		Output       string `json:"output"`
		ErrorMessage string `json:"errorMessage"`
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return 0, "", fmt.Errorf("invoking Lambda function (%s): its answer is not that of the runner: %w", name, err)
	}
	if failed {
		return 0, "", fmt.Errorf("the job of EventBridge schedule (%s) failed: %s", name, a.ErrorMessage)
	}
	return a.ExitCode, a.Output, nil
}
