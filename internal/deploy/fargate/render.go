package fargate

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/tasks"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/scheduled"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// Render makes everything that is to be there. The error names all that is wrong
// with spec.
func Render(spec Spec) (Rendered, error) {
	spec.Job = withDefaults(spec.Job)
	spec.Config = spec.Config.withDefaults()
	if err := errors.Join(spec.Config.check(), spec.checkJob()); err != nil {
		return Rendered{}, fmt.Errorf("render job %q for Fargate: %w", spec.Job.Name, err)
	}
	r, err := render(spec)
	if err != nil {
		return Rendered{}, fmt.Errorf("render job %q for Fargate: %w", spec.Job.Name, err)
	}
	return r, nil
}

// withDefaults lets the numbers of a run go into its log, which reaches CloudWatch.
func withDefaults(j job.Job) job.Job {
	j.Metrics = cmp.Or(j.Metrics, job.MetricsEMF)
	return j
}

func (c Config) withDefaults() Config {
	c.PostgresVersion = cmp.Or(c.PostgresVersion, DefaultPostgresVersion)
	c.FetchImage = cmp.Or(c.FetchImage, DefaultFetchImage)
	c.CPU = cmp.Or(c.CPU, DefaultCPU)
	c.MemoryMiB = cmp.Or(c.MemoryMiB, DefaultMemoryMiB)
	c.Architecture = cmp.Or(c.Architecture, "x86_64")
	return c
}

func render(spec Spec) (Rendered, error) {
	f, c := spec.Facts, spec.Config
	parts, err := scheduled.Around(deploy.Fargate, c.Config, spec.Job, spec.Tags, f)
	if err != nil {
		return Rendered{}, err
	}
	taskRole, executionRole := c.TaskRoleARN, c.ExecutionRoleARN
	if taskRole == "" {
		policy, err := iampolicy.ForJob(spec.Job, deploy.Fargate, f)
		if err != nil {
			return Rendered{}, err
		}
		taskRole = parts.AddRole(f, scheduled.TaskRole, "What the job "+parts.Name+" may do", iampolicy.TrustECSTasks(f), policy)
	}
	if executionRole == "" {
		policy := iampolicy.ForExecution(parts.LogGroupARN, privateRepositories(cmp.Or(f.Partition, "aws"), c.Image, c.FetchImage)...)
		executionRole = parts.AddRole(f, scheduled.ExecutionRole, "Lets ECS start the containers of "+parts.Name+" and write their log", iampolicy.TrustECSTasks(f), policy)
	}
	family := tasks.FamilyARN(cmp.Or(f.Partition, "aws"), f.Region, f.Account, parts.Name)
	parts.AddSchedulerRole(c.Config, f, iampolicy.ForSchedulerECS(family, c.Cluster, slices.Compact(slices.Sorted(slices.Values([]string{taskRole, executionRole})))...))

	task, err := spec.task(parts, taskRole, executionRole)
	if err != nil {
		return Rendered{}, err
	}
	parts.Schedule.Target.Arn = &c.Cluster
	parts.Schedule.Target.EcsParameters = c.start(family)
	document := parts.Document(f.Region)
	document.TaskDefinition = tasks.Plain(task)
	return Rendered{Job: spec.Job, document: document, task: task, parts: parts, family: family}, nil
}

// start is what EventBridge Scheduler is told to run.
func (c Config) start(taskDefinition string) *types.EcsParameters {
	public := types.AssignPublicIpDisabled
	if c.AssignPublicIP {
		public = types.AssignPublicIpEnabled
	}
	return &types.EcsParameters{
		TaskDefinitionArn: &taskDefinition, LaunchType: types.LaunchTypeFargate, PlatformVersion: aws.String("LATEST"), TaskCount: aws.Int32(1),
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{
			Subnets: slices.Sorted(slices.Values(c.Subnets)), SecurityGroups: slices.Sorted(slices.Values(c.SecurityGroups)), AssignPublicIp: public,
		}},
	}
}

var ecrImage = regexp.MustCompile(`^(\d{12})\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/([a-z0-9._/-]+)`)

// privateRepositories are the ARNs of the ECR repositories that images are in.
func privateRepositories(partition string, images ...string) []string {
	var arns []string
	for _, image := range images {
		if m := ecrImage.FindStringSubmatch(image); m != nil {
			arns = append(arns, fmt.Sprintf("arn:%s:ecr:%s:%s:repository/%s", partition, m[2], m[1], m[3]))
		}
	}
	slices.Sort(arns)
	return slices.Compact(arns)
}

// Document is everything in its one written form, known at plan. What Target.Read
// gives of an untouched deployment is the same text.
func (r Rendered) Document() string { return r.document.String() }

// Planned is where things will be; only the revision of the task definition is
// not known yet.
func (r Rendered) Planned() Deployed {
	return Deployed{
		ScheduleARN: r.parts.ScheduleARN, TaskRoleARN: aws.ToString(r.task.TaskRoleArn),
		LogGroup: r.parts.LogGroupName, DeadLetterQueueARN: r.parts.QueueARN,
	}
}

// TaskDefinition is what will be registered, in the form of the SDK.
func (r Rendered) TaskDefinition() *ecs.RegisterTaskDefinitionInput { return r.task }

// memoryOf are the amounts of memory that go with a number of CPU units: from, to
// and in steps of, in MiB.
//
// Source: Amazon ECS Developer Guide, "Task size".
var memoryOf = map[int]struct{ from, to, step int }{
	512: {1024, 4096, 1024}, 1024: {2048, 8192, 1024}, 2048: {4096, 16384, 1024}, 4096: {8192, 30720, 1024},
	8192: {16384, 61440, 4096}, 16384: {32768, 122880, 8192},
}

// CheckSize says why Fargate has no task of so many CPU units and so much memory.
func CheckSize(cpu, memoryMiB int) error {
	if cpu == 256 { // the one that has no steps
		if slices.Contains([]int{512, 1024, 2048}, memoryMiB) {
			return nil
		}
		return fmt.Errorf("memory of %d MiB does not go with cpu = 256: give 512, 1024 or 2048", memoryMiB)
	}
	span, ok := memoryOf[cpu]
	switch {
	case !ok:
		return fmt.Errorf("cpu = %d is no size of Fargate: give 256, 512, 1024, 2048, 4096, 8192 or 16384", cpu)
	case memoryMiB < span.from || memoryMiB > span.to || memoryMiB%span.step != 0:
		return fmt.Errorf("memory of %d MiB does not go with cpu = %d: give %d to %d in steps of %d", memoryMiB, cpu, span.from, span.to, span.step)
	}
	return nil
}

var (
	clusterARN  = regexp.MustCompile(`^arn:[a-z-]+:ecs:[a-z0-9-]+:\d{12}:cluster/[\w-]{1,255}$`)
	subnetID    = regexp.MustCompile(`^subnet-[0-9a-f]{8,17}$`)
	groupID     = regexp.MustCompile(`^sg-[0-9a-f]{8,17}$`)
	imageName   = regexp.MustCompile(`^[\w.:/@-]{1,255}$`)
	majorOldest = 10
	majorNewest = 18
)

// check says everything that is wrong with a Config that has its defaults.
func (c Config) check() error {
	errs := []error{c.Check(), CheckSize(c.CPU, c.MemoryMiB), scheduled.CheckEnvironment(c.Environment),
		scheduled.CheckRole("task_role_arn", c.TaskRoleARN), scheduled.CheckRole("execution_role_arn", c.ExecutionRoleARN)}
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !clusterARN.MatchString(c.Cluster) {
		bad("cluster %.200q: give the ARN of an ECS cluster", c.Cluster)
	}
	if len(c.Subnets) == 0 || len(c.Subnets) > 16 {
		bad("subnets: give 1 to 16 of them")
	}
	for _, id := range c.Subnets {
		if !subnetID.MatchString(id) {
			bad("subnets: %.100q is no subnet-…", id)
		}
	}
	if len(c.SecurityGroups) > 5 {
		bad("security_groups: give at most 5 of them")
	}
	for _, id := range c.SecurityGroups {
		if !groupID.MatchString(id) {
			bad("security_groups: %.100q is no sg-…", id)
		}
	}
	if c.StorageGiB != 0 && (c.StorageGiB < 21 || c.StorageGiB > 200) {
		bad("storage of %d GiB: give 21 to 200, or leave it out for the 20 that every task has", c.StorageGiB)
	}
	if c.PostgresVersion < majorOldest || c.PostgresVersion > majorNewest {
		bad("postgres_version %d: give a major version from %d to %d", c.PostgresVersion, majorOldest, majorNewest)
	}
	if c.Architecture != "x86_64" && c.Architecture != "arm64" {
		bad("architecture %.40q: give x86_64 or arm64", c.Architecture)
	}
	for field, image := range map[string]string{"image": c.Image, "fetch_image": c.FetchImage} {
		if image != "" && !imageName.MatchString(image) {
			bad("%s %.200q: give the name of an image, such as %s", field, image, stockImage(c.PostgresVersion))
		}
	}
	return errors.Join(errs...)
}

// checkJob holds that the job can do its work in a task.
func (s Spec) checkJob() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	errs = append(errs, deploy.CheckReferences(deploy.Fargate, s.Job, scheduled.Reach), scheduled.CheckHosts(s.Job, s.Config.Environment),
		deploy.CheckPush(s.Job), deploy.CheckEnds(s.Job, "EventBridge Scheduler starts tasks that end, and looks after none"))
	if s.Facts.Account == "" || s.Facts.Region == "" {
		bad("account and region are not known")
	}
	if part := strings.Split(s.Config.Cluster, ":"); len(part) > 3 && s.Facts.Region != "" && part[3] != s.Facts.Region {
		bad("cluster is in %s and the provider works in %s: use a provider block of that region", part[3], s.Facts.Region)
	}
	if s.Config.Image == "" {
		for _, file := range scheduled.MachineFiles(s.Job) {
			bad("%s = %q is of a machine, and the stock image of PostgreSQL does not have it: use the reference that there is for it (sslrootcert_ref), or bring it in an image of your own", file.Field, file.Path)
		}
	}
	if at := s.Job.ScratchDirectory(); at != "" && at != scratchFolder {
		bad("drill.into.scratch_cluster.directory = %q is not there: the disk of a task is at %s alone, leave it out", at, scratchFolder)
	}
	return errors.Join(errs...)
}

func stockImage(major int) string {
	return "public.ecr.aws/docker/library/postgres:" + strconv.Itoa(major)
}
