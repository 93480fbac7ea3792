package replication

import (
	"context"
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// History fetches the history file of a timeline, by name and contents. Timeline 1
// has none.
func (c *Conn) History(ctx context.Context, t pgwal.Timeline) (name string, data []byte, err error) {
	row, err := c.one(ctx, fmt.Sprintf("TIMELINE_HISTORY %d", uint32(t)))
	if err == nil && (len(row) != 2 || row[0] != pgwal.HistoryName(t)) {
		err = fmt.Errorf("the server answered with %.60q", row)
	}
	if err != nil {
		return "", nil, fmt.Errorf("fetch the history of timeline %s from %s: %w", t, c.target, err)
	}
	return row[0], []byte(row[1]), nil
}
