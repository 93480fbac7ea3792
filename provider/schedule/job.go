package schedule

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

// known reports whether nothing in the values is unknown, blocks included.
func known(ctx context.Context, values ...attr.Value) bool {
	for _, v := range values {
		tf, err := v.ToTerraformValue(ctx)
		if err != nil || !tf.IsFullyKnown() {
			return false
		}
	}
	return true
}

func (m model) inputsKnown(ctx context.Context) bool {
	return known(ctx, m.Name, m.Policy, m.Runner, m.Cron, m.Timezone, m.Source, m.KeyRef, m.Job, m.RunOn)
}

// blocks reads the two blocks, which must be known.
func (m model) blocks(ctx context.Context) (j jobModel, on hostModel, diags diag.Diagnostics) {
	var runOn runOnModel
	diags.Append(m.Job.As(ctx, &j, basetypes.ObjectAsOptions{})...)
	diags.Append(m.RunOn.As(ctx, &runOn, basetypes.ObjectAsOptions{})...)
	if runOn.Host != nil {
		on = *runOn.Host
	}
	return j, on, diags
}

// toJob makes the job file's content of a known model.
func (m model) toJob(ctx context.Context, block jobModel) (job.Job, error) {
	id, err := location.ParsePolicyID(m.Policy.ValueString())
	if err != nil {
		return job.Job{}, err
	}
	j := job.Job{
		Format: job.Format, Name: m.Name.ValueString(), Repository: id.Repository.String(), Policy: id.Name, Source: m.Source.ValueString(),
		Schedule: &job.Schedule{Cron: m.Cron.ValueString(), Timezone: m.Timezone.ValueString()},
	}
	var errs []error
	j.KeyRef = reference("key_ref", m.KeyRef, &errs)
	j.Limits.MaxDuration = span("job.max_duration", block.MaxDuration, &errs)
	j.Limits.StallTimeout = span("job.stall_timeout", block.StallTimeout, &errs)
	j.Limits.UploadRate = block.UploadRate.ValueInt64()
	kinds := 0
	for _, given := range []bool{block.Logical != nil, block.Rotate != nil, block.Verify != nil} {
		if given {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		errs = append(errs, fmt.Errorf("give exactly one of logical, rotate and verify, not %d", kinds))
	case block.Rotate != nil:
		j.Kind = job.KindRotate
	case block.Verify != nil:
		j.Kind = job.KindVerify
	case block.Logical != nil:
		j.Kind = job.KindLogical
		j.Verify = job.Verification(block.Logical.Verification.ValueString())
		j.Rotate = block.Logical.RotateAfter.ValueBoolPointer()
		j.Logical = block.Logical.toJob(ctx, &errs)
	}
	return j, errors.Join(errs...)
}

func (l logicalModel) toJob(ctx context.Context, errs *[]error) *job.Logical {
	out := &job.Logical{
		Databases:     texts(ctx, l.Databases, errs),
		IncludeTables: texts(ctx, l.IncludeTables, errs), ExcludeTables: texts(ctx, l.ExcludeTables, errs),
		IncludeSchemas: texts(ctx, l.IncludeSchemas, errs), ExcludeSchemas: texts(ctx, l.ExcludeSchemas, errs),
		DatabaseURLRef: reference("job.logical.database_url_ref", l.DatabaseURLRef, errs),
		Globals:        l.Globals.ValueBoolPointer(),
	}
	if s := l.Server; s != nil {
		out.Server = job.Server{
			Host: s.Host.ValueString(), Port: int(s.Port.ValueInt64()), User: s.User.ValueString(),
			PasswordRef: reference("job.logical.server.password_ref", s.PasswordRef, errs),
			SSLMode:     s.SSLMode.ValueString(), SSLRootCert: s.SSLRootCert.ValueString(), SSLCert: s.SSLCert.ValueString(), SSLKey: s.SSLKey.ValueString(),
			MaintenanceDatabase: s.MaintenanceDatabase.ValueString(),
		}
	}
	return out
}

func texts(ctx context.Context, list types.List, errs *[]error) []string {
	var out []string
	if diags := list.ElementsAs(ctx, &out, false); diags.HasError() {
		*errs = append(*errs, errors.New(diags.Errors()[0].Detail()))
	}
	return out
}

func reference(name string, text types.String, errs *[]error) secretref.Ref {
	if text.IsNull() {
		return secretref.Ref{}
	}
	ref, err := secretref.Parse(text.ValueString())
	if err != nil {
		*errs = append(*errs, fmt.Errorf("%s: %w", name, err))
	}
	return ref
}

func span(name string, text types.String, errs *[]error) duration.Duration {
	if text.IsNull() {
		return duration.Duration{}
	}
	d, err := duration.Parse(text.ValueString())
	if err != nil {
		*errs = append(*errs, fmt.Errorf("%s: %w", name, err))
	}
	return d
}
