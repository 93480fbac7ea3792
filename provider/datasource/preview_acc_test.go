package datasource_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

const retentionPreview = "pgbackup_retention_preview"

// declare writes a revision of policy prod: the first one as the provider does,
// others as somebody by hand.
func (f *fixture) declare(after int, keep retention.Keep, envelope policy.Envelope) {
	f.t.Helper()
	envelope.At = time.Now()
	document := policy.Document{Format: policy.Format, Name: "prod", Retention: keep}
	if after == 0 {
		envelope.Loss = &policy.Loss{To: document.Digest()}
	}
	if _, err := f.PutPolicyRevision(f.t.Context(), after, document, envelope); err != nil {
		f.t.Fatal(err)
	}
}

func TestAccRetentionPreview_saysWhatARotationUnderThePolicyWouldDo(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	shop := f.days("shop", 1, 5)
	blog := f.add("blog", day(2), repo.Manifest{})
	f.declare(0, retention.Keep{KeepDaily: 2}, policy.Envelope{})
	if err := f.Hold(t.Context(), shop[1], repo.Mark{At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	m, err := f.Manifest(t.Context(), blog)
	if err != nil {
		t.Fatal(err)
	}
	size := m.StoredSize()
	decision := func(ref repo.Ref, n int, tier knownvalue.Check, reason string) knownvalue.Check {
		return knownvalue.ObjectExact(map[string]knownvalue.Check{
			"id": knownvalue.StringExact(ref.ID), "source": knownvalue.StringExact(ref.Source), "kind": knownvalue.StringExact("logical"),
			"start": knownvalue.StringExact(day(n).Format(time.RFC3339)), "bytes": number(size), "tier": tier,
			"reasons": knownvalue.ListPartial(map[int]knownvalue.Check{0: knownvalue.StringExact(reason)}),
		})
	}
	daily := knownvalue.StringExact("daily")
	group := func(source string, keep, remove int64, now, after string, gapNow, gapAfter int64) knownvalue.Check {
		return knownvalue.ObjectExact(map[string]knownvalue.Check{
			"source": knownvalue.StringExact(source), "kind": knownvalue.StringExact("logical"), "keep_count": number(keep), "delete_count": number(remove),
			"oldest_restorable_now": knownvalue.StringExact(now), "oldest_restorable_after": knownvalue.StringExact(after),
			"gap_now_seconds": number(gapNow), "gap_after_seconds": number(gapAfter),
		})
	}
	config := data(retentionPreview, fmt.Sprintf("policy = %q", f.url()+"#prod"))
	providertest.Run(t,
		resource.TestStep{
			Config: config,
			ConfigStateChecks: expect(retentionPreview, map[string]knownvalue.Check{
				"policy_revision": number(1), "keep_count": number(4), "keep_bytes": number(4 * size), "delete_count": number(2), "delete_bytes": number(2 * size),
				"keep": knownvalue.ListExact([]knownvalue.Check{
					decision(blog, 2, daily, "daily 1 of 2 (2025-03-02)"),
					decision(shop[5], 5, daily, "daily 1 of 2 (2025-03-05)"), decision(shop[4], 4, daily, "daily 2 of 2 (2025-03-04)"),
					decision(shop[1], 1, knownvalue.Null(), "held"),
				}),
				"delete": knownvalue.ListExact([]knownvalue.Check{
					decision(shop[3], 3, knownvalue.Null(), "older than keep_daily 2 (back to 2025-03-04)"), decision(shop[2], 2, knownvalue.Null(), "older than keep_daily 2 (back to 2025-03-04)"),
				}),
				"groups": knownvalue.ListExact([]knownvalue.Check{
					group("blog", 1, 0, "2025-03-02T02:00:00Z", "2025-03-02T02:00:00Z", 0, 0),
					group("shop", 3, 2, "2025-03-01T02:00:00Z", "2025-03-01T02:00:00Z", 86400, 3*86400),
				}),
				"oldest_restorable": knownvalue.StringExact("2025-03-01T02:00:00Z"), "estimated_monthly_cost_usd": knownvalue.Null(), "warnings": knownvalue.ListExact(nil),
			}),
		},
		resource.TestStep{Config: config, ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}},
		resource.TestStep{
			Config: data(retentionPreview, fmt.Sprintf("policy = %q\n  source = \"shop\"\n  kind = \"logical\"\n  limit = 1", f.url()+"#prod")),
			ConfigStateChecks: expect(retentionPreview, map[string]knownvalue.Check{
				"keep": points(shop[5]), "keep_count": number(3), "delete": points(shop[3]), "delete_count": number(2), "delete_bytes": number(2 * size),
			}),
		},
	)
	if listed, err := f.List(t.Context(), repo.Filter{}); err != nil || len(listed) != 6 {
		t.Errorf("the preview left %d of 6 points, %v", len(listed), err)
	}
}

func TestAccRetentionPreview_triesRulesThatAreNotApplied(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	shop := f.days("shop", 1, 4)
	f.add("blog", day(1), repo.Manifest{Policy: "prod", PolicyRevision: 1})
	f.declare(0, retention.Keep{KeepDaily: 30}, policy.Envelope{})
	providertest.Run(t,
		resource.TestStep{
			Config: data(retentionPreview, fmt.Sprintf("repository = %q\n  retention = { keep_last = 1, keep_weekly = 2 }\n  timezone = \"Pacific/Auckland\"", f.url())),
			ConfigStateChecks: expect(retentionPreview, map[string]knownvalue.Check{
				// 4 March and, the last of its week, 2 March.
				"policy_revision": knownvalue.Null(), "keep_count": number(3), "delete": points(shop[3], shop[1]),
			}),
		},
		resource.TestStep{ // the ceiling leaves the newest good point of each
			Config:            data(retentionPreview, fmt.Sprintf("repository = %q\n  retention = { keep_daily = 7 }\n  expire_after = \"30d\"", f.url())),
			ConfigStateChecks: expect(retentionPreview, map[string]knownvalue.Check{"keep_count": number(2), "delete": points(shop[3], shop[2], shop[1]), "oldest_restorable": knownvalue.StringExact("2025-03-01T02:00:00Z")}),
		},
		resource.TestStep{ // as a local value that a policy may have too
			Config:            "locals {\n  rules = tomap({ keep_daily = \"2\" })\n}\n" + data(retentionPreview, fmt.Sprintf("repository = %q\n  retention = local.rules\n  source = \"shop\"", f.url())),
			ConfigStateChecks: expect(retentionPreview, map[string]knownvalue.Check{"delete": points(shop[2], shop[1])}),
		},
	)
}

func TestAccRetentionPreview_deletesNothingThatARotationWouldSpare(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	shop := f.days("shop", 1, 4)
	f.declare(0, retention.Keep{KeepDaily: 30}, policy.Envelope{})
	// A revision that nobody approved.
	f.declare(1, retention.Keep{KeepDaily: 1}, policy.Envelope{})
	config := data(retentionPreview, fmt.Sprintf("policy = %q", f.url()+"#prod"))
	providertest.Run(t,
		resource.TestStep{
			Config:            config + "output \"warned\" {\n  value = length(data.pgbackup_retention_preview.it.warnings) > 0\n}\n",
			ConfigStateChecks: append(is("warned", knownvalue.Bool(true)), expect(retentionPreview, map[string]knownvalue.Check{"policy_revision": number(2), "keep_count": number(4), "delete": points()})...),
		},
		resource.TestStep{
			PreConfig: func() { f.damage(shop[2]) },
			Config:    data(retentionPreview, fmt.Sprintf("repository = %q\n  retention = { keep_daily = 1 }", f.url())),
			ConfigStateChecks: expect(retentionPreview, map[string]knownvalue.Check{
				"keep_count": number(4), "delete": points(), "warnings": knownvalue.ListSizeExact(1),
			}),
		},
		resource.TestStep{
			PreConfig: func() {
				if err := f.RetirePolicy(t.Context(), "prod", policy.Envelope{At: time.Now()}); err != nil {
					t.Fatal(err)
				}
			},
			Config: config,
			ConfigStateChecks: expect(retentionPreview, map[string]knownvalue.Check{
				"keep_count": number(4), "delete_count": number(0), "policy_revision": number(3),
				"warnings": knownvalue.ListExact([]knownvalue.Check{knownvalue.StringExact(`policy "prod" is retired: nothing is rotated`)}),
			}),
		},
	)
}

func TestAccRetentionPreview_ofAnEncryptedRepositoryNeedsNoKey(t *testing.T) {
	t.Parallel()
	f := newSealed(t, seal.Local{Key: seal.NewKey()})
	shop := f.days("shop", 1, 3)
	f.declare(0, retention.Keep{KeepDaily: 1}, policy.Envelope{})
	providertest.Run(t,
		resource.TestStep{
			Config:            data(retentionPreview, fmt.Sprintf("policy = %q", f.url()+"#prod")),
			ConfigStateChecks: expect(retentionPreview, map[string]knownvalue.Check{"keep": points(shop[3]), "delete": points(shop[2], shop[1])}),
		},
		resource.TestStep{
			Config:            data(recoveryPoints, fmt.Sprintf("repository = %q", f.url())),
			ConfigStateChecks: expect(recoveryPoints, map[string]knownvalue.Check{"points": points(shop[3], shop[2], shop[1])}),
		},
	)
}

func TestAccRetentionPreview_ofAPolicyThatIsDeclaredInTheSameApply(t *testing.T) {
	t.Parallel()
	config := providertest.Repository(t.TempDir()) +
		"resource \"pgbackup_policy\" \"prod\" {\n  name = \"prod\"\n  repository = pgbackup_repository.main.id\n  retention = { keep_daily = 3 }\n}\n" +
		data(retentionPreview, "policy = pgbackup_policy.prod.id\n  depends_on = [pgbackup_policy.prod]")
	providertest.Run(t, resource.TestStep{
		Config:            config,
		ConfigStateChecks: expect(retentionPreview, map[string]knownvalue.Check{"policy_revision": number(1), "keep_count": number(0), "oldest_restorable": knownvalue.Null(), "groups": knownvalue.ListExact(nil)}),
	})
}

func TestAccRetentionPreview_estimatesTheCostAndSaysByWhichPrices(t *testing.T) {
	s3 := testenv.S3(t)
	for _, pair := range s3.Env() {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	url := fmt.Sprintf("s3://%s/prod?endpoint=%s&path_style=true&region=%s", s3.Bucket, s3.Endpoint, s3.Region)
	provider := func(lines string) string {
		return fmt.Sprintf("provider \"pgbackup\" {\n  region = %q\n  endpoints = { s3 = %q }\n  %s\n}\n", s3.Region, s3.Endpoint, lines)
	}
	repository := fmt.Sprintf("resource \"pgbackup_repository\" \"main\" {\n  force_destroy = true\n  s3 = {\n    create_bucket = false\n    bucket = %q\n    prefix = \"prod\"\n  }\n}\n", s3.Bucket)
	preview := data(retentionPreview, "repository = pgbackup_repository.main.id\n  retention = { keep_daily = 1 }")
	priced := func(by string) knownvalue.Check {
		return knownvalue.ObjectExact(map[string]knownvalue.Check{"now": knownvalue.NotNull(), "after": knownvalue.NotNull(), "prices": knownvalue.StringRegexp(regexp.MustCompile(by))})
	}
	providertest.Run(t,
		resource.TestStep{Config: provider("") + repository},
		resource.TestStep{
			PreConfig: func() {
				r := providertest.Open(t, url)
				for n := range 3 {
					providertest.AddPointAt(t, r, "shop", day(n+1))
				}
			},
			Config: provider("") + repository + preview,
			ConfigStateChecks: expect(retentionPreview, map[string]knownvalue.Check{
				"delete_count": number(2), "estimated_monthly_cost_usd": priced("for comparison: the bucket is not AWS's"),
			}),
		},
		resource.TestStep{
			Config: provider("storage_prices_usd = { STANDARD = 10 }") + repository + preview,
			ConfigStateChecks: expect(retentionPreview, map[string]knownvalue.Check{
				"estimated_monthly_cost_usd": priced("as configured: STANDARD"),
			}),
		},
	)
}

func TestAccRetentionPreview_mistakesAreFoundAtTheirAttribute(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for name, c := range map[string]struct{ lines, want string }{
		"nothing":            {"", "Give the id of a policy, or a repository and retention."},
		"both":               {"policy = \"file:///x#p\"\n repository = \"file:///x\"", "The policy names its repository already"},
		"no rules":           {`repository = "file:///x"`, "Give the rules to try on the repository"},
		"rules of a policy":  {"policy = \"file:///x#p\"\n retention = { keep_daily = 1 }", "To try other rules, give repository and retention"},
		"ceiling":            {"policy = \"file:///x#p\"\n expire_after = \"30d\"", "The policy says it already"},
		"mistyped rule":      {"repository = \"file:///x\"\n retention = { keep_dialy = 1 }", `did you mean "keep_daily"?`},
		"keeps nothing":      {"repository = \"file:///x\"\n retention = {}", "retention keeps nothing"},
		"short ceiling":      {"repository = \"file:///x\"\n retention = { keep_yearly = 7 }\n expire_after = \"30d\"", "is shorter than keep_yearly"},
		"zone":               {"repository = \"file:///x\"\n retention = { keep_last = 1 }\n timezone = \"Berlin\"", `did you mean "Europe/Berlin"?`},
		"policy without one": {`policy = "file:///x"`, "names no policy"},
		"no such policy":     {fmt.Sprintf("policy = %q", f.url()+"#prod"), `policy "prod" in`},
		"no repository":      {fmt.Sprintf("policy = %q", "file://"+t.TempDir()+"#prod"), "is policy right, and was the repository created?"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			providertest.Run(t, resource.TestStep{Config: data(retentionPreview, c.lines), PlanOnly: true, ExpectError: providertest.Message(c.want)})
		})
	}
}
