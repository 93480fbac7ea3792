package datasource

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/alarm"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/alarms"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/told"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// AlarmStates is pgbackup_alarm_states.
type AlarmStates struct{ reader }

var _ datasource.DataSourceWithConfigure = (*AlarmStates)(nil)

// NewAlarmStates makes the data source.
func NewAlarmStates() datasource.DataSource { return &AlarmStates{} }

type alarmStatesModel struct {
	Alarm   types.String      `tfsdk:"alarm"`
	Topic   types.String      `tfsdk:"topic"`
	States  []alarmStateModel `tfsdk:"states"`
	Ringing types.Bool        `tfsdk:"ringing"`
	Pending []types.String    `tfsdk:"pending_email"`
}

type alarmStateModel struct {
	Name        types.String `tfsdk:"name"`
	Description types.String `tfsdk:"description"`
	State       types.String `tfsdk:"state"`
	Reason      types.String `tfsdk:"reason"`
	Since       types.String `tfsdk:"since"`
}

func (d *AlarmStates) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_alarm_states"
}

func (d *AlarmStates) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: description}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "What the alarms of a `pgbackup_alarm` say now, and who has not confirmed yet that they want to be told. These facts change by themselves, so they are no attributes of the resource.",
		Attributes: map[string]schema.Attribute{
			"alarm": schema.StringAttribute{Required: true, MarkdownDescription: "The `id` of the `pgbackup_alarm`, such as `pgbackup_alarm.prod.id`."},
			"topic": schema.StringAttribute{Optional: true, MarkdownDescription: "The `topic` of the `pgbackup_alarm`, such as `pgbackup_alarm.prod.topic`, whose addresses are looked at. Defaults to none."},
			"states": schema.ListNestedAttribute{
				Computed: true, MarkdownDescription: "The alarms, by name.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"name":        text("Name of the alarm in CloudWatch."),
					"description": text("What it watches."),
					"state":       text("`OK`, `ALARM`, or `INSUFFICIENT_DATA` shortly after it was made."),
					"reason":      text("Why, in the words of CloudWatch."),
					"since":       text("Since when, RFC 3339 in UTC."),
				}},
			},
			"ringing":       schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether one of them is in the state `ALARM`."},
			"pending_email": schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "Addresses that are told nothing, because nobody clicked the link in the message they got."},
		},
	}
}

func (d *AlarmStates) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m alarmStatesModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if err := d.fill(ctx, &m); err != nil {
		resp.Diagnostics.AddError(fmt.Sprintf("reading pgbackup_alarm_states (%s)", m.Alarm.ValueString()), valid.Sentence(err))
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (d *AlarmStates) fill(ctx context.Context, m *alarmStatesModel) error {
	i := strings.LastIndexByte(m.Alarm.ValueString(), '?')
	query, err := url.ParseQuery(m.Alarm.ValueString()[i+1:])
	if i < 0 || err != nil || query.Get("name") == "" {
		return fmt.Errorf("alarm = %q is not the id of a pgbackup_alarm", m.Alarm.ValueString())
	}
	id, err := location.ParsePolicyID(m.Alarm.ValueString()[:i])
	if err != nil {
		return err
	}
	cfg, err := d.conn.AWS(query.Get("region"))
	if err != nil {
		return err
	}
	client := alarms.New(cfg)
	spec := alarm.Spec{Repository: metric.Repository(id.Repository), Policy: id.Name, Name: query.Get("name")}
	found, err := client.Find(ctx, spec.Prefix())
	if err != nil {
		return err
	}
	m.States, m.Pending, m.Ringing = []alarmStateModel{}, []types.String{}, types.BoolValue(false)
	for _, l := range found {
		if _, ours := alarm.Recover(spec, []alarm.Alarm{l.Alarm}); len(ours) == 0 {
			continue
		}
		m.Ringing = types.BoolValue(m.Ringing.ValueBool() || l.State == "ALARM")
		m.States = append(m.States, alarmStateModel{types.StringValue(l.Name), types.StringValue(l.Description), types.StringValue(l.State), types.StringValue(l.Reason), told.Moment(l.Since)})
	}
	if m.Topic.ValueString() == "" {
		return nil
	}
	subscriptions, err := client.Subscriptions(ctx, m.Topic.ValueString())
	for _, s := range subscriptions {
		if s.Pending {
			m.Pending = append(m.Pending, types.StringValue(s.Email))
		}
	}
	return err
}
