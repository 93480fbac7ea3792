package function_test

import (
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

// head makes the provider's functions known to a configuration.
const head = "terraform {\n  required_providers {\n    pgbackup = {\n      source = \"hashicorp/pgbackup\"\n    }\n  }\n}\n"

func output(expression string) string {
	return head + "output \"it\" {\n  value = " + expression + "\n}\n"
}

func is(want knownvalue.Check) []statecheck.StateCheck {
	return []statecheck.StateCheck{statecheck.ExpectKnownOutputValue("it", want)}
}

func texts(all ...string) knownvalue.Check {
	checks := make([]knownvalue.Check, len(all))
	for i, text := range all {
		checks[i] = knownvalue.StringExact(text)
	}
	return knownvalue.ListExact(checks)
}

func TestAccNextRuns_givesTheRunsAfterAMoment(t *testing.T) {
	t.Parallel()
	providertest.Run(t,
		resource.TestStep{
			Config:            output(`provider::pgbackup::next_runs("30 2 * * *", "Europe/Berlin", 3, "2026-03-27T12:00:00+01:00")`),
			ConfigStateChecks: is(texts("2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z")),
		},
		resource.TestStep{
			Config:            output(`provider::pgbackup::next_runs("@weekly", "", 1, "2026-03-01T00:00:00Z")`),
			ConfigStateChecks: is(texts("2026-03-08T00:00:00Z")),
		},
		resource.TestStep{ // the present moment: no run for years, so it is the same at plan and at apply
			Config:            output(`length(provider::pgbackup::next_runs("@yearly", "UTC", 100))`),
			ConfigStateChecks: is(knownvalue.Int64Exact(100)),
		},
		resource.TestStep{
			Config:            output(`provider::pgbackup::next_runs("@daily", "", 2, plantimestamp())[0] != ""`),
			ConfigStateChecks: is(knownvalue.Bool(true)),
		},
	)
}

func TestAccNextRuns_saysWhichArgumentIsWrongAndWhatIsRight(t *testing.T) {
	t.Parallel()
	for arguments, want := range map[string]string{
		`"60 2 * * *", "", 3`:                            `"cron" parameter: cron expression "60 2 * * *": minute "60": 60 is outside 0 to 59; the nearest is 59`,
		`"@dayly", "", 3`:                                `did you mean "@daily"?`,
		`"@daily", "Europe/Berln", 3`:                    `"timezone" parameter: unknown time zone "Europe/Berln"; did you mean "Europe/Berlin"?`,
		`"@daily", "", 0`:                                `"n" parameter: n is 0: give 1 to 100; the nearest is 1.`,
		`"@daily", "", 101`:                              `the nearest is 100`,
		`"@daily", "", 1.5`:                              `"n"`,
		`"@daily", null, 1`:                              `"timezone"`,
		`"@daily", "", 1, "tomorrow"`:                    `"after" parameter: after is "tomorrow": give a moment as plantimestamp() does`,
		`"@daily", "", 1, plantimestamp(), "2026-01-01"`: `after is given more than once`,
	} {
		t.Run(arguments, func(t *testing.T) {
			t.Parallel()
			providertest.Run(t, resource.TestStep{Config: output("provider::pgbackup::next_runs(" + arguments + ")"), PlanOnly: true, ExpectError: providertest.Message(want)})
		})
	}
}

func TestAccKeptPoints_playsTheScheduleAndTheRules(t *testing.T) {
	t.Parallel()
	object := func(runs, points int64, byTier map[string]int64, starts ...string) knownvalue.Check {
		tiers := map[string]knownvalue.Check{}
		for _, tier := range []string{"hourly", "daily", "weekly", "monthly", "yearly"} {
			tiers[tier] = knownvalue.Int64Exact(byTier[tier])
		}
		return knownvalue.ObjectExact(map[string]knownvalue.Check{
			"runs": knownvalue.Int64Exact(runs), "points": knownvalue.Int64Exact(points), "starts": texts(starts...), "by_tier": knownvalue.MapExact(tiers),
		})
	}
	providertest.Run(t,
		resource.TestStep{
			Config:            output(`provider::pgbackup::kept_points({ keep_daily = 2, keep_monthly = 2 }, "0 2 * * *", 90)`),
			ConfigStateChecks: is(object(90, 3, map[string]int64{"daily": 2, "monthly": 1}, "2025-12-31T02:00:00Z", "2025-12-30T02:00:00Z", "2025-11-30T02:00:00Z")),
		},
		resource.TestStep{
			Config:            output(`provider::pgbackup::kept_points(tomap({ keep_last = "1" }), "@daily", 7, "2026-03-01T12:00:00Z")`),
			ConfigStateChecks: is(object(7, 1, map[string]int64{"daily": 1}, "2026-03-01T00:00:00Z")),
		},
		resource.TestStep{ // no run falls into these days
			Config:            output(`provider::pgbackup::kept_points({ keep_last = 1 }, "@yearly", 7)`),
			ConfigStateChecks: is(object(0, 0, nil)),
		},
		// As the policy of the same configuration has it: one object for both.
		resource.TestStep{
			Config:            "locals {\n  rules = { keep_daily = 30, keep_weekly = 12, keep_within = \"3d\" }\n}\n" + output(`provider::pgbackup::kept_points(local.rules, "0 */6 * * *", 365).points`),
			ConfigStateChecks: is(knownvalue.Int64Exact(46)),
		},
	)
}

func TestAccKeptPoints_ofRulesThatAreNotKnownYetIsNotKnownYet(t *testing.T) {
	t.Parallel()
	providertest.Run(t, resource.TestStep{
		Config: head + "resource \"terraform_data\" \"days\" {\n  input = 4\n}\n" +
			"output \"it\" {\n  value = provider::pgbackup::kept_points({ keep_daily = terraform_data.days.output, keep_last = 1 }, \"@daily\", 30).points\n}\n",
		ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectUnknownOutputValue("it")}},
		ConfigStateChecks: is(knownvalue.Int64Exact(4)),
	})
}

func TestAccKeptPoints_saysWhichArgumentIsWrongAndWhatIsRight(t *testing.T) {
	t.Parallel()
	for arguments, want := range map[string]string{
		`{ keep_dialy = 3 }, "@daily", 3`:                    `"retention" parameter: "keep_dialy" is not a rule; did you mean "keep_daily"?`,
		`{ keep_within = 14, keep_last = 1.5 }, "@daily", 3`: `give a length of time in quotes`,
		`{}, "@daily", 3`:                                    `retention keeps nothing`,
		`"30d", "@daily", 3`:                                 `give an object of rules`,
		`{ keep_last = -2 }, "@daily", 3`:                    `keep_last is -2`,
		`{ keep_last = 1 }, "0 24 * * *", 3`:                 `"cron" parameter: cron expression "0 24 * * *": hour "24": 24 is outside 0 to 23; the nearest is 23`,
		`{ keep_last = 1 }, "@daily", 0`:                     `"days" parameter: days is 0: give 1 to 36525; the nearest is 1`,
		`{ keep_last = 1 }, "* * * * *", 200`:                `more than 200000 runs`,
		`{ keep_last = 1 }, "@daily", 3, "2026-13-01"`:       `"until" parameter: until is "2026-13-01"`,
	} {
		t.Run(arguments, func(t *testing.T) {
			t.Parallel()
			providertest.Run(t, resource.TestStep{Config: output(fmt.Sprintf("provider::pgbackup::kept_points(%s)", arguments)), PlanOnly: true, ExpectError: providertest.Message(want)})
		})
	}
}
