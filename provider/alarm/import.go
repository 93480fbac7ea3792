package alarm

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	gostrings "strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/alarm"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// ImportState takes the id of a policy, and behind a '?' name and region where
// they are not the defaults:
// s3://bucket/prefix?region=eu-west-1#prod?name=team-a&region=eu-west-1
func (r *Resource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	m, err := r.taken(ctx, req.ID)
	if err != nil {
		resp.Diagnostics.AddError(summary("importing", req.ID), valid.Sentence(err))
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (r *Resource) taken(ctx context.Context, text string) (m model, err error) {
	i := gostrings.LastIndexByte(text, '#')
	if i < 0 {
		return m, errors.New("give the id of a policy, such as s3://bucket/prefix?region=eu-west-1#prod")
	}
	name, query, _ := gostrings.Cut(text[i+1:], "?")
	id, err := location.ParsePolicyID(text[:i] + "#" + name)
	if err != nil {
		return m, err
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return m, errors.New("what follows '?' behind the policy is name=… and region=…, joined by '&'")
	}
	m.Policy, m.Name = types.StringValue(id.String()), types.StringValue(id.Name)
	if n := values.Get("name"); n != "" {
		m.Name = types.StringValue(n)
	}
	cfg, err := r.conn.AWS(values.Get("region"))
	if err != nil {
		return m, err
	}
	if usual, err := r.conn.AWS(""); err != nil || usual.Region != cfg.Region {
		m.Region = types.StringValue(cfg.Region)
	}
	client, err := r.client(m)
	if err != nil {
		return m, err
	}
	empty := alarm.Spec{Repository: metric.Repository(id.Repository), Policy: id.Name, Name: m.Name.ValueString()}
	all, err := client.Find(ctx, empty.Prefix())
	if err != nil {
		return m, err
	}
	var found []alarm.Alarm
	for _, l := range all {
		found = append(found, l.Alarm)
	}
	spec, ours := alarm.Recover(empty, found)
	if len(ours) == 0 {
		return m, fmt.Errorf("no alarm of policy %s with the name %s is in %s", id, m.Name.ValueString(), cfg.Region)
	}
	m.fill(spec)
	d := definition{}
	for _, l := range all {
		if !slices.ContainsFunc(ours, func(a alarm.Alarm) bool { return a.Name == l.Name }) {
			continue
		}
		d.Alarms = append(d.Alarms, alarmShown{Alarm: l.Alarm, Actions: l.Actions, OK: l.OK})
	}
	return m, r.fillTopic(ctx, &m, spec, d, cfg.Region)
}

// fillTopic tells the topic that is ours from others, and reads its addresses.
func (r *Resource) fillTopic(ctx context.Context, m *model, spec alarm.Spec, d definition, region string) error {
	client, err := r.client(*m)
	if err != nil {
		return err
	}
	var others []attr.Value
	for _, action := range d.Alarms[0].Actions {
		switch {
		case gostrings.HasSuffix(action, ":"+spec.Topic()) && gostrings.Contains(action, ":sns:"):
			state, err := client.ReadTopic(ctx, action)
			if errors.Is(err, awsapi.ErrGone) {
				continue
			}
			if err != nil {
				return err
			}
			d.Topic = &topic{ARN: action, KMSKey: state.KMSKey, Policy: state.Policy}
			if state.KMSKey != "" {
				m.TopicKMSKey = types.StringValue(state.KMSKey)
			}
		case gostrings.Contains(action, ":sns:") && m.TopicARN.IsNull():
			m.TopicARN = types.StringValue(action)
		default:
			others = append(others, types.StringValue(action))
		}
	}
	if len(others) > 0 {
		m.Actions = types.SetValueMust(types.StringType, others)
	}
	m.TellOK = types.BoolValue(len(d.Alarms[0].OK) > 0)
	if d.Topic != nil {
		subscriptions, err := client.Subscriptions(ctx, d.Topic.ARN)
		if err != nil {
			return err
		}
		var emails []attr.Value
		for _, s := range subscriptions {
			emails = append(emails, types.StringValue(s.Email))
			d.Emails = append(d.Emails, s.Email)
		}
		slices.Sort(d.Emails)
		if len(emails) > 0 {
			m.Email = types.SetValueMust(types.StringType, emails)
		}
	}
	m.describe(d, region)
	return nil
}

// fill writes what alarms watch as a configuration would.
func (m *model) fill(s alarm.Spec) {
	m.Jobs, m.Email, m.Actions = set(s.Jobs), set(nil), set(nil)
	m.OverdueAfter, m.WALLag, m.Failed = written(s.OverdueAfter), written(s.WALLag), types.BoolValue(s.Failed)
	if m.WALGap = types.BoolNull(); s.WALGap != (s.WALLag > 0) {
		m.WALGap = types.BoolValue(s.WALGap)
	}
	sizes := map[string]attr.Type{"below_percent": types.Int64Type, "above_percent": types.Int64Type}
	m.Size = types.ObjectNull(sizes)
	if s.Size != nil {
		m.Size = types.ObjectValueMust(sizes, map[string]attr.Value{"below_percent": number(int64(s.Size.Below)), "above_percent": number(int64(s.Size.Above))})
	}
	stores := map[string]attr.Type{"above_bytes": types.Int64Type, "growth_bytes_per_day": types.Int64Type}
	m.Storage = types.ObjectNull(stores)
	if s.StorageAbove > 0 || s.GrowthPerDay > 0 {
		m.Storage = types.ObjectValueMust(stores, map[string]attr.Value{"above_bytes": number(s.StorageAbove), "growth_bytes_per_day": number(s.GrowthPerDay)})
	}
	drills := map[string]attr.Type{"jobs": types.SetType{ElemType: types.StringType}, "overdue_after": types.StringType, "failed": types.BoolType}
	m.Drill = types.ObjectNull(drills)
	if s.Drill != nil {
		m.Drill = types.ObjectValueMust(drills, map[string]attr.Value{"jobs": set(s.Drill.Jobs), "overdue_after": written(s.Drill.OverdueAfter), "failed": types.BoolValue(s.Drill.Failed)})
	}
	m.Tags = types.MapNull(types.StringType)
}

func set(values []string) types.Set {
	if len(values) == 0 {
		return types.SetNull(types.StringType)
	}
	var elements []attr.Value
	for _, v := range values {
		elements = append(elements, types.StringValue(v))
	}
	return types.SetValueMust(types.StringType, elements)
}

func number(n int64) types.Int64 {
	if n == 0 {
		return types.Int64Null()
	}
	return types.Int64Value(n)
}

func written(d time.Duration) types.String {
	if d == 0 {
		return types.StringNull()
	}
	return types.StringValue(alarm.Span(d))
}
