package deployment

import (
	"context"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist/usemark"
)

// deployedDocument is what an import takes from the document of a deployment: the
// fields that a configuration says, by the names that AWS has for them. (Names of
// JSON are read in any case.)
type deployedDocument struct {
	text string

	Target         string
	TaskDefinition taskDocument     `json:"task_definition"`
	Function       functionDocument `json:"function"`
	Schedule       scheduleDocument `json:"schedule"`
	ScheduleGroup  struct {
		Tags map[string]string
	} `json:"schedule_group"`
	Roles map[string]struct {
		Boundary string `json:"permissions_boundary"`
	}
	DeadLetterQueue *struct{} `json:"dead_letter_queue"`
	LogGroup        *struct {
		RetentionDays int    `json:"retention_days"`
		KMSKeyARN     string `json:"kms_key_arn"`
	} `json:"log_group"`
}

type taskDocument struct {
	CPU, Memory                   string
	TaskRoleARN, ExecutionRoleARN string
	EphemeralStorage              struct{ SizeInGiB int }
	RuntimePlatform               struct{ CPUArchitecture string }
	ContainerDefinitions          []containerDocument
}

type containerDocument struct {
	Name, Image string
	Command     []string
	Environment []struct{ Name, Value string }
	// LogConfiguration names the log group.
	LogConfiguration struct{ Options map[string]string }
}

func (c containerDocument) variables() map[string]string {
	m := map[string]string{}
	for _, v := range c.Environment {
		m[v.Name] = v.Value
	}
	return m
}

type functionDocument struct {
	MemorySize, Timeout int
	Role                string
	Architectures       []string
	Environment         struct{ Variables map[string]string }
	VPCConfig           struct{ SubnetIDs, SecurityGroupIDs []string }
	LoggingConfig       struct{ LogGroup string }
}

type scheduleDocument struct {
	State              string
	FlexibleTimeWindow struct{ MaximumWindowInMinutes int }
	Target             struct {
		ARN, RoleARN, Input string
		DeadLetterConfig    struct{ ARN string }
		RetryPolicy         struct {
			MaximumRetryAttempts     int
			MaximumEventAgeInSeconds int
		}
		ECSParameters struct {
			NetworkConfiguration struct {
				AWSVPCConfiguration struct {
					Subnets, SecurityGroups []string
					AssignPublicIP          string
				}
			}
		}
	}
}

// jobURL is what the runner is told to do, "" when nothing names a job.
func (d deployedDocument) jobURL() string {
	for _, c := range d.TaskDefinition.ContainerDefinitions {
		if n := len(c.Command); n > 1 && c.Command[n-2] == "--job" {
			return c.Command[n-1]
		}
	}
	if _, rest, ok := strings.Cut(d.Schedule.Target.Input, `"--job","`); ok {
		url, _, _ := strings.Cut(rest, `"`)
		return strings.ReplaceAll(url, `\u0026`, "&")
	}
	return ""
}

func (d deployedDocument) logGroup() string {
	for _, c := range d.TaskDefinition.ContainerDefinitions {
		if name := c.LogConfiguration.Options["awslogs-group"]; name != "" {
			return name
		}
	}
	return d.Function.LoggingConfig.LogGroup
}

// release is the one whose builds the marks of this deployment name, "" when that
// cannot be told: the next plan sets it.
func (r *Resource) release(ctx context.Context, name, target, jobURL string) string {
	at, _, sum, err := splitJobURL(jobURL)
	if err != nil {
		return ""
	}
	store, err := r.conn.OpenStore(ctx, at, false)
	if err != nil {
		return ""
	}
	used, builds := map[string]bool{}, map[string]string{}
	for info, err := range store.List(ctx, usemark.Folder) {
		if err != nil {
			return ""
		}
		if u, ok := usemark.ParseUse(info.Key); ok && u.Job == name && u.Target == target && u.File == sum {
			used[u.Runner] = true
		}
		if b, arch, ok := runnerdist.ParseKey(info.Key); ok {
			builds[b] = runnerdist.ArchName(arch)
		}
	}
	release := runnerdist.Release{Repository: at.String(), SHA256: map[string]string{}}
	for b := range used {
		if builds[b] != "" {
			release.SHA256[builds[b]] = b
		}
	}
	if len(release.SHA256) == 0 {
		return ""
	}
	return release.String()
}
