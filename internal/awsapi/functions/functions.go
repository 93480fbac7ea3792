// Package functions makes, reads, puts right, removes and invokes functions of AWS
// Lambda whose code lies in S3.
//
// What must not live here: which functions there should be, and what they do.
package functions

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/shape"
)

// Function is a function as it should be, or is.
type Function struct {
	// Setup is everything but the code.
	Setup *lambda.CreateFunctionInput
	// Program names the code: the SHA-256 of the program in the archive. Read
	// gives something else where the code is not the one that Ensure put there.
	Program string
	// Bucket and Key of the archive, for Ensure.
	Bucket, Key string
	// EventAge is how old an event may be when it is run, in seconds.
	EventAge int32
	// Retries is how often Lambda runs again what failed.
	Retries int32
}

// tagCode remembers which program was put there, and the hash that Lambda had of
// its archive: whether somebody changed the code shows in that.
const tagCode = "pgbackup:code"

// ARN of a function.
func ARN(partition, region, account, name string) string {
	return fmt.Sprintf("arn:%s:lambda:%s:%s:function:%s", partition, region, account, name)
}

// Functions are the functions of one region.
type Functions struct{ client *lambda.Client }

// New gives the functions of the account and region that cfg leads to.
func New(cfg aws.Config) *Functions { return &Functions{client: lambda.NewFromConfig(cfg)} }

// Plain is a function as a document.
func (f Function) Plain() map[string]any {
	m := shape.Plain(f.Setup)
	m["program"] = f.Program
	m["eventInvokeConfig"] = map[string]any{"maximumEventAgeInSeconds": float64(f.EventAge), "maximumRetryAttempts": float64(f.Retries)}
	return m
}

// Ensure makes the function, or puts right the one of that name when it is ours.
// made says that it was not there, also when not all of it could be done.
func (s *Functions) Ensure(ctx context.Context, want Function) (made bool, err error) {
	name := aws.ToString(want.Setup.FunctionName)
	have, err := s.find(ctx, name)
	switch {
	case errors.Is(err, awsapi.ErrGone):
		if made, err = s.create(ctx, want); err != nil {
			return made, err
		}
		if have, err = s.find(ctx, name); err != nil {
			return made, err
		}
	case err != nil:
		return false, err
	}
	if err := awsapi.CheckOurs(named(name), have.Setup.Tags); err != nil {
		return false, err
	}
	return made, s.putRight(ctx, have, want)
}

func (s *Functions) putRight(ctx context.Context, have, want Function) error {
	name := aws.ToString(want.Setup.FunctionName)
	if have.Program != want.Program || !slices.Equal(have.Setup.Architectures, want.Setup.Architectures) {
		if err := s.load(ctx, want); err != nil {
			return err
		}
	}
	if err := s.configure(ctx, have, want); err != nil {
		return err
	}
	if have.EventAge != want.EventAge || have.Retries != want.Retries {
		_, err := s.client.PutFunctionEventInvokeConfig(ctx, &lambda.PutFunctionEventInvokeConfigInput{
			FunctionName: &name, MaximumEventAgeInSeconds: aws.Int32(want.EventAge), MaximumRetryAttempts: aws.Int32(want.Retries),
		})
		if err != nil {
			return awsapi.Explain(ctx, "changing "+named(name)+": what becomes of failed events", "lambda:PutFunctionEventInvokeConfig", err)
		}
	}
	return s.tag(ctx, have, want)
}

// create makes the function and waits for it; made says that there is one.
func (s *Functions) create(ctx context.Context, want Function) (made bool, err error) {
	in := *want.Setup
	in.Code = &types.FunctionCode{S3Bucket: &want.Bucket, S3Key: &want.Key}
	role, name := aws.ToString(in.Role), aws.ToString(in.FunctionName)
	err = awsapi.UntilAssumable(ctx, role, func(ctx context.Context) error {
		_, err := s.client.CreateFunction(ctx, &in)
		return err
	})
	if err != nil {
		return false, awsapi.Explain(ctx, "creating "+named(name), "lambda:CreateFunction, iam:PassRole on "+role+", and s3:GetObject on s3://"+want.Bucket+"/"+want.Key, err)
	}
	return true, s.settled(ctx, name)
}

// load brings the code, and notes what Lambda has.
func (s *Functions) load(ctx context.Context, want Function) error {
	name := aws.ToString(want.Setup.FunctionName)
	out, err := s.client.UpdateFunctionCode(ctx, &lambda.UpdateFunctionCodeInput{
		FunctionName: &name, S3Bucket: &want.Bucket, S3Key: &want.Key, Architectures: want.Setup.Architectures,
	})
	if err != nil {
		return awsapi.Explain(ctx, "changing "+named(name)+": its code", "lambda:UpdateFunctionCode, and s3:GetObject on s3://"+want.Bucket+"/"+want.Key, err)
	}
	if err := s.settled(ctx, name); err != nil {
		return err
	}
	_, err = s.client.TagResource(ctx, &lambda.TagResourceInput{Resource: out.FunctionArn, Tags: map[string]string{tagCode: want.Program + " " + aws.ToString(out.CodeSha256)}})
	return awsapi.Explain(ctx, "changing "+named(name)+": its tags", "lambda:TagResource", err)
}

func (s *Functions) configure(ctx context.Context, have, want Function) error {
	a, b := *have.Setup, *want.Setup
	a.Tags, b.Tags, a.Architectures, b.Architectures = nil, nil, nil, nil // elsewhere
	if reflect.DeepEqual(shape.Plain(&a), shape.Plain(&b)) {
		return nil
	}
	change := &lambda.UpdateFunctionConfigurationInput{}
	shape.Copy(change, want.Setup)
	// What is left out stays as it is: what should be empty has to be said.
	if change.VpcConfig == nil && have.Setup.VpcConfig != nil {
		change.VpcConfig = &types.VpcConfig{SubnetIds: []string{}, SecurityGroupIds: []string{}}
	}
	if change.Environment == nil {
		change.Environment = &types.Environment{Variables: map[string]string{}}
	}
	if change.Layers == nil {
		change.Layers = []string{}
	}
	if change.LoggingConfig == nil && have.Setup.LoggingConfig != nil {
		change.LoggingConfig = usualLogging(aws.ToString(want.Setup.FunctionName))
	}
	name, role := aws.ToString(want.Setup.FunctionName), aws.ToString(want.Setup.Role)
	err := awsapi.UntilAssumable(ctx, role, func(ctx context.Context) error {
		_, err := s.client.UpdateFunctionConfiguration(ctx, change)
		return err
	})
	if err != nil {
		return awsapi.Explain(ctx, "changing "+named(name), "lambda:UpdateFunctionConfiguration, and iam:PassRole on "+role, err)
	}
	return s.settled(ctx, name)
}

// settled waits until Lambda has done what it was told: until then it refuses the
// next change.
//
// One that was just made may not be known everywhere for a moment.
func (s *Functions) settled(ctx context.Context, name string) error {
	known := func(ctx context.Context) error {
		_, err := s.client.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &name})
		return err
	}
	if err := awsapi.UntilKnown(ctx, named(name), known); err != nil {
		return awsapi.Explain(ctx, "reading "+named(name), "lambda:GetFunctionConfiguration", err)
	}
	return awsapi.Until(ctx, awsapi.Waiting{What: named(name) + " to be ready", Limit: 5 * time.Minute}, func(ctx context.Context) (bool, string, error) {
		out, err := s.client.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &name})
		if err != nil {
			return false, "", awsapi.Explain(ctx, "reading "+named(name), "lambda:GetFunctionConfiguration", err)
		}
		switch {
		case out.State == types.StateFailed:
			return false, "", fmt.Errorf("%s failed: %s", named(name), aws.ToString(out.StateReason))
		case out.LastUpdateStatus == types.LastUpdateStatusFailed:
			return false, "", fmt.Errorf("%s could not be changed: %s", named(name), aws.ToString(out.LastUpdateStatusReason))
		case out.State == types.StatePending || out.LastUpdateStatus == types.LastUpdateStatusInProgress:
			return false, string(out.State) + ", last update " + string(out.LastUpdateStatus), nil
		}
		return true, "", nil
	})
}

func (s *Functions) tag(ctx context.Context, have, want Function) error {
	name := aws.ToString(want.Setup.FunctionName)
	out, err := s.client.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &name})
	if err != nil {
		return awsapi.Explain(ctx, "reading "+named(name), "lambda:GetFunctionConfiguration", err)
	}
	set, remove := awsapi.TagChange(have.Setup.Tags, want.Setup.Tags)
	if len(set) > 0 {
		if _, err := s.client.TagResource(ctx, &lambda.TagResourceInput{Resource: out.FunctionArn, Tags: set}); err != nil {
			return awsapi.Explain(ctx, "changing "+named(name)+": its tags", "lambda:TagResource", err)
		}
	}
	if len(remove) > 0 {
		if _, err := s.client.UntagResource(ctx, &lambda.UntagResourceInput{Resource: out.FunctionArn, TagKeys: remove}); err != nil {
			return awsapi.Explain(ctx, "changing "+named(name)+": its tags", "lambda:UntagResource", err)
		}
	}
	return nil
}

// Read gives a function as it is; awsapi.ErrGone when there is none.
func (s *Functions) Read(ctx context.Context, name string) (Function, error) {
	return s.find(ctx, name)
}

func (s *Functions) find(ctx context.Context, name string) (Function, error) {
	out, err := s.client.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: &name})
	if err != nil {
		return Function{}, awsapi.Explain(ctx, "reading "+named(name), "lambda:GetFunction", err)
	}
	f := Function{Setup: setup(out.Configuration), EventAge: 6 * 60 * 60, Retries: 2} // what Lambda does unless told
	f.Setup.Tags = maps.Clone(out.Tags)
	sha := aws.ToString(out.Configuration.CodeSha256)
	program, archive, _ := strings.Cut(out.Tags[tagCode], " ")
	delete(f.Setup.Tags, tagCode)
	if f.Program = program; archive != sha || program == "" {
		f.Program = "unknown code, its archive has the SHA-256 " + sha
	}
	invoke, err := s.client.GetFunctionEventInvokeConfig(ctx, &lambda.GetFunctionEventInvokeConfigInput{FunctionName: &name})
	switch {
	case awsapi.Is(err, "ResourceNotFoundException"):
	case err != nil:
		return Function{}, awsapi.Explain(ctx, "reading "+named(name)+": what becomes of failed events", "lambda:GetFunctionEventInvokeConfig", err)
	default:
		if invoke.MaximumEventAgeInSeconds != nil {
			f.EventAge = *invoke.MaximumEventAgeInSeconds
		}
		if invoke.MaximumRetryAttempts != nil {
			f.Retries = *invoke.MaximumRetryAttempts
		}
	}
	return f, nil
}

// setup is the request that would lead to a configuration, without what Lambda
// fills in.
func setup(c *types.FunctionConfiguration) *lambda.CreateFunctionInput {
	in := &lambda.CreateFunctionInput{}
	shape.Copy(in, c)
	in.TenancyConfig, in.CapacityProviderConfig, in.DurableConfig = nil, nil, nil
	if c.Environment != nil && len(c.Environment.Variables) > 0 {
		in.Environment = &types.Environment{Variables: c.Environment.Variables}
	}
	if v := c.VpcConfig; v != nil && len(v.SubnetIds) > 0 {
		in.VpcConfig = &types.VpcConfig{
			SubnetIds: slices.Sorted(slices.Values(v.SubnetIds)), SecurityGroupIds: slices.Sorted(slices.Values(v.SecurityGroupIds)),
		}
	}
	for _, l := range c.Layers {
		in.Layers = append(in.Layers, aws.ToString(l.Arn))
	}
	if e := in.EphemeralStorage; e != nil && aws.ToInt32(e.Size) == 512 {
		in.EphemeralStorage = nil
	}
	if reflect.DeepEqual(in.LoggingConfig, usualLogging(aws.ToString(c.FunctionName))) {
		in.LoggingConfig = nil
	}
	return in
}

func usualLogging(name string) *types.LoggingConfig {
	return &types.LoggingConfig{LogFormat: types.LogFormatText, LogGroup: aws.String("/aws/lambda/" + name)}
}

// Remove removes a function of ours; one that is gone is no error.
func (s *Functions) Remove(ctx context.Context, name string) error {
	have, err := s.find(ctx, name)
	if errors.Is(err, awsapi.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := awsapi.CheckOurs(named(name), have.Setup.Tags); err != nil {
		return err
	}
	_, err = s.client.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: &name})
	if awsapi.Is(err, "ResourceNotFoundException") {
		return nil
	}
	return awsapi.Explain(ctx, "removing "+named(name), "lambda:DeleteFunction", err)
}

// Invoke runs a function with an event and waits for its answer. failed says that
// the function itself answered with an error, which is then the answer.
func (s *Functions) Invoke(ctx context.Context, arn string, event []byte) (answer []byte, failed bool, err error) {
	out, err := s.client.Invoke(ctx, &lambda.InvokeInput{FunctionName: &arn, InvocationType: types.InvocationTypeRequestResponse, Payload: event})
	if err != nil {
		return nil, false, awsapi.Explain(ctx, "invoking "+named(arn), "lambda:InvokeFunction", err)
	}
	return out.Payload, out.FunctionError != nil, nil
}

func named(name string) string { return "Lambda function (" + name + ")" }
