package cost_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/cost"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
)

func document(t *testing.T, retention, storage string) policy.Document {
	t.Helper()
	d, err := policy.Parse([]byte(`{"format":1,"name":"prod","retention":` + retention + `,"storage":` + storage + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAPolicyIsWarnedOfWhatItPaysForNothing(t *testing.T) {
	t.Parallel()
	table := cost.Prices("us-east-1")
	of := " (" + table.String() + ")"
	const tiers = `{"keep_daily":90,"keep_weekly":52,"keep_monthly":24}`
	for _, c := range []struct {
		name, retention, storage string
		want                     []string
	}{
		{"the default class has no minimum", `{"keep_last":1}`, `{}`, nil},
		{"long enough", tiers, `{"class":"STANDARD_IA","transitions":[{"after":"30d","class":"GLACIER"}],"expire_after":"730d"}`, []string{
			"retention.keep_daily: a daily point leaves GLACIER after 60d with a backup every day: 90d are billed, about 0.0036 USD per GB wasted" + of,
		}},
		{"a transition", tiers, `{"class":"STANDARD_IA","transitions":[{"after":"10d","class":"GLACIER_IR","tiers":["weekly","monthly"]}]}`, []string{
			"storage.transitions[0]: a weekly or monthly point leaves STANDARD_IA after 10d: 30d are billed, about 0.0083 USD per GB wasted" + of,
		}},
		{"every tier", tiers, `{"class":"STANDARD_IA","transitions":[{"after":"10d","class":"INTELLIGENT_TIERING"}]}`, []string{
			"storage.transitions[0]: a point leaves STANDARD_IA after 10d: 30d are billed, about 0.0083 USD per GB wasted" + of,
		}},
		{"from one transition to the next, in any order", `{"keep_yearly":7}`, `{"transitions":[{"after":"100d","class":"GLACIER"},{"after":"40d","class":"GLACIER_IR"}]}`, []string{
			"storage.transitions[0]: a point leaves GLACIER_IR after 60d: 90d are billed, about 0.0040 USD per GB wasted" + of,
		}},
		{"a keep rule", `{"keep_daily":14}`, `{"class":"STANDARD_IA"}`, []string{
			"retention.keep_daily: a point leaves STANDARD_IA after 14d with a backup every day: 30d are billed, about 0.0067 USD per GB wasted" + of,
		}},
		{"a span", `{"keep_within_hourly":"2d"}`, `{"class":"GLACIER_IR"}`, []string{
			"retention.keep_within_hourly: a point leaves GLACIER_IR after 2d: 90d are billed, about 0.012 USD per GB wasted" + of,
		}},
		{"hourly points only", `{"keep_hourly":48,"keep_daily":60}`, `{"class":"STANDARD_IA"}`, []string{
			"retention.keep_hourly: an hourly point leaves STANDARD_IA after 2d with a backup every hour: 30d are billed, about 0.012 USD per GB wasted" + of,
		}},
		{"point-in-time recovery holds the base backup longer", `{"keep_last":3,"wal":"29d"}`, `{"class":"STANDARD_IA"}`, nil},
		{"a short rule beside a long one of the same tier", `{"keep_last":3,"keep_daily":30}`, `{"class":"STANDARD_IA"}`, nil},
		{"the ceiling", `{"keep_last":1000}`, `{"class":"DEEP_ARCHIVE","expire_after":"100d"}`, []string{
			"storage.expire_after: a point leaves DEEP_ARCHIVE after 100d: 180d are billed, about 0.0026 USD per GB wasted" + of,
		}},
		{"the largest counts there are", `{"keep_daily":3,"keep_monthly":1000000,"keep_yearly":1000000}`, `{"class":"STANDARD_IA"}`, []string{
			"retention.keep_daily: a daily point leaves STANDARD_IA after 3d with a backup every day: 30d are billed, about 0.011 USD per GB wasted" + of,
		}},
		{"kept for ever", `{"keep_daily":-1}`, `{"class":"STANDARD_IA"}`, nil},
		{"a transition nobody lives to see", `{"keep_daily":60}`, `{"class":"STANDARD_IA","transitions":[{"after":"90d","class":"GLACIER"}]}`, nil},
	} {
		if got := table.Warnings(document(t, c.retention, c.storage)); !slices.Equal(got, c.want) {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, strings.Join(got, "\n     "), strings.Join(c.want, "\n     "))
		}
	}
}

func TestAWarningWithoutPricesNamesNoSum(t *testing.T) {
	t.Parallel()
	d := document(t, `{"keep_daily":14}`, `{"class":"STANDARD_IA"}`)
	want := []string{"retention.keep_daily: a point leaves STANDARD_IA after 14d with a backup every day: 30d are billed"}
	if got := (cost.Table{}).Warnings(d); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := cost.Prices("").Warnings(policy.Document{}); got != nil {
		t.Errorf("a document that says nothing: %q", got)
	}
}

// Transitions at least as far apart as the class bills never warn, whatever
// classes there are.
func TestWaitingLongEnoughNeverWarns(t *testing.T) {
	t.Parallel()
	table := cost.Prices("us-east-1")
	for _, first := range []string{"STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING"} {
		d := document(t, `{"keep_daily":-1,"keep_yearly":-1}`, `{"class":"`+first+`","transitions":[`+
			`{"after":"30d","class":"GLACIER_IR"},{"after":"120d","class":"GLACIER"},{"after":"210d","class":"DEEP_ARCHIVE"}]}`)
		if got := table.Warnings(d); got != nil {
			t.Errorf("%s: %q", first, got)
		}
	}
}
