package rotate

import (
	"errors"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// ErrUnsafe: a deletion that must never happen was refused. It means that the
// retention engine and this package disagree: a fault of the program, never of
// the data.
var ErrUnsafe = errors.New("refused to delete anything, please report this: the retention engine")

// guard holds law 3 and its neighbours without trusting the engine that decided:
// of every source and kind, each doomed point must have a verified one at its
// side that stays, started no earlier, and is not dated in the future.
//
//	kept V1, doomed V2 V3   fine when V1 is the newest
//	kept C1, doomed V2      refused: C1 is condemned, V2 was the last good one
func guard(listed []repo.Listed, doomed []Decision, now time.Time) error {
	if len(doomed) == 0 {
		return nil
	}
	goes := make(map[repo.Ref]bool, len(doomed))
	for _, d := range doomed {
		goes[d.ref] = true
	}
	type group struct{ source, kind string }
	newest := map[group]time.Time{}
	for _, l := range listed {
		g, start := group{l.Source, l.Kind}, l.Start
		if goes[l.Ref] || !l.Verified() || start.After(now.Add(retention.FutureSkew)) {
			continue
		}
		if start.After(newest[g]) {
			newest[g] = start
		}
	}
	for _, l := range listed {
		if !goes[l.Ref] {
			continue
		}
		stays, ok := newest[group{l.Source, l.Kind}]
		switch {
		case l.Held, l.Condemned, l.Problem != nil:
			return fmt.Errorf("%w would delete %s, which is held, condemned or unreadable", ErrUnsafe, l.Ref)
		case !ok || stays.Before(l.Start):
			return fmt.Errorf("%w would delete %s, the newest verified recovery point", ErrUnsafe, l.Ref)
		}
	}
	return nil
}
