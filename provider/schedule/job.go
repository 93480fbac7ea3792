package schedule

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

// blocks reads the two blocks, which must be known.
func (m model) blocks(ctx context.Context) (j jobModel, on runOnModel, diags diag.Diagnostics) {
	diags.Append(m.Job.As(ctx, &j, objectAs)...)
	diags.Append(m.RunOn.As(ctx, &on, objectAs)...)
	return j, on, diags
}

// toJob makes the job file's content of a known model. The error names attributes
// as the configuration has them.
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
	j.Metrics = job.Metrics(m.Metrics.ValueString())
	j.Notify = m.notifications(ctx, &errs)
	block.toJob(ctx, &j, &errs)
	if len(errs) == 0 {
		errs = append(errs, inAttributes(j.Validate()))
	}
	return j, errors.Join(errs...)
}

func (m model) notifications(ctx context.Context, errs *[]error) (out []job.Notification) {
	var list []notificationModel
	if diags := m.Notifications.ElementsAs(ctx, &list, false); diags.HasError() {
		*errs = append(*errs, errors.New(diags.Errors()[0].Detail()))
	}
	for i, n := range list {
		at := fmt.Sprintf("notifications[%d].", i)
		told := job.Notification{Channel: job.Channel(n.Channel.ValueString()), URLRef: reference(at+"url_ref", n.URLRef, errs), SecretRef: reference(at+"secret_ref", n.SecretRef, errs)}
		for _, event := range texts(ctx, n.On, errs) {
			told.On = append(told.On, job.Event(event))
		}
		out = append(out, told)
	}
	return out
}

// attributes are what stands in a configuration for the beginnings of a job
// file's fields. The fields of the kinds are called the same.
var attributes = strings.NewReplacer("job.notify[", "notifications[", "job.limits.", "job.", "job.schedule", "cron",
	"job.policy", "policy", "job.name", "name", "job.source", "source", "job.key_ref", "key_ref", "job.metrics", "metrics", "job.repository", "policy")

// inAttributes words an error about a job file for who wrote a configuration.
func inAttributes(err error) error {
	if err == nil {
		return nil
	}
	return worded{attributes.Replace(err.Error()), err}
}

// worded is an error in other words.
type worded struct {
	text string
	error
}

func (w worded) Error() string { return w.text }
func (w worded) Unwrap() error { return w.error }

func texts(ctx context.Context, list types.List, errs *[]error) []string {
	var out []string
	if diags := list.ElementsAs(ctx, &out, false); diags.HasError() {
		*errs = append(*errs, errors.New(diags.Errors()[0].Detail()))
	}
	return out
}

func textMap(ctx context.Context, values types.Map, errs *[]error) map[string]string {
	var out map[string]string
	if diags := values.ElementsAs(ctx, &out, false); diags.HasError() {
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
