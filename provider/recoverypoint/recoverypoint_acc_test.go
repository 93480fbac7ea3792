package recoverypoint_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	awsrds "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rotate"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/rdstest"
)

const address = "pgbackup_recovery_point.release"

// kit is a repository in a directory beside an account with a database.
type kit struct {
	*rdstest.World
	t   *testing.T
	dir string
}

func newKit(t *testing.T) *kit { return &kit{World: rdstest.New(t), t: t, dir: t.TempDir() + "/repo"} }

func (k *kit) config(lines string) string {
	return k.Provider() + providertest.Repository(k.dir, "force_destroy = true") +
		"resource \"pgbackup_policy\" \"prod\" {\n  name = \"prod\"\n  repository = pgbackup_repository.main.id\n  retention = {\n    keep_last = 1\n  }\n}\n" +
		"resource \"pgbackup_recovery_point\" \"release\" {\n  rds_instance = \"" + rdstest.Instance + "\"\n  policy = pgbackup_policy.prod.id\n  " + lines + "\n}\n"
}

// without has no recovery point any more. (The repository takes its snapshots with
// it, when it is destroyed by force.)
func (k *kit) without() string {
	return strings.Split(k.config(""), "resource \"pgbackup_recovery_point\"")[0]
}

// gone are steps that destroy the point alone: then so many points and snapshots are
// left.
func (k *kit) gone(points, snapshots int) []resource.TestStep {
	return []resource.TestStep{{Config: k.without()}, {PreConfig: func() { k.counts(points, snapshots) }, Config: k.without(), ConfigPlanChecks: emptyPlan()}}
}

func (k *kit) repo() *repo.Repository { return providertest.Open(k.t, "file://"+k.dir) }

func (k *kit) points() []repo.Listed {
	k.t.Helper()
	points, err := k.repo().List(k.t.Context(), repo.Filter{Kind: rds.Kind})
	if err != nil {
		k.t.Fatal(err)
	}
	return points
}

func (k *kit) snapshots() []awsrds.Snapshot {
	k.t.Helper()
	all, err := k.API.Snapshots(k.t.Context(), awsrds.Query{Target: awsrds.Target{ID: rdstest.Instance}, Type: awsrds.Manual})
	if err != nil {
		k.t.Fatal(err)
	}
	return all
}

func (k *kit) counts(points, snapshots int) {
	k.t.Helper()
	if p, s := len(k.points()), len(k.snapshots()); p != points || s != snapshots {
		k.t.Errorf("%d points and %d snapshots, wanted %d and %d", p, s, points, snapshots)
	}
}

// newer takes a snapshot as a schedule does.
func (k *kit) newer() {
	k.t.Helper()
	time.Sleep(1100 * time.Millisecond) // points order by the second
	r := k.repo()
	if _, err := rds.Take(k.t.Context(), rds.Options{Repo: r, RDS: k.API, Target: awsrds.Target{ID: rdstest.Instance}, Policy: "prod", Self: repo.Self()}); err != nil {
		k.t.Fatal(err)
	}
}

// rotate keeps the last one, as the policy says.
func (k *kit) rotate() {
	k.t.Helper()
	r := k.repo()
	rules := retention.Rules{}
	rules.KeepLast = 1
	clients := func(context.Context, string) (*awsrds.Client, error) { return k.API, nil }
	if _, err := rotate.Run(k.t.Context(), rotate.Options{Repo: r, Rules: rules, Now: time.Now(), Self: repo.Self(), Policy: "prod", Release: rds.Release(clients, r, nil), Standing: rds.Standing(clients)}); err != nil {
		k.t.Fatal(err)
	}
}

func emptyPlan() resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
}

func action(a plancheck.ResourceActionType) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, a)}}
}

func status(want string) []statecheck.StateCheck {
	return []statecheck.StateCheck{statecheck.ExpectKnownValue(address, tfjsonpath.New("status"), knownvalue.StringExact(want))}
}

func TestAccRecoveryPoint_lifeOfOne(t *testing.T) {
	k := newKit(t)
	v := func(version, more string) string {
		return k.config("triggers = {\n    release = \"" + version + "\"\n  }\n  tags = {\n    team = \"shop\"\n  }\n  " + more)
	}
	first := ""
	providertest.Run(t, append([]resource.TestStep{
		{Config: v("v1", "hold = true"), ConfigStateChecks: status("present")},
		{
			PreConfig: func() {
				k.counts(1, 1)
				p, s := k.points()[0], k.snapshots()[0]
				first = p.ID
				if !p.Held || p.Source != "acme-prod@us-east-1" || s.Tags["team"] != "shop" || s.Tags[rds.TagPoint] != p.ID || !awsapi.Ours(s.Tags) {
					t.Errorf("%+v, %+v", p, s)
				}
				if m, err := k.repo().Manifest(t.Context(), p.Ref); err != nil || m.Policy != "prod" || m.PolicyRevision != 1 {
					t.Errorf("%+v, %v", m, err)
				}
			},
			Config: v("v1", "hold = true"), ConfigPlanChecks: emptyPlan(),
		},
		{ // drift: somebody released it
			PreConfig: func() {
				if err := k.repo().Release(t.Context(), k.points()[0].Ref, repo.Mark{At: time.Now(), By: "ops@host"}); err != nil {
					t.Fatal(err)
				}
			},
			Config: v("v1", "hold = true"), ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
		},
		{
			ResourceName: address, ImportState: true, ImportStateVerify: true, ImportStateVerifyIgnore: []string{"triggers", "tags"},
			ImportStateIdFunc: func(*terraform.State) (string, error) { return "file://" + k.dir + "#" + first, nil },
		},
		{
			PreConfig: func() { time.Sleep(1100 * time.Millisecond) },
			Config:    v("v2", ""), ConfigPlanChecks: action(plancheck.ResourceActionReplace), ConfigStateChecks: status("present"),
		},
		{ // the one before was released to its policy, and is there
			PreConfig: func() {
				k.counts(2, 2)
				for _, p := range k.points() {
					if p.Held {
						t.Errorf("%s is still held", p.ID)
					}
				}
				k.newer()
				k.rotate()
				k.counts(1, 1)
			},
			Config: v("v2", ""), ConfigPlanChecks: emptyPlan(), ConfigStateChecks: status("expired"),
		},
		{Config: v("v2", "hold = true"), ExpectError: providertest.Message("there is nothing to hold any more")},
		{
			PreConfig: func() { time.Sleep(1100 * time.Millisecond) },
			Config:    v("v3", ""), ConfigPlanChecks: action(plancheck.ResourceActionReplace), ConfigStateChecks: status("present"),
		},
		{ // somebody deleted the snapshot in RDS
			PreConfig: func() {
				k.counts(2, 2)
				if err := k.API.DeleteSnapshot(t.Context(), k.snapshots()[0]); err != nil {
					t.Fatal(err)
				}
			},
			Config: v("v3", ""), ConfigPlanChecks: emptyPlan(), ConfigStateChecks: status("missing"),
		},
		{
			PreConfig: func() { time.Sleep(1100 * time.Millisecond) },
			Config:    v("v4", "on_destroy = \"release\""), ConfigPlanChecks: action(plancheck.ResourceActionReplace),
		},
	}, k.gone(3, 2)...)...)
}

func TestAccRecoveryPoint_deletesTheSnapshotOnlyWhenAskedAndNeverTheLastGood(t *testing.T) {
	k := newKit(t)
	config := k.config("hold = true\n  on_destroy = \"delete\"")
	providertest.Run(t, append([]resource.TestStep{
		{Config: config},
		{Config: config, Destroy: true, ExpectError: providertest.Message("is the newest good recovery point of acme-prod@us-east-1 and is not deleted")},
		{
			PreConfig: func() {
				k.counts(1, 1)
				if !k.points()[0].Held {
					t.Error("it was released although it was not deleted")
				}
				k.newer()
				k.Refuse("DeleteDBSnapshot", "AccessDenied")
			},
			Config: config, Destroy: true, ExpectError: providertest.Message("allow this identity rds:DeleteDBSnapshot"),
		},
		{PreConfig: func() { k.counts(2, 2); k.Refuse("DeleteDBSnapshot", "") }, Config: config, ConfigPlanChecks: action(plancheck.ResourceActionUpdate)},
	}, k.gone(1, 1)...)...)
}

func TestAccRecoveryPoint_whatACrashLeftIsFinishedNotTakenTwice(t *testing.T) {
	k := newKit(t)
	config := k.config("triggers = {\n    release = \"v1\"\n  }")
	providertest.Run(t,
		resource.TestStep{PreConfig: func() { k.Refuse("CreateDBSnapshot", "AccessDenied") }, Config: config, ExpectError: providertest.Message("allow this identity rds:CreateDBSnapshot")},
		resource.TestStep{
			PreConfig: func() {
				k.Refuse("CreateDBSnapshot", "")
				k.After("CreateDBSnapshot", func() { k.Refuse("DescribeDBSnapshots", "AccessDenied") })
			},
			Config: config, ExpectError: providertest.Message("allow this identity rds:DescribeDBSnapshots"),
		},
		resource.TestStep{
			PreConfig: func() {
				k.Refuse("DescribeDBSnapshots", "")
				k.counts(0, 1)
			},
			Config: config, ConfigStateChecks: status("present"),
		},
		resource.TestStep{PreConfig: func() { k.counts(1, 1) }, Config: config, ConfigPlanChecks: emptyPlan()},
	)
}

func TestAccRecoveryPoint_mistakesAreFoundAtPlan(t *testing.T) {
	k := newKit(t)
	point := func(lines string) string {
		return k.Provider() + "resource \"pgbackup_recovery_point\" \"release\" {\n  " + lines + "\n}\n"
	}
	var steps []resource.TestStep
	for _, c := range [][2]string{
		{"repository = \"file:///x\"\n schedule = \"/etc/pgbackup/nightly.job.json\"", "run `pgbackup-runner backup --job /etc/pgbackup/nightly.job.json` there"},
		{"repository = \"file:///x\"\n schedule = \"nightly\"", "is no id of a pgbackup_schedule"},
		{"repository = \"file:///x\"", "rds_instance"},
		{"rds_instance = \"a\"", "policy"},
		{"rds_instance = \"a\"\n repository = \"file:///x\"\n policy = \"file:///y#prod\"", "policy is one of file:///y, repository is file:///x"},
		{"rds_instance = \"Rds:a\"\n repository = \"file:///x\"", "must be the identifier of an RDS instance"},
	} {
		steps = append(steps, resource.TestStep{Config: point(c[0]), PlanOnly: true, ExpectError: providertest.Message(c[1])})
	}
	providertest.Run(t, steps...)
}

func TestAccRDSSnapshots_tellsWhoseTheyAre(t *testing.T) {
	k := newKit(t)
	data := "data \"pgbackup_rds_snapshots\" \"all\" {\n  instance = \"" + rdstest.Instance + "\"\n  depends_on = [pgbackup_recovery_point.release]\n  %s\n}\n"
	sees := func(attribute string, want knownvalue.Check) statecheck.StateCheck {
		return statecheck.ExpectKnownValue("data.pgbackup_rds_snapshots.all", tfjsonpath.New(attribute), want)
	}
	providertest.Run(t,
		resource.TestStep{
			Config:            k.config("") + fmt.Sprintf(data, "type = \"manual\""),
			ConfigStateChecks: []statecheck.StateCheck{sees("total", knownvalue.Int64Exact(1)), sees("monthly_cost_usd_at_most", knownvalue.Float64Exact(1.9))},
		},
		resource.TestStep{
			PreConfig: func() {
				names := []string{}
				for _, s := range k.snapshots() {
					id, _ := rds.Point(s)
					names = append(names, s.Name+"="+id)
				}
				if !slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, "="+k.points()[0].ID) }) {
					t.Errorf("%v", names)
				}
			},
			Config: k.config("") + fmt.Sprintf(data, "limit = 1\n  available = true"), // with the automated one that every instance begins with
			ConfigStateChecks: []statecheck.StateCheck{
				sees("total", knownvalue.Int64Exact(2)), sees("snapshots", knownvalue.ListSizeExact(1)),
			},
		},
	)
}
