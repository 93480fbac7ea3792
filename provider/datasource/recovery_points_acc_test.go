package datasource_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

const recoveryPoints = "pgbackup_recovery_points"

func TestAccRecoveryPoints_listsThemNewestFirstWithTheirFacts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	older := f.add("shop", day(1), repo.Manifest{Policy: "prod", PolicyRevision: 3, Tier: "monthly"})
	blog := f.add("blog", day(2), repo.Manifest{})
	newest := f.add("shop", day(3), repo.Manifest{Tier: "daily"})
	if err := f.Hold(t.Context(), older, repo.Mark{At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	bytes := int64(0)
	for _, ref := range []repo.Ref{older, blog, newest} {
		m, err := f.Manifest(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		bytes += m.StoredSize()
	}
	full := func(ref repo.Ref, start time.Time, held bool, tier, policy, revision knownvalue.Check) knownvalue.Check {
		return knownvalue.ObjectExact(map[string]knownvalue.Check{
			"id": knownvalue.StringExact(ref.ID), "source": knownvalue.StringExact(ref.Source), "kind": knownvalue.StringExact("logical"),
			"start": knownvalue.StringExact(start.Format(time.RFC3339)), "end": knownvalue.StringExact(start.Add(time.Minute).Format(time.RFC3339)),
			"bytes": number(bytes / 3), "verified": knownvalue.Bool(true), "held": knownvalue.Bool(held),
			"tier": tier, "policy": policy, "policy_revision": revision, "problem": knownvalue.Null(),
		})
	}
	providertest.Run(t, resource.TestStep{
		Config: data(recoveryPoints, fmt.Sprintf("repository = %q", f.url())),
		ConfigStateChecks: expect(recoveryPoints, map[string]knownvalue.Check{
			"total": number(3), "bytes": number(bytes),
			"points": knownvalue.ListExact([]knownvalue.Check{
				full(newest, day(3), false, knownvalue.StringExact("daily"), knownvalue.Null(), knownvalue.Null()),
				full(blog, day(2), false, knownvalue.Null(), knownvalue.Null(), knownvalue.Null()),
				full(older, day(1), true, knownvalue.StringExact("monthly"), knownvalue.StringExact("prod"), number(3)),
			}),
		}),
	})
}

func TestAccRecoveryPoints_filters(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	shop, blog := f.days("shop", 1, 6), f.add("blog", day(4).Add(time.Hour), repo.Manifest{Tier: "weekly"})
	if err := f.Hold(t.Context(), shop[2], repo.Mark{At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := f.Condemn(t.Context(), shop[3], repo.Mark{At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	f.damage(shop[5])
	var steps []resource.TestStep
	for _, c := range []struct {
		lines string
		total int64
		want  []repo.Ref
	}{
		{`source = "shop"`, 6, []repo.Ref{shop[6], shop[5], shop[4], shop[3], shop[2], shop[1]}},
		{`source = "nobody"`, 0, nil},
		{`kind = "physical"`, 0, nil},
		{`held = true`, 1, []repo.Ref{shop[2]}},
		{`tier = "weekly"`, 1, []repo.Ref{blog}},
		{"tier = \"weekly\"\n  limit = 1", 1, []repo.Ref{blog}}, // older than what only a manifest rules out
		{`verified = false`, 1, []repo.Ref{shop[3]}},
		{`verified = true`, 5, []repo.Ref{shop[6], blog, shop[4], shop[2], shop[1]}},
		// One that turns out not to be good makes room for an older one.
		{"verified = true\n  limit = 3\n  source = \"shop\"", 4, []repo.Ref{shop[6], shop[4], shop[2]}},
		{"limit = 1\n  held = false", 6, []repo.Ref{shop[6]}},
		{"after = \"2025-03-02T02:00:00Z\"\n  before = \"2025-03-04T03:00:00+01:00\"", 2, []repo.Ref{shop[3], shop[2]}},
	} {
		steps = append(steps, resource.TestStep{
			Config:            data(recoveryPoints, fmt.Sprintf("repository = %q\n  %s", f.url(), c.lines)),
			ConfigStateChecks: expect(recoveryPoints, map[string]knownvalue.Check{"total": number(c.total), "points": points(c.want...)}),
		})
	}
	providertest.Run(t, steps...)
}

func TestAccRecoveryPoints_ofWhatCannotBeReadSayWhy(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.damage(f.add("shop", day(1), repo.Manifest{}))
	providertest.Run(t, resource.TestStep{
		Config: data(recoveryPoints, fmt.Sprintf("repository = %q", f.url())) + "output \"problem\" {\n  value = strcontains(data.pgbackup_recovery_points.it.points[0].problem, \"damaged\")\n}\n",
		ConfigStateChecks: append(is("problem", knownvalue.Bool(true)), expect(recoveryPoints, map[string]knownvalue.Check{
			"points": knownvalue.ListExact([]knownvalue.Check{knownvalue.ObjectPartial(map[string]knownvalue.Check{
				"verified": knownvalue.Bool(false), "end": knownvalue.Null(), "bytes": knownvalue.Null(),
			})}),
			"bytes": number(0),
		})...),
	})
}

func TestAccRecoveryPoints_ofARepositoryThatIsMadeInTheSameApplyAreReadThen(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	config := "resource \"terraform_data\" \"path\" {\n  input = \"" + path + "\"\n}\n" +
		strings.Replace(providertest.Repository(path), fmt.Sprintf("%q", path), "terraform_data.path.output", 1) +
		data(recoveryPoints, "repository = pgbackup_repository.main.id")
	providertest.Run(t,
		resource.TestStep{
			Config:            config,
			ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction("data."+recoveryPoints+".it", plancheck.ResourceActionRead)}},
			ConfigStateChecks: expect(recoveryPoints, map[string]knownvalue.Check{"total": number(0), "points": points()}),
		},
		resource.TestStep{Config: config, ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}},
	)
}

func TestAccRecoveryPoints_mistakesAreFoundAtTheirAttribute(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	for name, c := range map[string]struct{ lines, want string }{
		"no repository": {fmt.Sprintf("repository = %q", "file://"+empty), "is repository right, and was the repository created?"},
		"no directory":  {`repository = "file:///nonexistent/pgbackup"`, "/nonexistent/pgbackup"},
		"a path":        {`repository = "/var/backups"`, "write it as file:///var/backups"},
		"tier":          {"repository = \"file:///x\"\n tier = \"dayly\"", `value must be one of`},
		"after":         {"repository = \"file:///x\"\n after = \"yesterday\"", `"yesterday" is no moment: write it as "2026-03-01T02:00:00Z"`},
		"before":        {"repository = \"file:///x\"\n before = \"2026-02-30T00:00:00Z\"", "is no moment"},
		"limit":         {"repository = \"file:///x\"\n limit = 0", "must be between 1 and 10000"},
		"nothing":       {"", `"repository" is required`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			providertest.Run(t, resource.TestStep{Config: data(recoveryPoints, c.lines), PlanOnly: true, ExpectError: providertest.Message(c.want)})
		})
	}
}
