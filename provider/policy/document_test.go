package policy

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/lifecycle"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
)

// blank is a model in which every attribute is null.
func blank(t *testing.T) model {
	t.Helper()
	var resp resource.SchemaResponse
	New().Schema(t.Context(), resource.SchemaRequest{}, &resp)
	kind := resp.Schema.Type().TerraformType(t.Context()).(tftypes.Object)
	values := map[string]tftypes.Value{}
	for name, of := range kind.AttributeTypes {
		values[name] = tftypes.NewValue(of, nil)
	}
	state := tfsdk.State{Schema: resp.Schema, Raw: tftypes.NewValue(kind, values)}
	var m model
	if diags := state.Get(t.Context(), &m); diags.HasError() {
		t.Fatal(diags)
	}
	return m
}

func parse(t *testing.T, text string) policy.Document {
	t.Helper()
	d, err := policy.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const everything = `{"format":1,"name":"prod","environment":"production","timezone":"Europe/Berlin","objectives":{"rpo":"24h","rto":"4h"},
	"retention":{"keep_last":3,"keep_daily":30,"keep_monthly":12,"keep_within":"14d"},
	"storage":{"class":"STANDARD_IA","classes":{"monthly":"GLACIER"},"expire_after":"2555d",
		"transitions":[{"after":"90d","class":"GLACIER","tiers":["daily"]},{"after":"180d","class":"DEEP_ARCHIVE"}]}}`

func TestADocumentComesBackOutOfTheModelItWasPutInto(t *testing.T) {
	t.Parallel()
	for _, text := range []string{everything, `{"format":1,"name":"prod","retention":{"keep_last":1}}`} {
		m, want := blank(t), parse(t, text)
		if diags := m.take(t.Context(), want); diags.HasError() {
			t.Fatal(diags)
		}
		got, known, diags := m.document(t.Context())
		if diags.HasError() || !known || got.Digest() != want.Digest() {
			t.Errorf("%v: got %s, want %s", diags, got.Canonical(), want.Canonical())
		}
	}
}

func TestADocumentOverAnotherLeavesNothingOfIt(t *testing.T) {
	t.Parallel()
	m := blank(t)
	want := parse(t, `{"format":1,"name":"prod","retention":{"keep_weekly":4}}`)
	for _, d := range []policy.Document{parse(t, everything), want} {
		if diags := m.take(t.Context(), d); diags.HasError() {
			t.Fatal(diags)
		}
	}
	if got, _, _ := m.document(t.Context()); len(policy.Diff(got, want)) > 0 {
		t.Errorf("got %s", got.Canonical())
	}
}

func TestAPartThatIsNotKnownYetMakesTheDocumentUnknown(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	filled := blank(t)
	filled.take(ctx, parse(t, everything))
	for name, forget := range map[string]func(*model){
		"name":       func(m *model) { m.Name = types.StringUnknown() },
		"objectives": func(m *model) { m.Objectives = types.ObjectUnknown(m.Objectives.AttributeTypes(ctx)) },
		"retention":  func(m *model) { m.Retention = types.DynamicUnknown() },
		"storage":    func(m *model) { m.Storage = types.ObjectUnknown(m.Storage.AttributeTypes(ctx)) },
		"transitions": func(m *model) {
			attributes := m.Storage.Attributes()
			attributes["transitions"] = types.ListUnknown(attributes["transitions"].(types.List).ElementType(ctx))
			m.Storage = types.ObjectValueMust(m.Storage.AttributeTypes(ctx), attributes)
		},
	} {
		m := filled
		forget(&m)
		if _, known, diags := m.document(ctx); known || diags.HasError() {
			t.Errorf("without %s: known %v, %v", name, known, diags)
		}
	}
}

func TestAnErrorOfADocumentIsTiedToTheAttributeItNames(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"storage.class": "storage.class", "storage.classes.daily": "storage.classes.daily", "storage.transitions[1].tiers[0]": "storage.transitions[1].tiers[0]",
	} {
		if got := attribute(text).String(); got != want {
			t.Errorf("%s became %s", text, got)
		}
	}
}

func TestRulesHaveTheSameTextWhereTheyMeanTheSame(t *testing.T) {
	t.Parallel()
	a := lifecycle.Rule{ID: "x", Prefix: "pg/points/", Tags: map[string]string{"a": "1", "b": "2"}, Transitions: []lifecycle.Transition{{Days: 30, Class: "GLACIER"}, {Days: 90, Class: "DEEP_ARCHIVE"}}}
	b := a
	b.Transitions = slices.Clone(a.Transitions)
	slices.Reverse(b.Transitions)
	if !a.Equal(b) || ruleJSON(a) != ruleJSON(b) {
		t.Errorf("%s\n%s", ruleJSON(a), ruleJSON(b))
	}
	for name, change := range map[string]func(*lifecycle.Rule){
		"switched off": func(r *lifecycle.Rule) { r.Disabled = true },
		"days":         func(r *lifecycle.Rule) { r.Transitions = []lifecycle.Transition{{Days: 31, Class: "GLACIER"}} },
		"tag":          func(r *lifecycle.Rule) { r.Tags = map[string]string{"a": "1"} },
		"something":    func(r *lifecycle.Rule) { r.Other = []string{"Expiration"} },
		"versions":     func(r *lifecycle.Rule) { r.NoncurrentDays = 1 },
		"uploads":      func(r *lifecycle.Rule) { r.AbortDays = 1 },
	} {
		c := a
		if change(&c); ruleJSON(c) == ruleJSON(a) {
			t.Errorf("%s: %s", name, ruleJSON(c))
		}
	}
}

// A repository that does not answer costs a plan its time, and then a warning.
func TestAPlanDoesNotWaitForARepositoryThatDoesNotAnswer(t *testing.T) {
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_EC2_METADATA_DISABLED": "true"} {
		t.Setenv(name, value)
	}
	silent := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-silent }))
	defer server.Close()
	defer close(silent)

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	at, err := location.Parse("s3://bucket/pg?region=eu-west-1&path_style=true&endpoint=" + strings.NewReplacer(":", "%3A", "/", "%2F").Replace(server.URL))
	if err != nil {
		t.Fatal(err)
	}
	plan, state := blank(t), blank(t)
	plan.showUnknown(ctx)
	p := planning{resource: &Resource{conn: connection.New(connection.Settings{})}, plan: &plan, state: &state, asOf: time.Now()}
	old := parse(t, everything)
	diags := p.review(ctx, change{id: location.PolicyID{Repository: at, Name: "prod"}, old: &old, document: parse(t, `{"format":1,"name":"prod","retention":{"keep_last":1}}`)})
	if diags.HasError() || len(diags) != 1 || !strings.HasPrefix(diags[0].Summary(), "pgbackup_policy (prod): what this change loses cannot be told") || !plan.untold() {
		t.Errorf("%+v", diags)
	}
}
