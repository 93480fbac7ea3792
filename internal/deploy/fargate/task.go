package fargate

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/tasks"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/scheduled"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/shell"
)

// The containers of a task.
const (
	FetchContainer  = "fetch"
	RunnerContainer = "runner"
)

const (
	programVolume = "pgbackup" // holds the runner
	scratchVolume = "scratch"  // is /tmp of the runner, whose own disk is read-only
	scratchFolder = "/tmp"
	programFolder = "/pgbackup"
	program       = programFolder + "/pgbackup-runner"

	// nobody is that user in every image; the runner needs no rights on a machine.
	nobody = "65534:65534"
	// stopSeconds is the longest that Fargate gives a task to end by itself.
	stopSeconds = 120
	// What the containers need at least, in MiB; the task has more.
	fetchMemory, runnerMemory = 128, 256
)

// task makes the task definition.
func (s Spec) task(parts scheduled.Parts, taskRole, executionRole string) (*ecs.RegisterTaskDefinitionInput, error) {
	url, err := deploy.JobURL(s.Job)
	if err != nil {
		return nil, err
	}
	object, sum, err := s.Runner.Object(s.Config.Architecture)
	if err != nil {
		return nil, err
	}
	in := &ecs.RegisterTaskDefinitionInput{
		Family: &parts.Name, Cpu: aws.String(strconv.Itoa(s.Config.CPU)), Memory: aws.String(strconv.Itoa(s.Config.MemoryMiB)),
		NetworkMode: types.NetworkModeAwsvpc, RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
		RuntimePlatform: &types.RuntimePlatform{CpuArchitecture: types.CPUArchitectureX8664, OperatingSystemFamily: types.OSFamilyLinux},
		TaskRoleArn:     &taskRole, ExecutionRoleArn: &executionRole, Tags: tasks.TagList(parts.Tags),
		Volumes: []types.Volume{{Name: aws.String(programVolume)}, {Name: aws.String(scratchVolume)}},
	}
	if s.Config.Architecture == "arm64" {
		in.RuntimePlatform.CpuArchitecture = types.CPUArchitectureArm64
	}
	if s.Config.StorageGiB != 0 {
		in.EphemeralStorage = &types.EphemeralStorage{SizeInGiB: int32(s.Config.StorageGiB)} //nolint:gosec // at most 200
	}
	log := s.log(parts.LogGroupName)
	in.ContainerDefinitions = []types.ContainerDefinition{s.fetch(object, sum, log), s.run(url, sum, log)}
	return in, nil
}

// fetch is the container that brings the runner, and ends.
func (s Spec) fetch(object, sum string, log *types.LogConfiguration) types.ContainerDefinition {
	at := s.Runner.Repository
	const scratch = "/scratch"
	script := shell.Fetch(shell.Program{URL: object, SHA256: sum, Region: at.Region, Endpoint: at.Endpoint}, program) +
		"chmod 1777 " + scratch + "\n" // a fresh volume belongs to root
	return types.ContainerDefinition{
		Name: aws.String(FetchContainer), Image: aws.String(s.Config.FetchImage), Essential: aws.Bool(false),
		EntryPoint: []string{"/bin/sh", "-c"}, Command: []string{script},
		Environment:       environment(map[string]string{"AWS_REGION": s.Facts.Region}),
		MemoryReservation: aws.Int32(fetchMemory), LogConfiguration: log,
		MountPoints: []types.MountPoint{mount(programVolume, programFolder), mount(scratchVolume, scratch)},
	}
}

// run is the container that does the job.
func (s Spec) run(jobURL, sum string, log *types.LogConfiguration) types.ContainerDefinition {
	settings := map[string]string{"AWS_REGION": s.Facts.Region, "HOME": scratchFolder}
	maps.Copy(settings, s.Config.Environment)
	settings[deploy.RunnerHash] = sum
	programs := mount(programVolume, programFolder)
	programs.ReadOnly = aws.Bool(true)
	return types.ContainerDefinition{
		Name: aws.String(RunnerContainer), Image: aws.String(cmp.Or(s.Config.Image, stockImage(s.Config.PostgresVersion))), Essential: aws.Bool(true),
		EntryPoint: []string{program}, Command: append(s.Job.Words(), "--job", jobURL),
		Environment: environment(settings), User: aws.String(nobody), ReadonlyRootFilesystem: aws.Bool(true),
		MemoryReservation: aws.Int32(runnerMemory), LogConfiguration: log, StopTimeout: aws.Int32(stopSeconds),
		// An init process hands signals on and collects what pg_dump leaves behind.
		LinuxParameters: &types.LinuxParameters{InitProcessEnabled: aws.Bool(true)},
		DependsOn:       []types.ContainerDependency{{ContainerName: aws.String(FetchContainer), Condition: types.ContainerConditionSuccess}},
		MountPoints:     []types.MountPoint{programs, mount(scratchVolume, scratchFolder)},
	}
}

// log sends what is printed to CloudWatch Logs. A log that cannot be written must
// not stop a dump, which holds locks while it waits: what does not fit the buffer
// is lost instead.
func (s Spec) log(group string) *types.LogConfiguration {
	return &types.LogConfiguration{LogDriver: types.LogDriverAwslogs, Options: map[string]string{
		"awslogs-group": group, "awslogs-region": s.Facts.Region, "awslogs-stream-prefix": s.Job.Name,
		"mode": "non-blocking", "max-buffer-size": "10m",
	}}
}

func mount(volume, path string) types.MountPoint {
	return types.MountPoint{SourceVolume: &volume, ContainerPath: &path}
}

func environment(m map[string]string) []types.KeyValuePair {
	var list []types.KeyValuePair
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, types.KeyValuePair{Name: aws.String(name), Value: aws.String(m[name])})
	}
	return list
}
