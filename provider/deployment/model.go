package deployment

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// Model has the attributes of Attributes.
type Model struct {
	Name          types.String `tfsdk:"name"`
	Policy        types.String `tfsdk:"policy"`
	Runner        types.String `tfsdk:"runner"`
	Cron          types.String `tfsdk:"cron"`
	Timezone      types.String `tfsdk:"timezone"`
	Enabled       types.Bool   `tfsdk:"enabled"`
	KeyRef        types.String `tfsdk:"key_ref"`
	Metrics       types.String `tfsdk:"metrics"`
	Notifications types.List   `tfsdk:"notifications"`
	Tags          types.Map    `tfsdk:"tags"`
	RunOn         types.Object `tfsdk:"run_on"`

	Shown

	typ *Type // of the resource; set when it is read
	// archiveCommand is what a deployment on a host says of it, see Archives.
	archiveCommand types.String
}

// Shown is what is computed: what was, or is to be, deployed.
type Shown struct {
	ID                 types.String `tfsdk:"id"`
	JobPath            types.String `tfsdk:"job_path"`
	JobURL             types.String `tfsdk:"job_url"`
	JobJSON            types.String `tfsdk:"job_json"`
	JobDigest          types.String `tfsdk:"job_digest"`
	Deployment         types.String `tfsdk:"deployment"`
	RoleARN            types.String `tfsdk:"role_arn"`
	LogGroup           types.String `tfsdk:"log_group"`
	DeadLetterQueueARN types.String `tfsdk:"dead_letter_queue_arn"`
	KubernetesManifest types.String `tfsdk:"kubernetes_manifest"`
	GitHubWorkflow     types.String `tfsdk:"github_workflow"`
	GitHubTrustPolicy  types.String `tfsdk:"github_trust_policy"`
	CloudInit          types.String `tfsdk:"cloud_init"`
	SystemdService     types.String `tfsdk:"systemd_service"`
	SystemdTimer       types.String `tfsdk:"systemd_timer"`
	CronLine           types.String `tfsdk:"cron_line"`
	LeftBehind         types.List   `tfsdk:"left_behind"`
}

// left is a deployment that could not be removed, or one that is to be: what it
// takes to do so, without the configuration it came from.
type left struct {
	RunOn    string `tfsdk:"run_on"`
	ID       string `tfsdk:"id"`
	Document string `tfsdk:"document"`
}

var leftType = types.ObjectType{AttrTypes: map[string]attr.Type{"run_on": types.StringType, "id": types.StringType, "document": types.StringType}}

// Base gives the model itself, to what embeds it.
func (m *Model) Base() *Model { return m }

// Called is how diagnostics name the resource: pgbackup_schedule (nightly).
func (m *Model) Called() string {
	return fmt.Sprintf("%s (%s)", m.typ.called(), m.Name.ValueString())
}

// called is the type's name in full.
func (t *Type) called() string { return "pgbackup_" + t.Name }

// enabled: also when nothing is said.
func (m *Model) enabled() bool { return m.Enabled.IsNull() || m.Enabled.ValueBool() }

// On is the block run_on, which must be known.
func (m *Model) runOn(ctx context.Context) (on runOnModel, diags diag.Diagnostics) {
	diags.Append(m.RunOn.As(ctx, &on, objectAs)...)
	return on, diags
}

// texts are all computed attributes but left_behind.
func (s *Shown) texts() []*types.String {
	return []*types.String{
		&s.ID, &s.JobPath, &s.JobURL, &s.JobJSON, &s.JobDigest, &s.Deployment, &s.RoleARN, &s.LogGroup, &s.DeadLetterQueueARN,
		&s.KubernetesManifest, &s.GitHubWorkflow, &s.GitHubTrustPolicy, &s.CloudInit, &s.SystemdService, &s.SystemdTimer, &s.CronLine,
	}
}

func unknownShown() (s Shown) {
	for _, text := range s.texts() {
		*text = types.StringUnknown()
	}
	s.LeftBehind = types.ListUnknown(leftType)
	return s
}

func nullShown() Shown { return Shown{LeftBehind: emptyList()} }
