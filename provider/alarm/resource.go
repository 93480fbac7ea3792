package alarm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	gostrings "strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/alarm"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/alarms"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// Resource is pgbackup_alarm.
type Resource struct{ conn *connection.Connection }

var (
	_ resource.ResourceWithConfigure      = (*Resource)(nil)
	_ resource.ResourceWithValidateConfig = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan     = (*Resource)(nil)
	_ resource.ResourceWithImportState    = (*Resource)(nil)
)

// New makes the resource.
func New() resource.Resource { return &Resource{} }

func (r *Resource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_alarm"
}

func (r *Resource) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	r.conn, _ = req.ProviderData.(*connection.Connection)
}

func summary(verb, name string) string { return fmt.Sprintf("%s pgbackup_alarm (%s)", verb, name) }

func (r *Resource) client(m model) (*alarms.Client, error) {
	cfg, err := r.conn.AWS(m.Region.ValueString())
	if err != nil {
		return nil, err
	}
	return alarms.New(cfg), nil
}

// generationKey is where private state has the word that this resource's alarms
// are tagged with. It tells them from those of another resource of the same names,
// such as the one that takes its place before it is destroyed.
const generationKey = "generation"

func (r *Resource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	generation := rand.Text()
	begun, err := r.make(ctx, &m, definition{}, generation, &resp.Diagnostics)
	if begun {
		// Also what is half made is in state, marked as tainted by the error.
		resp.Diagnostics.Append(resp.Private.SetKey(ctx, generationKey, []byte(strconv.Quote(generation)))...)
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
	}
	if err != nil {
		resp.Diagnostics.AddError(summary("creating", m.Name.ValueString()), valid.Sentence(err))
	}
}

func (r *Resource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var m, state model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	generation := recalled(ctx, req.Private, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	before, err := parseDefinition(state.Definition.ValueString())
	if err == nil {
		_, err = r.make(ctx, &m, before, generation, &resp.Diagnostics)
	}
	if err != nil {
		resp.Diagnostics.AddError(summary("updating", m.Name.ValueString()), valid.Sentence(err))
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// recalled is the generation in private state, "" after an import.
func recalled(ctx context.Context, private interface {
	GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
}, diags *diag.Diagnostics,
) string {
	stored, d := private.GetKey(ctx, generationKey)
	diags.Append(d...)
	generation, err := strconv.Unquote(string(stored))
	if err != nil {
		return ""
	}
	return generation
}

// make brings what is there to what is wanted. What is told comes before what
// tells it, and the new alarms before the old ones go. begun is false while nothing
// was changed.
func (r *Resource) make(ctx context.Context, m *model, before definition, generation string, diags *diag.Diagnostics) (begun bool, err error) {
	d, region, err := r.define(ctx, *m)
	if err != nil {
		return false, err
	}
	client, err := r.client(*m)
	if err != nil {
		return false, err
	}
	fresh := slices.DeleteFunc(d.names(), func(name string) bool { return slices.Contains(before.names(), name) })
	if err := client.Refuse(ctx, d.live(fresh)); err != nil {
		return false, err
	}
	m.describe(d, region)
	return true, r.bring(ctx, client, *m, d, before, fresh, generation, diags)
}

func (r *Resource) bring(ctx context.Context, client *alarms.Client, m model, d, before definition, fresh []string, generation string, diags *diag.Diagnostics) error {
	tags := r.tags(ctx, m)
	if generation != "" {
		tags[awsapi.TagGeneration] = generation
	}
	if d.Topic != nil {
		id, err := r.conn.Identity(ctx)
		if err != nil {
			return err
		}
		s, err := m.spec(ctx)
		if err != nil {
			return err
		}
		if err := client.EnsureTopic(ctx, alarms.Topic{Name: s.Topic(), ARN: d.Topic.ARN, Account: id.Account, KMSKey: d.Topic.KMSKey, Tags: tags}); err != nil {
			return err
		}
	}
	if err := r.tell(ctx, client, m, d, before, diags); err != nil {
		return err
	}
	if err := r.ring(ctx, client, d, fresh, tags); err != nil {
		return err
	}
	gone := slices.DeleteFunc(before.names(), func(name string) bool { return slices.Contains(d.names(), name) })
	if err := client.Remove(ctx, gone, generation); err != nil {
		return err
	}
	if before.Topic != nil && (d.Topic == nil || d.Topic.ARN != before.Topic.ARN) {
		return client.RemoveTopic(ctx, before.Topic.ARN, generation)
	}
	return nil
}

// ring makes the alarms. Those that are new get the point that keeps them quiet
// until the first run had its time.
func (r *Resource) ring(ctx context.Context, client *alarms.Client, d definition, fresh []string, tags map[string]string) error {
	var first []alarm.Series
	for _, a := range d.Alarms {
		if slices.Contains(fresh, a.Name) {
			first = append(first, a.Armed()...)
		}
	}
	if err := client.Arm(ctx, first, time.Now()); err != nil {
		return err
	}
	for _, a := range d.Alarms {
		if err := client.Put(ctx, a.Alarm, a.Actions, a.OK, tags); err != nil {
			return err
		}
	}
	there, err := client.Read(ctx, d.names())
	if err != nil {
		return err
	}
	for _, l := range there {
		if err := client.Tag(ctx, l.ARN, tags); err != nil {
			return err
		}
	}
	return nil
}

// tell brings the subscriptions of the topic to the addresses, and warns of those
// nobody has confirmed.
func (r *Resource) tell(ctx context.Context, client *alarms.Client, m model, d, before definition, diags *diag.Diagnostics) error {
	arn := m.topicARN(d)
	if arn == "" {
		return nil
	}
	var there []alarms.Subscription
	err := awsapi.UntilKnown(ctx, "SNS topic ("+arn+")", func(ctx context.Context) (err error) {
		there, err = client.Subscriptions(ctx, arn)
		return err
	})
	if err != nil {
		return err
	}
	var waiting []string
	for _, email := range d.Emails {
		i := slices.IndexFunc(there, func(s alarms.Subscription) bool { return s.Email == email })
		if i < 0 {
			if err := client.Subscribe(ctx, arn, email); err != nil {
				return err
			}
		}
		if i < 0 || there[i].Pending {
			waiting = append(waiting, email)
		}
	}
	for _, s := range there {
		if !slices.Contains(before.Emails, s.Email) || slices.Contains(d.Emails, s.Email) {
			continue // somebody else's, or still wanted
		}
		pending, err := client.Unsubscribe(ctx, s)
		if err != nil {
			return err
		}
		if pending {
			diags.AddWarning(fmt.Sprintf("pgbackup_alarm (%s): %s never confirmed and cannot be unsubscribed", m.Name.ValueString(), s.Email), "Its subscription goes away by itself; until then a click on the link in the message it got would still confirm it.")
		}
	}
	if len(waiting) > 0 {
		diags.AddWarning(fmt.Sprintf("pgbackup_alarm (%s): %s will not be told anything before the link in the message from AWS is clicked", m.Name.ValueString(), gostrings.Join(waiting, ", ")),
			"SNS sends each address one message to confirm that it wants to be written to.")
	}
	return nil
}

// tags of everything that is made.
func (r *Resource) tags(ctx context.Context, m model) map[string]string {
	var given map[string]string
	m.Tags.ElementsAs(ctx, &given, false) // our own plan: always strings
	repository := ""
	if id, err := location.ParsePolicyID(m.Policy.ValueString()); err == nil {
		repository = metric.Repository(id.Repository)
	}
	return awsapi.OwnTags(r.conn.Tags(given), repository, m.Name.ValueString())
}

// define works out what is wanted, and the region it is in.
func (r *Resource) define(ctx context.Context, m model) (definition, string, error) {
	cfg, err := r.conn.AWS(m.Region.ValueString())
	if err != nil {
		return definition{}, "", err
	}
	d, err := m.wanted(ctx, func() (connection.Identity, error) { return r.conn.Identity(ctx) }, cfg.Region)
	return d, cfg.Region, err
}

// describe sets the computed attributes.
func (m *model) describe(d definition, region string) {
	m.ID = types.StringValue(m.Policy.ValueString() + "?name=" + m.Name.ValueString() + "&region=" + region)
	m.Topic, m.Definition = types.StringNull(), types.StringValue(d.text())
	if arn := m.topicARN(d); arn != "" {
		m.Topic = types.StringValue(arn)
	}
}

// Read takes alarms, topic and addresses as they are, so that what was done to
// them by hand differs from what is wanted.
func (r *Resource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	before, err := parseDefinition(m.Definition.ValueString())
	var now definition
	if err == nil {
		now, err = r.read(ctx, m, before)
	}
	if err != nil {
		resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_alarm (%s) cannot be read: its state is kept as it was", m.Name.ValueString()), valid.Sentence(err))
		return
	}
	if len(now.Alarms) == 0 && now.Topic == nil {
		resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_alarm (%s) is gone: it will be made anew", m.Name.ValueString()), "None of its alarms is there.")
		resp.State.RemoveResource(ctx)
		return
	}
	m.Definition = types.StringValue(now.text())
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (r *Resource) read(ctx context.Context, m model, before definition) (now definition, err error) {
	client, err := r.client(m)
	if err != nil {
		return now, err
	}
	there, err := client.Read(ctx, before.names())
	if err != nil {
		return now, err
	}
	for _, name := range before.names() {
		l, ok := there[name]
		if !ok {
			continue
		}
		shown := alarmShown{Alarm: l.Alarm, Actions: l.Actions, OK: l.OK}
		slices.Sort(shown.Actions)
		slices.Sort(shown.OK)
		if !l.Enabled {
			shown.Actions, shown.OK = nil, nil // somebody silenced it
		}
		now.Alarms = append(now.Alarms, shown)
	}
	arn := m.topicARN(before)
	if before.Topic != nil {
		state, err := client.ReadTopic(ctx, arn)
		switch {
		case errors.Is(err, awsapi.ErrGone):
			return now, nil // with its subscriptions
		case err != nil:
			return now, err
		}
		now.Topic = &topic{ARN: arn, KMSKey: state.KMSKey, Policy: state.Policy}
		if same(state.Policy, before.Topic.Policy) {
			now.Topic.Policy = before.Topic.Policy
		}
	}
	if arn == "" || len(before.Emails) == 0 {
		return now, nil
	}
	subscriptions, err := client.Subscriptions(ctx, arn)
	for _, s := range subscriptions {
		if slices.Contains(before.Emails, s.Email) {
			now.Emails = append(now.Emails, s.Email)
		}
	}
	slices.Sort(now.Emails)
	return now, err
}

func (r *Resource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	generation := recalled(ctx, req.Private, &resp.Diagnostics)
	err := r.remove(ctx, m, generation, &resp.Diagnostics)
	if err != nil {
		resp.Diagnostics.AddError(summary("deleting", m.Name.ValueString()), valid.Sentence(err))
	}
}

func (r *Resource) remove(ctx context.Context, m model, generation string, diags *diag.Diagnostics) error {
	d, err := parseDefinition(m.Definition.ValueString())
	if err != nil {
		return err
	}
	client, err := r.client(m)
	if err != nil {
		return err
	}
	if err := client.Remove(ctx, d.names(), generation); err != nil {
		return err
	}
	if d.Topic != nil {
		return client.RemoveTopic(ctx, d.Topic.ARN, generation)
	}
	after := d
	after.Emails = nil
	return r.tell(ctx, client, m, after, d, diags)
}
