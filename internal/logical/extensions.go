package logical

import (
	"slices"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
)

// Extensions are those that an archive makes, by name, sorted: a server that it is
// restored to must have them.
func Extensions(toc *pgarchive.TOC) []string {
	var names []string
	for i := range toc.Entries {
		if e := &toc.Entries[i]; e.Desc == "EXTENSION" {
			names = append(names, e.Tag)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
