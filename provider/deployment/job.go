package deployment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

// objectAs is how blocks are read: they are known.
var objectAs = basetypes.ObjectAsOptions{}

// toJob makes the job file's content of a known model. The error names attributes
// as the configuration has them.
func toJob(ctx context.Context, d Declared) (job.Job, error) {
	m := d.Base()
	id, err := location.ParsePolicyID(m.Policy.ValueString())
	if err != nil {
		return job.Job{}, err
	}
	j := job.Job{
		Format: job.Format, Name: m.Name.ValueString(), Repository: id.Repository.String(), Policy: id.Name,
	}
	if !m.Cron.IsNull() {
		j.Schedule = &job.Schedule{Cron: m.Cron.ValueString(), Timezone: m.Timezone.ValueString()}
	}
	var errs []error
	j.KeyRef = Reference("key_ref", m.KeyRef, &errs)
	j.Metrics = job.Metrics(m.Metrics.ValueString())
	j.Notify = m.notifications(ctx, &errs)
	d.Work(ctx, &j, &errs)
	if len(errs) == 0 {
		errs = append(errs, m.typ.inAttributes(j.Validate()), m.checkWhen(j))
	}
	return j, errors.Join(errs...)
}

// checkWhen holds that a job says when it runs, unless it runs all the time.
func (m *Model) checkWhen(j job.Job) error {
	switch receives := j.Receives(); {
	case receives && !m.Cron.IsNull():
		return At(path.Root("cron"), errors.New("a receiver of WAL runs all the time: leave cron out"))
	case receives && !m.Timezone.IsNull():
		return At(path.Root("timezone"), errors.New("a receiver of WAL runs all the time: leave timezone out"))
	case receives && len(j.Notify) > 0:
		return errors.New("notifications are of runs that end, and a receiver of WAL runs all the time: leave them out; wal_lag of a pgbackup_alarm notices one that does not")
	case !receives && m.Cron.IsNull():
		return fmt.Errorf("cron is missing: a job of kind %q has to be started, such as \"0 2 * * *\"", j.Kind)
	}
	return nil
}

// always: the job runs all the time. Only such a one is accepted without cron.
func (m *Model) always() bool { return m.Cron.IsNull() }

type notificationModel struct {
	Channel   types.String `tfsdk:"channel"`
	URLRef    types.String `tfsdk:"url_ref"`
	SecretRef types.String `tfsdk:"secret_ref"`
	On        types.List   `tfsdk:"on"`
}

func (m *Model) notifications(ctx context.Context, errs *[]error) (out []job.Notification) {
	var list []notificationModel
	if diags := m.Notifications.ElementsAs(ctx, &list, false); diags.HasError() {
		*errs = append(*errs, errors.New(diags.Errors()[0].Detail()))
	}
	for i, n := range list {
		at := fmt.Sprintf("notifications[%d].", i)
		told := job.Notification{Channel: job.Channel(n.Channel.ValueString()), URLRef: Reference(at+"url_ref", n.URLRef, errs), SecretRef: Reference(at+"secret_ref", n.SecretRef, errs)}
		for _, event := range Texts(ctx, n.On, errs) {
			told.On = append(told.On, job.Event(event))
		}
		out = append(out, told)
	}
	return out
}

// wording is what stands in a configuration for the beginnings of a job file's
// fields, in pairs.
var wording = []string{
	"job.notify[", "notifications[", "job.schedule", "cron", "job.policy", "policy", "job.name", "name",
	"job.key_ref", "key_ref", "job.metrics", "metrics", "job.repository", "policy",
}

// inAttributes words an error about a job file for who wrote a configuration.
func (t *Type) inAttributes(err error) error {
	if err == nil {
		return nil
	}
	return worded{strings.NewReplacer(append(slices.Clone(wording), t.Wording...)...).Replace(err.Error()), err}
}

// worded is an error in other words.
type worded struct {
	text string
	error
}

func (w worded) Error() string { return w.text }
func (w worded) Unwrap() error { return w.error }

func Texts(ctx context.Context, list types.List, errs *[]error) []string {
	var out []string
	if diags := list.ElementsAs(ctx, &out, false); diags.HasError() {
		*errs = append(*errs, errors.New(diags.Errors()[0].Detail()))
	}
	return out
}

func TextMap(ctx context.Context, values types.Map, errs *[]error) map[string]string {
	var out map[string]string
	if diags := values.ElementsAs(ctx, &out, false); diags.HasError() {
		*errs = append(*errs, errors.New(diags.Errors()[0].Detail()))
	}
	return out
}

// Reference reads a reference to a secret; name is the attribute's, for the error.
func Reference(name string, text types.String, errs *[]error) secretref.Ref {
	if text.IsNull() {
		return secretref.Ref{}
	}
	ref, err := secretref.Parse(text.ValueString())
	if err != nil {
		*errs = append(*errs, fmt.Errorf("%s: %w", name, err))
	}
	return ref
}

// Span reads a length of time; name is the attribute's, for the error.
func Span(name string, text types.String, errs *[]error) duration.Duration {
	if text.IsNull() {
		return duration.Duration{}
	}
	d, err := duration.Parse(text.ValueString())
	if err != nil {
		*errs = append(*errs, fmt.Errorf("%s: %w", name, err))
	}
	return d
}

// Block reads a block, which must be known.
func Block(ctx context.Context, from types.Object, into any) error {
	if diags := from.As(ctx, into, objectAs); diags.HasError() {
		return errors.New(diags.Errors()[0].Detail())
	}
	return nil
}
