package retention_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

func TestValidateNamesTheFieldAndTheFix(t *testing.T) {
	t.Parallel()
	type keep = retention.Keep
	for _, c := range []struct {
		name  string
		rules retention.Rules
		want  []string // none for valid rules
	}{
		{"the usual line", retention.Rules{Keep: keep{KeepLast: 3, KeepDaily: 30, KeepWeekly: 12, KeepMonthly: 12, KeepYearly: 7, WAL: span("7d")}, ExpireAfter: span("2555d")}, nil},
		{"all of something", retention.Rules{Keep: keep{KeepDaily: retention.All}}, nil},
		{"wal alone", retention.Rules{Keep: keep{WAL: span("7d")}}, nil},
		{"a span alone", retention.Rules{Keep: keep{KeepWithinYearly: span("10y")}}, nil},
		{"keep_last has no length in time", retention.Rules{Keep: keep{KeepLast: 1000}, ExpireAfter: span("1d")}, nil},
		{"nothing", retention.Rules{}, []string{"retention keeps nothing", "keep_daily"}},
		{"only a ceiling", retention.Rules{ExpireAfter: span("1y")}, []string{"retention keeps nothing"}},
		{"below -1", retention.Rules{Keep: keep{KeepDaily: -2, KeepLast: 1}}, []string{"keep_daily is -2", "-1 for all"}},
		{"absurd", retention.Rules{Keep: keep{KeepHourly: 2_000_000}}, []string{"keep_hourly is 2000000", "-1 for all"}},
		{"ceiling below a count", retention.Rules{Keep: keep{KeepDaily: 30, KeepYearly: 7}, ExpireAfter: span("2554d")}, []string{`expire_after = "2554d" is shorter than keep_yearly`, `at least "7y"`}},
		{"ceiling below a span", retention.Rules{Keep: keep{KeepWithin: span("90d")}, ExpireAfter: span("2mo")}, []string{"shorter than keep_within", `"90d"`}},
		{"ceiling below wal", retention.Rules{Keep: keep{KeepLast: 1, WAL: span("14d")}, ExpireAfter: span("1w")}, []string{"shorter than wal"}},
		{"ceiling under all", retention.Rules{Keep: keep{KeepWeekly: retention.All}, ExpireAfter: span("1y")}, []string{"keep_weekly = -1 keeps for ever", "expire_after"}},
		{"more years than can be said", retention.Rules{Keep: keep{KeepYearly: 900}, ExpireAfter: span("249y")}, []string{"shorter than keep_yearly"}},
	} {
		err := c.rules.Validate()
		if (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v; want it to say %s", c.name, err, want)
			}
		}
	}
}

func TestValidateReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	err := retention.Rules{Keep: retention.Keep{KeepDaily: -2, KeepWeekly: -3}}.Validate()
	if err == nil || !strings.Contains(err.Error(), "keep_daily") || !strings.Contains(err.Error(), "keep_weekly") {
		t.Error(err)
	}
}

func TestFieldsAreTheNamesOfTheJSONForm(t *testing.T) {
	t.Parallel()
	var keep retention.Keep
	for _, f := range keep.Fields() {
		if f.Value() != "off" || f.Help == "" || (f.Count == nil) == (f.Span == nil) {
			t.Errorf("%s: %+v", f.Name, f)
		}
		if f.Count != nil {
			*f.Count = retention.All
		} else {
			*f.Span = span("7d")
		}
	}
	data, err := json.Marshal(keep)
	if err != nil {
		t.Fatal(err)
	}
	var names map[string]any
	if err := json.Unmarshal(data, &names); err != nil {
		t.Fatal(err)
	}
	for _, f := range keep.Fields() {
		if _, ok := names[f.Name]; !ok {
			t.Errorf("%s is not in %s", f.Name, data)
		}
		delete(names, f.Name)
		if want := map[bool]string{true: "all", false: "7d"}[f.Count != nil]; f.Value() != want {
			t.Errorf("%s is %s", f.Name, f.Value())
		}
	}
	if len(names) != 0 {
		t.Errorf("fields without a description: %v", names)
	}
}
