package restore

import (
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// scope decides what of the backup is to be restored, as far as the backup alone
// tells.
func (r *run) scope() error {
	r.leftOut = map[int32]bool{}
	r.family = newFamily(r.toc)
	if !r.Select.Everything() {
		var err error
		if r.chosen, err = r.family.choose(r.Select); err != nil {
			return fmt.Errorf("restore a part of %s: %w", r.Ref, err)
		}
		if n := r.point.Totals.LargeObjects; n > 0 {
			r.result.leave(fmt.Sprintf("large objects (%d)", n), "they belong to no table; only a restore of everything brings them")
		}
	}
	if r.Isolated {
		r.isolate()
	}
	return nil
}

// wanted tells whether an entry is to be restored.
func (r *run) wanted(e *pgarchive.Entry) bool {
	return (r.chosen == nil || r.chosen[e.DumpID]) && !r.leftOut[e.DumpID]
}

// loads tells whether the data of an entry is a table's that is to be restored.
func (r *run) loads(e repo.Entry) bool {
	id := int32(e.DumpID)
	return !r.records[id].LargeObjects && r.wanted(r.family.byID[id])
}

func (r *run) loadsLargeObjects(e repo.Entry) bool {
	id := int32(e.DumpID)
	return r.records[id].LargeObjects && r.wanted(r.family.byID[id])
}

// leaveOut does not restore an entry and what belongs to it, and says why.
func (r *run) leaveOut(e *pgarchive.Entry, why string) {
	if !r.wanted(e) {
		return // nobody misses it
	}
	r.result.leave(describe(e), why)
	var drop func(id int32)
	drop = func(id int32) {
		r.leftOut[id] = true
		for _, member := range r.family.members[id] {
			drop(member)
		}
	}
	drop(e.DumpID)
}
