package deployment

import "github.com/hashicorp/terraform-plugin-framework/types"

type runOnModel struct {
	Fargate    *fargateModel    `tfsdk:"fargate"`
	Lambda     *lambdaModel     `tfsdk:"lambda"`
	Host       *hostModel       `tfsdk:"host"`
	Kubernetes *kubernetesModel `tfsdk:"kubernetes"`
	GitHub     *githubModel     `tfsdk:"github_actions"`
}

type hostModel struct {
	Directory        types.String `tfsdk:"directory"`
	SystemdDirectory types.String `tfsdk:"systemd_directory"`
	CronDirectory    types.String `tfsdk:"cron_directory"`
	User             types.String `tfsdk:"user"`
	EnvironmentFile  types.String `tfsdk:"environment_file"`
	RunnerPath       types.String `tfsdk:"runner_path"`
	RandomizedDelay  types.String `tfsdk:"randomized_delay"`
}

// scheduledModel is what Fargate and Lambda have in common.
type scheduledModel struct {
	SchedulerRoleARN    types.String `tfsdk:"scheduler_role_arn"`
	PermissionsBoundary types.String `tfsdk:"permissions_boundary"`
	LogGroup            types.String `tfsdk:"log_group"`
	LogRetentionDays    types.Int64  `tfsdk:"log_retention_days"`
	LogKMSKeyARN        types.String `tfsdk:"log_kms_key_arn"`
	FlexibleWindow      types.String `tfsdk:"flexible_window"`
	RetryAttempts       types.Int64  `tfsdk:"retry_attempts"`
	RetryMaxAge         types.String `tfsdk:"retry_max_age"`
	DeadLetterQueueARN  types.String `tfsdk:"dead_letter_queue_arn"`
	Environment         types.Map    `tfsdk:"environment"`
	BucketKMSKeyARN     types.String `tfsdk:"bucket_kms_key_arn"`
	SecretKMSKeyARNs    types.List   `tfsdk:"secret_kms_key_arns"`
	ObjectLock          types.Bool   `tfsdk:"object_lock"`
}

type fargateModel struct {
	scheduledModel
	Cluster          types.String `tfsdk:"cluster"`
	Subnets          types.List   `tfsdk:"subnets"`
	SecurityGroups   types.List   `tfsdk:"security_groups"`
	AssignPublicIP   types.Bool   `tfsdk:"assign_public_ip"`
	PostgresVersion  types.Int64  `tfsdk:"postgres_version"`
	Image            types.String `tfsdk:"image"`
	FetchImage       types.String `tfsdk:"fetch_image"`
	CPU              types.Int64  `tfsdk:"cpu"`
	Memory           types.Int64  `tfsdk:"memory"`
	Storage          types.Int64  `tfsdk:"storage"`
	Architecture     types.String `tfsdk:"architecture"`
	TaskRoleARN      types.String `tfsdk:"task_role_arn"`
	ExecutionRoleARN types.String `tfsdk:"execution_role_arn"`
}

type lambdaModel struct {
	scheduledModel
	Memory         types.Int64  `tfsdk:"memory"`
	Timeout        types.String `tfsdk:"timeout"`
	Architecture   types.String `tfsdk:"architecture"`
	Subnets        types.List   `tfsdk:"subnets"`
	SecurityGroups types.List   `tfsdk:"security_groups"`
	RoleARN        types.String `tfsdk:"role_arn"`
}

type kubernetesModel struct {
	Namespace            types.String              `tfsdk:"namespace"`
	ServiceAccount       types.String              `tfsdk:"service_account"`
	CreateServiceAccount types.Bool                `tfsdk:"create_service_account"`
	RoleARN              types.String              `tfsdk:"role_arn"`
	PodIdentity          types.Bool                `tfsdk:"pod_identity"`
	PostgresVersion      types.Int64               `tfsdk:"postgres_version"`
	Image                types.String              `tfsdk:"image"`
	FetchImage           types.String              `tfsdk:"fetch_image"`
	Architecture         types.String              `tfsdk:"architecture"`
	RunAsUser            types.Int64               `tfsdk:"run_as_user"`
	Resources            *resourcesModel           `tfsdk:"resources"`
	NodeSelector         types.Map                 `tfsdk:"node_selector"`
	Tolerations          []tolerationModel         `tfsdk:"tolerations"`
	Environment          types.Map                 `tfsdk:"environment"`
	SecretEnv            map[string]secretKeyModel `tfsdk:"secret_env"`
	SecretFiles          map[string]secretKeyModel `tfsdk:"secret_files"`
	Volumes              map[string]volumeModel    `tfsdk:"volumes"`
	BackoffLimit         types.Int64               `tfsdk:"backoff_limit"`
	Deadline             types.String              `tfsdk:"deadline"`
}

type resourcesModel struct {
	CPURequest    types.String `tfsdk:"cpu_request"`
	CPULimit      types.String `tfsdk:"cpu_limit"`
	MemoryRequest types.String `tfsdk:"memory_request"`
	MemoryLimit   types.String `tfsdk:"memory_limit"`
}

type tolerationModel struct {
	Key      types.String `tfsdk:"key"`
	Operator types.String `tfsdk:"operator"`
	Value    types.String `tfsdk:"value"`
	Effect   types.String `tfsdk:"effect"`
}

type secretKeyModel struct {
	Secret types.String `tfsdk:"secret"`
	Key    types.String `tfsdk:"key"`
}

type volumeModel struct {
	Claim    types.String `tfsdk:"claim"`
	Writable types.Bool   `tfsdk:"writable"`
}

type githubModel struct {
	Repository      types.String `tfsdk:"repository"`
	Branch          types.String `tfsdk:"branch"`
	RoleARN         types.String `tfsdk:"role_arn"`
	Region          types.String `tfsdk:"region"`
	PostgresVersion types.Int64  `tfsdk:"postgres_version"`
	RunsOn          types.String `tfsdk:"runs_on"`
	Architecture    types.String `tfsdk:"architecture"`
	Secrets         types.Map    `tfsdk:"secrets"`
	Environment     types.Map    `tfsdk:"environment"`
	SlackSecret     types.String `tfsdk:"slack_secret"`
	Timeout         types.String `tfsdk:"timeout"`
}
