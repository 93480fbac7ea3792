package rotate

import (
	"context"
	"fmt"
	"maps"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// checkData makes sure that every good point that stays still has its data: the
// rules rely on it when they let others go. One that has not protects its source
// as an unreadable manifest does. Only sources that would lose points are looked
// at.
func (opts Options) checkData(ctx context.Context, listed []repo.Listed, out *Outcome) error {
	going := map[string]map[repo.Ref]bool{}
	for _, d := range out.Delete {
		if going[d.Source] == nil {
			going[d.Source] = map[repo.Ref]bool{}
		}
		going[d.Source][d.ref] = true
	}
	for source, doomed := range going {
		var staying []repo.Listed
		for _, l := range listed {
			if l.Source == source && l.Verified() && l.Deleted.IsZero() && !doomed[l.Ref] {
				staying = append(staying, l)
			}
		}
		missing, err := opts.Repo.MissingData(ctx, source, staying)
		if err != nil {
			return err
		}
		for ref, problem := range missing {
			out.warn(source, fmt.Sprintf("nothing of %s is deleted: %s is %v; `pgbackup-runner verify %s` condemns it, and rotation goes on without it", source, ref, problem, ref.ID))
		}
		if len(missing) > 0 {
			out.spare(source, "nothing of this source is deleted while a point that stays lacks its data")
		}
	}
	return nil
}

// checkStanding looks at the snapshots in RDS of sources that would lose some, once
// for all of a source. A point whose snapshot is gone or failed is decided about like
// a condemned one, here and in what follows: it takes no slot, is nobody's last good
// one, and stays until somebody looks. What cannot be seen deletes nothing. The rules
// are applied again until all they keep stands:
//
//	keep-last 1:  new (gone)  old      keeps new, deletes old
//	new set aside:            old      keeps old
//
// Points that go anyway may go without their snapshots.
func (opts Options) checkStanding(ctx context.Context, listed []repo.Listed, f repo.Filter, out Outcome) (Outcome, error) {
	if opts.Standing == nil { // then delete refuses
		return out, nil
	}
	losing := map[string]bool{}
	for _, d := range out.Delete {
		losing[d.Source] = losing[d.Source] || d.Kind == repo.KindRDSSnapshot
	}
	points := map[string][]*repo.Manifest{}
	for i := range listed {
		if l := &listed[i]; losing[l.Source] && l.Kind == repo.KindRDSSnapshot && l.Verified() && l.Manifest != nil && l.Deleted.IsZero() {
			points[l.Source] = append(points[l.Source], l.Manifest)
		}
	}
	bad, unseen := map[repo.Ref]error{}, map[string]error{}
	for source, of := range points {
		found, err := opts.Standing(ctx, of)
		if ended := context.Cause(ctx); err != nil && ended != nil {
			return out, ended
		}
		maps.Copy(bad, found)
		if err != nil {
			unseen[source] = err
		}
	}
	for setAside(listed, bad, out.Delete) {
		out = opts.byRules(listed, f)
	}
	out.tellFallen(listed, bad)
	for source, err := range unseen {
		out.warn(source, fmt.Sprintf("no snapshot of %s is deleted: whether those that stay are there could not be seen: %v", source, err))
		out.spareIf(keptForNow, func(d Decision) string {
			if d.Source == source && d.Kind == repo.KindRDSSnapshot {
				return "not deleted: whether the snapshots that stay are there could not be seen"
			}
			return ""
		})
	}
	return out, nil
}

// setAside condemns, for this decision, the bad points that are not doomed, and tells
// whether there were any more.
func setAside(listed []repo.Listed, bad map[repo.Ref]error, doomed []Decision) (more bool) {
	goes := make(map[repo.Ref]bool, len(doomed))
	for _, d := range doomed {
		goes[d.ref] = true
	}
	for i := range listed {
		if l := &listed[i]; bad[l.Ref] != nil && !l.Condemned && !goes[l.Ref] {
			l.Condemned, more = true, true
		}
	}
	return more
}

// tellFallen says of the bad points that stay what they lack.
func (o *Outcome) tellFallen(listed []repo.Listed, bad map[repo.Ref]error) {
	fallen := map[repo.Ref]bool{}
	for i := range listed {
		if l := &listed[i]; l.Condemned && bad[l.Ref] != nil {
			fallen[l.Ref] = true
			o.warn(l.Source, fmt.Sprintf("%s counts for nothing: it is %v; `pgbackup-runner verify %s` condemns it", l.Ref, bad[l.Ref], l.ID))
		}
	}
	for i := range o.Keep {
		if d := &o.Keep[i]; fallen[d.ref] {
			*d = d.kept(d.keeper, bad[d.ref].Error())
		}
	}
}
