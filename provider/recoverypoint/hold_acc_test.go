package recoverypoint_test

import (
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

// operator holds the oldest point, as `pgbackup-runner hold` does, or lets it go.
func (k *kit) operator(mark func(*repo.Repository, repo.Ref, repo.Mark) error) {
	k.t.Helper()
	points := k.points()
	if err := mark(k.repo(), points[len(points)-1].Ref, repo.Mark{At: time.Now(), By: "ops@laptop", Why: "audit of March"}); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kit) holds() {
	k.t.Helper()
	k.operator(func(r *repo.Repository, ref repo.Ref, m repo.Mark) error { return r.Hold(k.t.Context(), ref, m) })
}

func (k *kit) releases() {
	k.t.Helper()
	k.operator(func(r *repo.Repository, ref repo.Ref, m repo.Mark) error { return r.Release(k.t.Context(), ref, m) })
}

// held says how many points are held.
func (k *kit) held(want int) {
	k.t.Helper()
	n := 0
	for _, p := range k.points() {
		if p.Held {
			n++
		}
	}
	if n != want {
		k.t.Errorf("%d points are held, wanted %d", n, want)
	}
}

func TestAccRecoveryPoint_doesNotEndAnOperatorsHold(t *testing.T) {
	for name, own := range map[string]string{"without a hold of its own": "", "above its own": "hold = true\n  "} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			config := k.config(own + "on_destroy = \"delete\"")
			refused := providertest.Message("by ops@laptop (audit of March), and is not deleted: run `pgbackup-runner release")
			providertest.Run(t, append([]resource.TestStep{
				{Config: config},
				{PreConfig: func() { k.newer(); k.holds() }, Config: config, ConfigPlanChecks: emptyPlan()},
				{Config: config, Destroy: true, ExpectError: refused},
				{ // nor does taking its own hold away end the other
					PreConfig: func() { k.counts(2, 2); k.held(1) },
					Config:    k.config("on_destroy = \"delete\""),
				},
				{PreConfig: func() { k.held(1) }, Config: k.config("on_destroy = \"delete\""), ConfigPlanChecks: emptyPlan()},
				{ // one that is to be held is; the hold stays the operator's
					Config: k.config("hold = true\n  on_destroy = \"delete\""),
				},
				{Config: k.config("hold = true\n  on_destroy = \"delete\""), Destroy: true, ExpectError: refused},
				{
					PreConfig: func() { k.held(1); k.releases() },
					Config:    k.config("hold = true\n  on_destroy = \"delete\""), ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
				},
				{PreConfig: func() { k.held(1) }, Config: k.config("hold = true\n  on_destroy = \"delete\""), ConfigPlanChecks: emptyPlan()},
			}, k.gone(1, 1)...)...)
		})
	}
}

func TestAccRecoveryPoint_releasedStaysHeldByAnOperator(t *testing.T) {
	k := newKit(t)
	config := k.config("hold = true")
	providertest.Run(t,
		resource.TestStep{Config: config},
		resource.TestStep{PreConfig: k.holds, Config: config, ConfigPlanChecks: emptyPlan()},
		resource.TestStep{Config: k.without()},
		resource.TestStep{PreConfig: func() { k.counts(1, 1); k.held(1); k.releases() }, Config: k.without()},
	)
}

// law 3
func TestAccRecoveryPoint_isNotDeletedWhenTheNewerSnapshotIsGone(t *testing.T) {
	k := newKit(t)
	config := k.config("on_destroy = \"delete\"")
	refused := providertest.Message("is the newest good recovery point of acme-prod@us-east-1 and is not deleted")
	providertest.Run(t, append([]resource.TestStep{
		{Config: config},
		{
			PreConfig: func() {
				k.newer()
				if err := k.API.DeleteSnapshot(t.Context(), k.snapshots()[0]); err != nil {
					t.Fatal(err)
				}
			},
			Config: config, Destroy: true, ExpectError: refused,
		},
		{PreConfig: func() { k.counts(2, 1); k.newer() }, Config: config},
	}, k.gone(2, 1)...)...)
}
