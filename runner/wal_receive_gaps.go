package main

import (
	"context"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/observe"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/standing"
)

// walLookEvery is how often a receiver counts the gaps of its archive, and walLookLimit
// how long that may take: it lists all of it.
const (
	walLookEvery = time.Hour
	walLookLimit = 5 * time.Minute
)

// addGaps adds the number of gaps from time to time. What cannot be counted is not
// published, and an alarm stays as it is.
func (t *walTelling) addGaps(ctx context.Context, at repo.WALArchive, n *observe.Numbers) {
	if t.opened == nil || n.At.Before(t.look) {
		return
	}
	t.look = n.At.Add(walLookEvery)
	ctx, cancel := context.WithTimeout(ctx, walLookLimit)
	defer cancel()
	survey, err := archive.Look(ctx, t.opened, at, archive.Options{})
	if err != nil {
		t.log.Warn("the gaps of the archive were not counted", "error", err)
		return
	}
	n.Run[metric.WALGaps] = float64(len(standing.Judge(standing.Input{Survey: survey, Now: n.At, Mode: job.WALReceive}).Gaps))
}
