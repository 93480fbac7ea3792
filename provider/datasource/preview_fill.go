package datasource

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/impact"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rotate"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/told"
)

// fill decides and puts the outcome into the attributes.
func (m *previewModel) fill(ctx context.Context, p *preview) error {
	out, err := p.outcome(ctx, m)
	if err != nil {
		return err
	}
	stranger := func(d rotate.Decision) bool { return d.ID == "" } // a file that is no point
	out.Keep, out.Delete = slices.DeleteFunc(out.Keep, stranger), slices.DeleteFunc(out.Delete, stranger)
	limit := cmp.Or(int(m.Limit.ValueInt64()), defaultLimit)
	m.Keep, m.KeepCount, m.KeepBytes = decided(out.Keep, limit)
	m.Delete, m.DeleteCount, m.DeleteBytes = decided(out.Delete, limit)
	for i := range m.Delete {
		m.Delete[i].Tier = types.StringNull() // that of a point that stays
	}
	m.Warnings = append([]string{}, out.Warnings...)
	if p.revision.Number > 0 {
		m.Revision = told.Number(p.revision.Number)
	}
	return m.fillImpact(p, out)
}

// decided is a list of decisions as attributes, by source and kind, newest first.
func decided(list []rotate.Decision, limit int) (shown []decisionModel, count, bytes types.Int64) {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b rotate.Decision) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Kind, b.Kind), b.Start.Compare(a.Start))
	})
	shown = []decisionModel{}
	total := int64(0)
	for i, d := range list {
		total += d.Bytes
		if i >= limit {
			continue
		}
		one := decisionModel{
			ID: types.StringValue(d.ID), Source: types.StringValue(d.Source), Kind: types.StringValue(d.Kind), Start: told.Moment(d.Start),
			Reasons: d.Reasons, Tier: some(d.Tier),
		}
		if d.Bytes > 0 {
			one.Bytes = types.Int64Value(d.Bytes)
		}
		shown = append(shown, one)
	}
	return shown, told.Number(len(list)), types.Int64Value(total)
}

// fillImpact tells how far back one can restore and what it costs: a rotation is
// a change from everything that is there to what it keeps.
func (m *previewModel) fillImpact(p *preview, out rotate.Outcome) error {
	facts := impact.Facts{AsOf: p.now, Old: &p.document, New: p.document, Prices: p.prices}
	upload := retention.Rules{Keep: p.document.Retention}.UploadTier()
	for _, list := range []struct {
		decisions []rotate.Decision
		kept      bool
	}{{out.Keep, true}, {out.Delete, false}} {
		for _, d := range list.decisions {
			now := impact.Fate{Kept: true, Tier: cmp.Or(d.Tier, upload)}
			after := now
			if !list.kept {
				after = impact.Fate{}
			}
			facts.Points = append(facts.Points, impact.Point{
				Source: d.Source, Kind: d.Kind, ID: d.ID, Start: d.Start, Bytes: d.Bytes, Restorable: d.Restorable, Before: now, After: after,
			})
		}
	}
	found, err := impact.Of(facts)
	if err != nil {
		return err
	}
	m.Groups = []groupModel{}
	var oldest time.Time
	for _, g := range found.Groups {
		if !g.OldestAfter.IsZero() && (oldest.IsZero() || g.OldestAfter.Before(oldest)) {
			oldest = g.OldestAfter
		}
		m.Groups = append(m.Groups, groupModel{
			Source: types.StringValue(g.Source), Kind: types.StringValue(g.Kind), Keep: told.Number(g.After), Delete: told.Number(g.Lost),
			OldestNow: told.Moment(g.OldestBefore), OldestAfter: told.Moment(g.OldestAfter), GapNowSeconds: told.Seconds(g.GapBefore), GapSeconds: told.Seconds(g.GapAfter),
		})
	}
	m.Oldest = told.Moment(oldest)
	if c := found.Cost; c != nil {
		m.Cost = &costModel{Now: told.Dollars(c.Before), After: told.Dollars(c.After), Prices: types.StringValue(c.Prices)}
	}
	return nil
}

// firstClause is the beginning of a warning, for its summary: Terraform folds
// warnings of one summary into one.
func firstClause(warning string) string {
	clause, _, _ := strings.Cut(warning, ":")
	clause, _, _ = strings.Cut(clause, ";")
	return clause
}
