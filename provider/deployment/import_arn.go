package deployment

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/logs"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/queues"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/schedules"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/fargate"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/lambda"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/scheduled"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// importARN finds a deployment by its EventBridge schedule: everything of it is
// named after that. What the configuration says of how it is made, such as the
// size of a task, is read from there; what only the roles tell is not, and is set
// by the next plan.
func (r *Resource) importARN(ctx context.Context, arn string) (map[string]any, diag.Diagnostics, error) {
	region, group, name, err := schedules.ParseARN(arn)
	if err != nil {
		return nil, nil, err
	}
	cfg, err := r.conn.AWS(region)
	if err != nil {
		return nil, nil, err
	}
	when, _, err := schedules.New(cfg).Read(ctx, group, name)
	if err != nil {
		return nil, nil, err
	}
	probe := scheduled.Document{
		Target: deploy.Lambda, Region: region, Name: name, Roles: map[string]scheduled.Role{},
		DeadLetterQueue: &queues.Queue{Name: scheduled.QueueName(name)}, LogGroup: &logs.Group{Name: scheduled.LogGroupName(deploy.Lambda, name)},
	}
	roles := []string{scheduled.FunctionRole, scheduled.SchedulerRole}
	if when.Target.EcsParameters != nil {
		probe.Target, probe.LogGroup.Name = deploy.Fargate, scheduled.LogGroupName(deploy.Fargate, name)
		roles = []string{scheduled.TaskRole, scheduled.ExecutionRole, scheduled.SchedulerRole}
	}
	for _, which := range roles {
		probe.Roles[which] = scheduled.Role{Name: scheduled.RoleName(name, which), Trust: json.RawMessage("{}"), Policy: json.RawMessage("{}")}
	}
	found, where, err := readAWS(ctx, cfg, probe)
	if err != nil {
		return nil, nil, err
	}
	url := found.jobURL()
	if url == "" {
		return nil, nil, fmt.Errorf("EventBridge schedule (%s): what it starts names no job file", name)
	}
	j, attributes, diags, err := r.importJob(ctx, url)
	if err != nil || diags.HasError() {
		return nil, diags, err
	}
	at := Reader{Context: ctx}
	on := at.runOn(found)
	if j.Metrics == job.MetricsEMF {
		attributes["metrics"] = types.StringNull() // the default there
	}
	if found.Schedule.State == "DISABLED" {
		attributes["enabled"] = types.BoolValue(false)
	}
	attributes["id"], attributes["deployment"], attributes["run_on"] = arn, found.text, on
	attributes["role_arn"], attributes["log_group"], attributes["dead_letter_queue_arn"] = Optional(where.role), Optional(where.logGroup), Optional(where.queue)
	if tags := r.ownTags(found.ScheduleGroup.Tags); len(tags) > 0 {
		attributes["tags"] = at.TextMap(tags)
	}
	if release := r.release(ctx, j.Name, probe.Target, url); release != "" {
		attributes["runner"] = release
	}
	return attributes, append(diags, at.Diags...), nil
}

// generationThere is what a deployment in AWS is marked with, "" when it has no mark
// or is elsewhere.
func (r *Resource) generationThere(ctx context.Context, id string) (string, error) {
	if !strings.HasPrefix(id, "arn:") {
		return "", nil
	}
	region, group, _, err := schedules.ParseARN(id)
	if err != nil {
		return "", err
	}
	cfg, err := r.conn.AWS(region)
	if err != nil {
		return "", err
	}
	found, err := schedules.New(cfg).ReadGroup(ctx, group)
	return found.Generation, err
}

func readAWS(ctx context.Context, cfg aws.Config, probe scheduled.Document) (found deployedDocument, where deployed, err error) {
	if probe.Target == deploy.Fargate {
		var d fargate.Deployed
		found.text, d, err = fargate.New(cfg, fargate.Options{}).Read(ctx, probe.String())
		where = fargateDeployed(d)
	} else {
		var d lambda.Deployed
		found.text, d, err = lambda.New(cfg, lambda.Options{}).Read(ctx, probe.String())
		where = lambdaDeployed(d)
	}
	if err == nil {
		err = json.Unmarshal([]byte(found.text), &found)
	}
	if err == nil && !awsapi.Ours(found.ScheduleGroup.Tags) {
		err = fmt.Errorf("EventBridge schedule (%s) %w: it cannot be imported", probe.Name, awsapi.ErrForeign)
	}
	return found, where, err
}

// ownTags leaves out what the provider sets by itself.
func (r *Resource) ownTags(all map[string]string) map[string]string {
	own := maps.Clone(all)
	maps.DeleteFunc(own, func(name, value string) bool {
		return strings.HasPrefix(name, "pgbackup:") || r.conn.DefaultTags[name] == value && value != ""
	})
	return own
}

// runOn says a deployment the way a configuration would, leaving out defaults.
func (r *Reader) runOn(d deployedDocument) (on runOnModel) {
	common := r.scheduledModel(d)
	if d.Target == deploy.Lambda {
		f := d.Function
		common.Environment = r.TextMap(ours(f.Environment.Variables))
		on.Lambda = &lambdaModel{
			scheduledModel: common, Subnets: r.Texts(f.VPCConfig.SubnetIDs), SecurityGroups: r.Texts(f.VPCConfig.SecurityGroupIDs),
			Memory: numberUnless(f.MemorySize, lambda.DefaultMemoryMiB),
		}
		if !slices.Contains(f.Architectures, "x86_64") {
			on.Lambda.Architecture = Optional(strings.Join(f.Architectures, ""))
		}
		if limit := time.Duration(f.Timeout) * time.Second; limit != lambda.DefaultTimeout {
			on.Lambda.Timeout = Optional(short(limit))
		}
		if _, made := d.Roles[scheduled.FunctionRole]; !made {
			on.Lambda.RoleARN = Optional(f.Role)
		}
		return on
	}
	t, vpc := d.TaskDefinition, d.Schedule.Target.ECSParameters.NetworkConfiguration.AWSVPCConfiguration
	f := &fargateModel{
		scheduledModel: common, Cluster: Optional(d.Schedule.Target.ARN), Subnets: r.Texts(vpc.Subnets), SecurityGroups: r.Texts(vpc.SecurityGroups),
		CPU: numberUnless(number(t.CPU), fargate.DefaultCPU), Memory: numberUnless(number(t.Memory), fargate.DefaultMemoryMiB), Storage: numberUnless(t.EphemeralStorage.SizeInGiB, 0),
	}
	if vpc.AssignPublicIP == "ENABLED" {
		f.AssignPublicIP = types.BoolValue(true)
	}
	if t.RuntimePlatform.CPUArchitecture == "ARM64" {
		f.Architecture = Optional("arm64")
	}
	f.Environment = types.MapNull(types.StringType)
	for _, c := range t.ContainerDefinitions {
		switch c.Name {
		case fargate.FetchContainer:
			if c.Image != fargate.DefaultFetchImage {
				f.FetchImage = Optional(c.Image)
			}
		case fargate.RunnerContainer:
			f.Image, f.PostgresVersion = image(c.Image)
			f.Environment = r.TextMap(ours(c.variables()))
		}
	}
	if _, made := d.Roles[scheduled.TaskRole]; !made {
		f.TaskRoleARN = Optional(t.TaskRoleARN)
	}
	if _, made := d.Roles[scheduled.ExecutionRole]; !made {
		f.ExecutionRoleARN = Optional(t.ExecutionRoleARN)
	}
	on.Fargate = f
	return on
}

func (r *Reader) scheduledModel(d deployedDocument) scheduledModel {
	s := scheduledModel{Environment: types.MapNull(types.StringType), SecretKMSKeyARNs: types.ListNull(types.StringType)}
	target := d.Schedule.Target
	if _, made := d.Roles[scheduled.SchedulerRole]; !made {
		s.SchedulerRoleARN = Optional(target.RoleARN)
	}
	if d.DeadLetterQueue == nil {
		s.DeadLetterQueueARN = Optional(target.DeadLetterConfig.ARN)
	}
	for _, role := range d.Roles {
		s.PermissionsBoundary = Optional(role.Boundary)
	}
	if g := d.LogGroup; g != nil {
		s.LogRetentionDays, s.LogKMSKeyARN = numberUnless(g.RetentionDays, scheduled.DefaultLogRetentionDays), Optional(g.KMSKeyARN)
	} else {
		s.LogGroup = Optional(d.logGroup())
	}
	if w := d.Schedule.FlexibleTimeWindow.MaximumWindowInMinutes; w > 0 {
		s.FlexibleWindow = Optional(short(time.Duration(w) * time.Minute))
	}
	if n := target.RetryPolicy.MaximumRetryAttempts; n != scheduled.DefaultRetryAttempts { // a document leaves 0 out
		s.RetryAttempts = types.Int64Value(int64(n))
	}
	if age := time.Duration(target.RetryPolicy.MaximumEventAgeInSeconds) * time.Second; age != scheduled.DefaultRetryMaxAge {
		s.RetryMaxAge = Optional(short(age))
	}
	return s
}

// ours are the variables that a configuration gave, without those that are always
// there.
func ours(all map[string]string) map[string]string {
	own := maps.Clone(all)
	maps.DeleteFunc(own, func(name, _ string) bool {
		return slices.Contains([]string{deploy.RunnerHash, "AWS_REGION", "HOME"}, name) || strings.HasPrefix(name, "PGBACKUP_")
	})
	return own
}

// image is the stock image's major version, or another image.
func image(name string) (own types.String, major types.Int64) {
	if version, stock := strings.CutPrefix(name, "public.ecr.aws/docker/library/postgres:"); stock {
		return types.StringNull(), numberUnless(number(version), fargate.DefaultPostgresVersion)
	}
	return Optional(name), types.Int64Null()
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

func numberUnless(n, usual int) types.Int64 {
	if n == usual || n == 0 {
		return types.Int64Null()
	}
	return types.Int64Value(int64(n))
}

// short is a length of time as a person writes it: 90m, 1h.
func short(d time.Duration) string { return delay(strconv.Itoa(int(d/time.Second)) + "s") }
