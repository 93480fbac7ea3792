package statefile

import (
	"cmp"
	"maps"
	"slices"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
)

// What happened to a policy between two states.
const (
	Declared = "declared" // it was not there before
	Changed  = "changed"
	Moved    = "moved"   // the same policy under another address
	Removed  = "removed" // it is there no more
	Unclear  = "unclear" // one of the two can not be read
)

// Change is what became of one policy between two states.
type Change struct {
	Address string
	From    string // the address before, where it Moved
	Policy  string // its name
	What    string
	Changes []policy.Change // what differs; for Declared all that is set
	Problem error           // why it is Unclear
}

// Diff says what became of every policy between two states of one lineage, in the
// order of addresses. Policies that are the same are left out; a new spelling is
// the same.
func Diff(before, after State) []Change {
	var list []Change
	gone := map[string]string{} // id -> address
	for address, p := range before.Policies {
		if _, stays := after.Policies[address]; !stays && p.ID != "" {
			gone[p.ID] = address
		}
	}
	moved := map[string]bool{}
	for _, address := range slices.Sorted(maps.Keys(after.Policies)) {
		now := after.Policies[address]
		c := Change{Address: address, Policy: now.Document.Name}
		was, there := before.Policies[address]
		if from, ok := gone[now.ID]; !there && ok {
			was, there, c.From, c.What = before.Policies[from], true, from, Moved
			moved[from] = true
		}
		switch {
		case now.Problem != nil:
			c.What, c.Problem = Unclear, now.Problem
			if there && was.Problem != nil && c.From == "" {
				continue // as unclear as before
			}
		case !there:
			c.What, c.Changes = Declared, policy.Diff(policy.Document{}, now.Document)
		case was.Problem != nil:
			c.What, c.Problem = Unclear, was.Problem
		default:
			c.Changes = policy.Diff(was.Document, now.Document)
			if c.What == "" && len(c.Changes) == 0 {
				continue
			}
			c.What = cmp.Or(c.What, Changed)
		}
		list = append(list, c)
	}
	for _, address := range slices.Sorted(maps.Keys(before.Policies)) {
		if _, stays := after.Policies[address]; !stays && !moved[address] {
			list = append(list, Change{Address: address, Policy: before.Policies[address].Document.Name, What: Removed})
		}
	}
	return list
}

// Resources says, by address, which managed instances of any kind are in only one
// of two states, and which have other attributes.
func Resources(before, after State) (added, removed, changed []string) {
	for _, address := range slices.Sorted(maps.Keys(after.Resources)) {
		was, there := before.Resources[address]
		switch {
		case !there:
			added = append(added, address)
		case was != after.Resources[address]:
			changed = append(changed, address)
		}
	}
	for _, address := range slices.Sorted(maps.Keys(before.Resources)) {
		if _, stays := after.Resources[address]; !stays {
			removed = append(removed, address)
		}
	}
	return added, removed, changed
}
