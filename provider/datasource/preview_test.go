package datasource

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/cost"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rotate"
)

func TestTheCostIsThatOfTheClassesThePolicyWants(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)
	p := preview{now: now, prices: cost.Prices("us-east-1"), document: policy.Document{
		Format: policy.Format, Name: "prod", Retention: retention.Keep{KeepDaily: 1, KeepYearly: 7},
		Storage: policy.Storage{Transitions: []policy.Transition{{After: duration.MustParse("90d"), Class: "GLACIER"}}},
	}}
	point := func(id string, days int, tier string) rotate.Decision {
		return rotate.Decision{ID: id, Source: "shop", Kind: "logical", Start: now.AddDate(0, 0, -days), Bytes: 100 << 30, Tier: tier, Restorable: true}
	}
	out := rotate.Outcome{
		Keep: []rotate.Decision{point("new", 0, retention.TierDaily), point("old", 300, retention.TierYearly)}, Delete: []rotate.Decision{point("mid", 1, "")},
	}
	var m previewModel
	if err := m.fillImpact(&p, out); err != nil {
		t.Fatal(err)
	}
	// 100 GB in STANDARD at 0.023, and 100 GB in GLACIER at 0.0036.
	if now, after := m.Cost.Now.ValueFloat64(), m.Cost.After.ValueFloat64(); now != 4.96 || after != 2.66 {
		t.Errorf("%v now and %v after", now, after)
	}
	if m.Oldest.ValueString() != "2025-05-24T12:00:00Z" || len(m.Groups) != 1 || m.Groups[0].GapSeconds.ValueInt64() != 300*86400 {
		t.Errorf("oldest %s, %+v", m.Oldest, m.Groups)
	}
}

func TestAReadThatTakesTooLongSaysWhatToDo(t *testing.T) {
	t.Parallel()
	at := location.Location{Directory: "/var/backups/pg"}
	slow := func(ctx context.Context) error {
		<-ctx.Done()
		return errors.New("whatever the store makes of it")
	}
	err := within(t.Context(), time.Millisecond, at, slow)
	if err == nil || !strings.Contains(err.Error(), "file:///var/backups/pg was not read within 1ms: narrow it down by source and kind") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := within(ctx, time.Minute, at, slow); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := within(t.Context(), time.Minute, at, func(context.Context) error { return repo.ErrNotFound }); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("an error of its own: %v", err)
	}
}
