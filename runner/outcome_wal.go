package main

import (
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
)

// walSeen is how the archive of a server's WAL stands.
type walSeen struct {
	lag  *time.Duration // since the newest archived WAL was written; nil is not known
	gaps int            // since the oldest base backup that is kept
}

// sawWAL notes what a look at the archive found, for those who are told.
func (a *app) sawWAL(lag *time.Duration, gaps int) {
	a.note(func(o *outcome) { o.wal = &walSeen{lag, gaps} })
}

// walNumbers adds what a look at the archive found. What was not found out is not
// published: that is what alarms notice.
func (o outcome) walNumbers(run map[metric.Name]float64) {
	if o.wal == nil {
		return
	}
	run[metric.WALGaps] = float64(o.wal.gaps)
	if o.wal.lag != nil {
		run[metric.WALLag] = o.wal.lag.Seconds()
	}
}
