package alarm

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/alarm"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/alarms"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
)

// definition is everything the resource makes, as it is shown in a plan and
// compared with what is there.
type definition struct {
	Topic  *topic       `json:"topic,omitempty"` // nil: it is not made here
	Emails []string     `json:"emails,omitempty"`
	Alarms []alarmShown `json:"alarms"`
}

type topic struct {
	ARN    string `json:"arn"`
	KMSKey string `json:"kms_key_id,omitempty"`
	Policy string `json:"policy"`
}

type alarmShown struct {
	alarm.Alarm
	Actions []string `json:"alarm_actions,omitempty"`
	OK      []string `json:"ok_actions,omitempty"`
}

func (d definition) text() string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(d); err != nil {
		panic(fmt.Sprintf("the definition of an alarm cannot be written: %v", err)) // texts and numbers
	}
	return b.String()
}

func parseDefinition(text string) (d definition, err error) {
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return d, fmt.Errorf("the definition in state cannot be read: %w", err)
	}
	return d, nil
}

func (d definition) names() []string {
	names := make([]string, len(d.Alarms))
	for i, a := range d.Alarms {
		names[i] = a.Name
	}
	return names
}

// live gives the alarms of these names as they should be in CloudWatch.
func (d definition) live(names []string) []alarms.Live {
	var list []alarms.Live
	for _, a := range d.Alarms {
		if slices.Contains(names, a.Name) {
			list = append(list, alarms.Live{Alarm: a.Alarm, Actions: a.Actions, OK: a.OK})
		}
	}
	return list
}

// known reports whether all that was configured is known.
func (m model) known(ctx context.Context) bool {
	for _, v := range []attr.Value{m.Name, m.Policy, m.Region, m.Jobs, m.OverdueAfter, m.Failed, m.Size, m.Storage, m.WALLag, m.WALGap, m.Drill, m.Email, m.TopicARN, m.TopicKMSKey, m.Actions, m.TellOK, m.Tags} {
		tf, err := v.ToTerraformValue(ctx)
		if err != nil || !tf.IsFullyKnown() {
			return false
		}
	}
	return true
}

// spec says what is watched, by a model whose inputs are known.
func (m model) spec(ctx context.Context) (alarm.Spec, error) {
	id, err := location.ParsePolicyID(m.Policy.ValueString())
	if err != nil {
		return alarm.Spec{}, err
	}
	s := alarm.Spec{Repository: metric.Repository(id.Repository), Policy: id.Name, Name: m.Name.ValueString(), Failed: m.Failed.ValueBool()}
	var errs []error
	s.Jobs = strings(ctx, m.Jobs, &errs)
	s.OverdueAfter, s.WALLag = span(m.OverdueAfter, &errs), span(m.WALLag, &errs)
	if s.WALGap = m.WALGap.ValueBool(); m.WALGap.IsNull() {
		s.WALGap = s.WALLag > 0
	}
	if !m.Size.IsNull() {
		var z sizeModel
		block(ctx, m.Size, &z, &errs)
		s.Size = &alarm.Size{Below: int(z.Below.ValueInt64()), Above: int(z.Above.ValueInt64())}
	}
	if !m.Storage.IsNull() {
		var z storeModel
		block(ctx, m.Storage, &z, &errs)
		s.StorageAbove, s.GrowthPerDay = z.Above.ValueInt64(), z.Growth.ValueInt64()
	}
	if !m.Drill.IsNull() {
		var z drillModel
		block(ctx, m.Drill, &z, &errs)
		s.Drill = &alarm.Drill{Jobs: strings(ctx, z.Jobs, &errs), OverdueAfter: span(z.OverdueAfter, &errs), Failed: z.Failed.ValueBool()}
	}
	return s, errors.Join(errs...)
}

// wanted is the definition by a model whose inputs are known. who is nil where no
// topic is made: only its ARN needs the account.
func (m model) wanted(ctx context.Context, who func() (connection.Identity, error), region string) (d definition, err error) {
	s, err := m.spec(ctx)
	if err != nil {
		return d, err
	}
	planned, err := alarm.Plan(s)
	if err != nil {
		return d, err
	}
	var errs []error
	d.Emails = strings(ctx, m.Email, &errs)
	actions := strings(ctx, m.Actions, &errs)
	switch {
	case m.TopicARN.ValueString() != "":
		actions = append(actions, m.TopicARN.ValueString())
	case len(d.Emails) > 0 || len(actions) == 0:
		id, err := who()
		if err != nil {
			return d, err
		}
		t := alarms.Topic{Name: s.Topic(), ARN: fmt.Sprintf("arn:%s:sns:%s:%s:%s", id.Partition, region, id.Account, s.Topic()), Account: id.Account, KMSKey: m.TopicKMSKey.ValueString()}
		d.Topic = &topic{ARN: t.ARN, KMSKey: t.KMSKey, Policy: string(t.Policy().JSON())}
		actions = append(actions, t.ARN)
	}
	slices.Sort(actions)
	slices.SortFunc(planned, func(a, b alarm.Alarm) int { return cmp.Compare(a.Name, b.Name) })
	for _, a := range planned {
		shown := alarmShown{Alarm: a, Actions: actions}
		if m.TellOK.ValueBool() {
			shown.OK = actions
		}
		d.Alarms = append(d.Alarms, shown)
	}
	return d, errors.Join(errs...)
}

// topicARN is what the alarms write to, "" for nothing of SNS.
func (m model) topicARN(d definition) string {
	if d.Topic != nil {
		return d.Topic.ARN
	}
	return m.TopicARN.ValueString()
}

func strings(ctx context.Context, set types.Set, errs *[]error) []string {
	var out []string
	if diags := set.ElementsAs(ctx, &out, false); diags.HasError() {
		*errs = append(*errs, errors.New(diags.Errors()[0].Detail()))
	}
	slices.Sort(out)
	return out
}

func block(ctx context.Context, object types.Object, into any, errs *[]error) {
	if diags := object.As(ctx, into, basetypes.ObjectAsOptions{}); diags.HasError() {
		*errs = append(*errs, errors.New(diags.Errors()[0].Detail()))
	}
}

func span(text types.String, errs *[]error) time.Duration {
	if text.IsNull() {
		return 0
	}
	d, err := duration.Parse(text.ValueString())
	exact, ok := d.Exact()
	if err != nil || !ok {
		*errs = append(*errs, fmt.Errorf("%q is not a length of time such as 25h", text.ValueString()))
	}
	return exact
}
