package recoverypoint

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/told"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

type model struct {
	Instance    types.String   `tfsdk:"rds_instance"`
	Cluster     types.String   `tfsdk:"rds_cluster"`
	Schedule    types.String   `tfsdk:"schedule"`
	Policy      types.String   `tfsdk:"policy"`
	Repository  types.String   `tfsdk:"repository"`
	KeyRef      types.String   `tfsdk:"key_ref"`
	Region      types.String   `tfsdk:"region"`
	Source      types.String   `tfsdk:"source"`
	Triggers    types.Map      `tfsdk:"triggers"`
	Hold        types.Bool     `tfsdk:"hold"`
	OnDestroy   types.String   `tfsdk:"on_destroy"`
	Tags        types.Map      `tfsdk:"tags"`
	Timeouts    timeouts.Value `tfsdk:"timeouts"`
	ID          types.String   `tfsdk:"id"`
	Point       types.String   `tfsdk:"point"`
	Kind        types.String   `tfsdk:"kind"`
	Start       types.String   `tfsdk:"start"`
	End         types.String   `tfsdk:"end"`
	Snapshot    types.String   `tfsdk:"snapshot"`
	SnapshotARN types.String   `tfsdk:"snapshot_arn"`
	Status      types.String   `tfsdk:"status"`
}

// target is the database of RDS; ok is false for a schedule's point.
func (m model) target() (t rds.Target, ok bool) {
	switch {
	case given(m.Instance):
		return rds.Target{ID: m.Instance.ValueString()}, true
	case given(m.Cluster):
		return rds.Target{ID: m.Cluster.ValueString(), Cluster: true}, true
	}
	return t, false
}

// name is what messages call the resource.
func (m model) name() string {
	if given(m.Point) {
		return m.Point.ValueString()
	}
	if t, ok := m.target(); ok {
		return t.ID
	}
	return m.Schedule.ValueString()
}

func summary(verb string, m model) string {
	return fmt.Sprintf("%s pgbackup_recovery_point (%s)", verb, m.name())
}

// place is where the point is, or is to be, and under which policy.
func (m model) place() (at location.Location, policy string, err error) {
	if given(m.Policy) {
		id, err := location.ParsePolicyID(m.Policy.ValueString())
		if err != nil {
			return at, "", err
		}
		at, policy = id.Repository, id.Name
	}
	if given(m.Repository) {
		given, err := location.Parse(m.Repository.ValueString())
		if err != nil {
			return at, "", err
		}
		if policy != "" && (given.Directory != at.Directory || given.Bucket != at.Bucket || given.Prefix != at.Prefix) {
			return at, "", fmt.Errorf("policy is one of %s, repository is %s: give one of them", at, given)
		}
		at = given
	}
	return at, policy, nil
}

// ref of the point in the repository.
func (m model) ref() repo.Ref {
	return repo.Ref{Source: m.Source.ValueString(), Kind: m.Kind.ValueString(), ID: m.Point.ValueString()}
}

// request names what this resource asks for: an apply that comes again after a
// crash finds the snapshot that it had begun.
func (m model) request(ctx context.Context) string {
	triggers := map[string]string{}
	_ = m.Triggers.ElementsAs(ctx, &triggers, false) // of strings always
	t, _ := m.target()
	data, err := json.Marshal([]any{t, m.Region.ValueString(), m.Source.ValueString(), m.Policy.ValueString(), triggers})
	if err != nil {
		return "" // then a new one is taken
	}
	sum := sha256.Sum256(data)
	return "terraform-" + hex.EncodeToString(sum[:12])
}

// show takes over what a manifest says.
func (m *model) show(at location.Location, made *repo.Manifest) {
	m.Repository, m.Point, m.ID = types.StringValue(at.String()), types.StringValue(made.ID), types.StringValue(at.String()+"#"+made.ID)
	m.Source, m.Kind = types.StringValue(made.Source), types.StringValue(made.Kind)
	m.Start, m.End = told.Moment(made.Start), told.Moment(made.End)
	m.Snapshot, m.SnapshotARN = types.StringNull(), types.StringNull()
	if made.RDS != nil {
		m.Snapshot, m.SnapshotARN = types.StringValue(made.RDS.Snapshot), types.StringValue(made.RDS.ARN)
	}
	m.Status = types.StringValue(present)
}

func given(v attr.Value) bool { return !v.IsNull() && !v.IsUnknown() }

// scheduleID accepts the id of a schedule that can be started from here.
type scheduleID struct{}

func (scheduleID) Description(context.Context) string {
	return "the id of a pgbackup_schedule on Fargate"
}
func (v scheduleID) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (scheduleID) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if !given(req.ConfigValue) {
		return
	}
	if err := checkSchedule(req.ConfigValue.ValueString()); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid value for "+req.Path.String(), valid.Sentence(err))
	}
}

// checkSchedule says why a schedule cannot be started from here, and how it is.
func checkSchedule(id string) error {
	parts := strings.SplitN(id, ":", 6)
	switch {
	case strings.HasPrefix(id, "/"):
		return fmt.Errorf("this schedule runs on a host, where Terraform starts nothing: run `pgbackup-runner backup --job %s` there", id)
	case strings.Contains(id, "#job/"):
		return errors.New("this schedule runs on Kubernetes or GitHub, where Terraform starts nothing: run `kubectl create job --from=cronjob/NAME`, or the workflow by hand")
	case len(parts) != 6 || parts[0] != "arn" || parts[2] != "scheduler" || !strings.HasPrefix(parts[5], "schedule/"):
		return fmt.Errorf("%.200q is no id of a pgbackup_schedule: they look like arn:aws:scheduler:us-east-1:111122223333:schedule/GROUP/NAME", id)
	}
	return nil
}
