// Package lambda carries a job to AWS Lambda: EventBridge Scheduler invokes a
// function, whose code is the same runner that runs everywhere else.
//
// It is for jobs that need neither programs of PostgreSQL nor more than 15
// minutes. Render is pure and makes the values; Target is the thin part that calls
// AWS. What must not live here: what a job means (package job), and what Fargate
// shares (package scheduled).
package lambda

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/functions"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/scheduled"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist"
)

// Config is what a user says of the target.
type Config struct {
	MemoryMiB      int           // 128 to 10240; 0 is DefaultMemoryMiB. Computing power grows with it
	Timeout        time.Duration // whole seconds, at most 15 minutes; 0 is DefaultTimeout
	Architecture   string        // x86_64 or arm64; "" is x86_64
	Subnets        []string      // subnet-…, for a function in a VPC
	SecurityGroups []string      // sg-…, with Subnets
	RoleARN        string        // a role that is there; "" makes one with exactly what the job needs
	Environment    map[string]string

	scheduled.Config
}

// What a zero Config means.
const (
	DefaultMemoryMiB = 512
	DefaultTimeout   = 15 * time.Minute
)

// Spec is what is needed to carry one job.
type Spec struct {
	deploy.Spec
	Config Config
	// Facts has to name partition, account and region: where the function runs.
	Facts iampolicy.Facts
}

// Rendered is everything that is to be there.
type Rendered struct {
	// Job as the function runs it: Metrics has its default for this target. Its
	// file has to be in the repository, at deploy.JobKey(Job), before Apply; the
	// runner's archive at runnerdist.LambdaKey.
	Job job.Job

	document scheduled.Document
	function functions.Function
	parts    scheduled.Parts
}

// Deployed is where things are.
type Deployed struct {
	ScheduleARN        string
	FunctionARN        string
	RoleARN            string
	LogGroup           string // name
	DeadLetterQueueARN string
}

// Options of a Target.
type Options struct {
	Log *slog.Logger // nil is none
	// Generation marks what Apply makes or takes over, and keeps Remove from what
	// has another mark; "" is no mark, and any.
	Generation string
}

// Render makes everything that is to be there. The error names all that is wrong
// with spec.
func Render(spec Spec) (Rendered, error) {
	spec.Job.Metrics = cmp.Or(spec.Job.Metrics, job.MetricsEMF) // the log of a function reaches CloudWatch
	spec.Config = spec.Config.withDefaults()
	if err := errors.Join(spec.Config.check(), spec.checkJob()); err != nil {
		return Rendered{}, fmt.Errorf("render job %q for Lambda: %w", spec.Job.Name, err)
	}
	r, err := render(spec)
	if err != nil {
		return Rendered{}, fmt.Errorf("render job %q for Lambda: %w", spec.Job.Name, err)
	}
	return r, nil
}

func (c Config) withDefaults() Config {
	c.MemoryMiB = cmp.Or(c.MemoryMiB, DefaultMemoryMiB)
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.Architecture = cmp.Or(c.Architecture, "x86_64")
	return c
}

func render(spec Spec) (Rendered, error) {
	f, c := spec.Facts, spec.Config
	partition := cmp.Or(f.Partition, "aws")
	parts, err := scheduled.Around(deploy.Lambda, c.Config, spec.Job, spec.Tags, f)
	if err != nil {
		return Rendered{}, err
	}
	f.LogGroupARN, f.InVPC = parts.LogGroupARN, len(c.Subnets) > 0
	role := c.RoleARN
	if role == "" {
		policy, err := iampolicy.ForJob(spec.Job, deploy.Lambda, f)
		if err != nil {
			return Rendered{}, err
		}
		role = parts.AddRole(f, scheduled.FunctionRole, "What the job "+parts.Name+" may do", iampolicy.TrustLambda(), policy)
	}
	function, err := spec.function(parts, role)
	if err != nil {
		return Rendered{}, err
	}
	event, err := spec.event()
	if err != nil {
		return Rendered{}, err
	}
	arn := functions.ARN(partition, f.Region, f.Account, parts.Name)
	parts.AddSchedulerRole(c.Config, f, iampolicy.ForSchedulerLambda(arn))
	parts.Schedule.Target.Arn, parts.Schedule.Target.Input = &arn, &event
	document := parts.Document(f.Region)
	document.Function = function.Plain()
	return Rendered{Job: spec.Job, document: document, function: function, parts: parts}, nil
}

// event is what the function is invoked with: its command line.
func (s Spec) event() (string, error) {
	url, err := deploy.JobURL(s.Job)
	if err != nil {
		return "", err
	}
	event, err := json.Marshal(map[string]any{"args": append(s.Job.Words(), "--job", url)})
	return string(event), err
}

// function makes the function.
func (s Spec) function(parts scheduled.Parts, role string) (functions.Function, error) {
	c := s.Config
	_, sum, err := s.Runner.Object(c.Architecture) // says when there is no build for it
	if err != nil {
		return functions.Function{}, err
	}
	arch, err := runnerdist.ParseArch(c.Architecture)
	if err != nil {
		return functions.Function{}, err
	}
	in := &awslambda.CreateFunctionInput{
		FunctionName: &parts.Name, Description: aws.String("pgbackup " + string(s.Job.Kind) + " job " + s.Job.Name), Role: &role,
		PackageType: types.PackageTypeZip, Runtime: types.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
		Architectures: []types.Architecture{types.Architecture(c.Architecture)},
		MemorySize:    aws.Int32(int32(c.MemoryMiB)), Timeout: aws.Int32(int32(c.Timeout / time.Second)), //nolint:gosec // both are bounded
		Tags: parts.Tags,
	}
	if len(c.Environment) > 0 {
		in.Environment = &types.Environment{Variables: c.Environment}
	}
	if len(c.Subnets) > 0 {
		in.VpcConfig = &types.VpcConfig{SubnetIds: slices.Sorted(slices.Values(c.Subnets)), SecurityGroupIds: slices.Sorted(slices.Values(c.SecurityGroups))}
	}
	if c.LogGroup != "" {
		in.LoggingConfig = &types.LoggingConfig{LogFormat: types.LogFormatText, LogGroup: &c.LogGroup}
	}
	at := s.Runner.Repository
	key := runnerdist.LambdaKey(sum, arch)
	if at.Prefix != "" {
		key = at.Prefix + "/" + key
	}
	return functions.Function{
		Setup: in, Program: sum, Bucket: at.Bucket, Key: key,
		// A job that failed is told of, and not run again by somebody who knows
		// nothing of it; an event that waited for long is of no use.
		EventAge: int32(cmp.Or(c.RetryMaxAge, scheduled.DefaultRetryMaxAge) / time.Second), Retries: 0, //nolint:gosec // at most a day
	}, nil
}

// Document is everything in its one written form, known at plan. What Target.Read
// gives of an untouched deployment is the same text.
func (r Rendered) Document() string { return r.document.String() }

// Planned is where things will be.
func (r Rendered) Planned() Deployed {
	return Deployed{
		ScheduleARN: r.parts.ScheduleARN, FunctionARN: aws.ToString(r.parts.Schedule.Target.Arn), RoleARN: aws.ToString(r.function.Setup.Role),
		LogGroup: r.parts.LogGroupName, DeadLetterQueueARN: r.parts.QueueARN,
	}
}

var (
	subnetID = regexp.MustCompile(`^subnet-[0-9a-f]{8,17}$`)
	groupID  = regexp.MustCompile(`^sg-[0-9a-f]{8,17}$`)
)

// check says everything that is wrong with a Config that has its defaults.
func (c Config) check() error {
	errs := []error{c.Check(), scheduled.CheckEnvironment(c.Environment), scheduled.CheckRole("role_arn", c.RoleARN)}
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.MemoryMiB < 128 || c.MemoryMiB > 10240 {
		bad("memory of %d MiB: give 128 to 10240", c.MemoryMiB)
	}
	if c.Timeout < time.Second || c.Timeout > 15*time.Minute || c.Timeout%time.Second != 0 {
		bad("timeout %s: give whole seconds, at most 15 minutes; a job that takes longer runs on Fargate", c.Timeout)
	}
	if c.Architecture != "x86_64" && c.Architecture != "arm64" {
		bad("architecture %.40q: give x86_64 or arm64", c.Architecture)
	}
	if (len(c.Subnets) == 0) != (len(c.SecurityGroups) == 0) {
		bad("subnets and security_groups belong together: give both, or neither for a function outside of a VPC")
	}
	if len(c.Subnets) > 16 || len(c.SecurityGroups) > 5 {
		bad("give at most 16 subnets and 5 security_groups")
	}
	for _, id := range c.Subnets {
		if !subnetID.MatchString(id) {
			bad("subnets: %.100q is no subnet-…", id)
		}
	}
	for _, id := range c.SecurityGroups {
		if !groupID.MatchString(id) {
			bad("security_groups: %.100q is no sg-…", id)
		}
	}
	return errors.Join(errs...)
}

// checkJob holds that the job can do its work in a function.
func (s Spec) checkJob() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch kind := s.Job.Kind; {
	case kind == job.KindDrill:
		bad("a restore drill needs the server and the programs of PostgreSQL, which are not there, and RDS takes longer than 15 minutes to restore a snapshot: run it on Fargate, in Kubernetes, on a host or with GitHub Actions")
	case kind == job.KindPhysical:
		bad("a base backup reads a whole server, and a function ends after 15 minutes: run it on Fargate, in Kubernetes or on a host")
	case kind.NeedsTools():
		bad("a job of kind %q needs pg_dump, which is not there: run it on Fargate", kind)
	case kind == job.KindFiles || kind == job.KindCommand:
		bad("a job of kind %q has nothing to work on there: the function has no files and no programs; run it on a host, in Kubernetes or on Fargate with an image of your own", kind)
	default:
		for _, file := range scheduled.MachineFiles(s.Job) {
			bad("%s = %q is of a machine, and a function has none: use the reference that there is for it", file.Field, file.Path)
		}
	}
	errs = append(errs, deploy.CheckReferences(deploy.Lambda, s.Job, scheduled.Reach), scheduled.CheckHosts(s.Job, s.Config.Environment),
		deploy.CheckPush(s.Job), deploy.CheckEnds(s.Job, "a function ends after 15 minutes"))
	if s.Facts.Account == "" || s.Facts.Region == "" {
		bad("account and region are not known")
	}
	// Lambda takes code from a bucket of its own region only.
	if at := s.Runner.Repository; at.Region != "" && s.Facts.Region != "" && at.Region != s.Facts.Region {
		bad("the runner's bucket %s is in %s, and Lambda in %s takes code only from a bucket there: use a provider block of the bucket's region, or run on Fargate", at.Bucket, at.Region, s.Facts.Region)
	}
	return errors.Join(errs...)
}
