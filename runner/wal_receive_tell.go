package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/observe"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/receive"
)

// walPublishEvery is how often a receiver publishes its numbers: CloudWatch counts in
// minutes.
const walPublishEvery = time.Minute

// walTelling tells how a receiver stands. A receiver that waits for another one says
// nothing: the one at work does.
type walTelling struct {
	*app
	alive aliveFile
	last  atomic.Pointer[receive.State]
	line  time.Time // when it was last logged
	look  time.Time // when the gaps are counted again
}

func (a *app) newWALTelling() (*walTelling, error) {
	alive, err := newAliveFile()
	return &walTelling{app: a, alive: alive}, err
}

// report takes what the receiver says every few seconds.
func (t *walTelling) report(s receive.State) {
	t.last.Store(&s)
	now := t.now()
	if err := t.alive.touch(now); err != nil {
		t.log.Warn("whoever watches over this program takes it for dead", "error", err)
	}
	if now.Sub(t.line) >= walPublishEvery {
		t.line = now
		t.log.Info("receiving", "timeline", s.Timeline, "received", s.Received, "stored", s.Stored, "server", s.Server, "lag", s.Lag.Round(time.Millisecond).String(),
			"spooled", size(s.Spooled), "connected", s.Connected)
	}
}

// publishing publishes numbers where the job wants them, until it is stopped.
func (t *walTelling) publishing(ctx context.Context) (stop func()) {
	if t.job == nil || t.job.Metrics == "" {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(walPublishEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if s := t.last.Swap(nil); s != nil {
				if err := t.publish(ctx, *s); err != nil && ctx.Err() == nil {
					t.log.Warn("the lag was not published", "error", err)
				}
			}
		}
	})
	return func() {
		cancel()
		done.Wait()
	}
}

// publish sends how far behind the archive is, which an alarm watches.
func (t *walTelling) publish(ctx context.Context, s receive.State) error {
	n := observe.Numbers{At: t.now().UTC(), Policy: t.job.Policy, Job: t.job.Name, Run: map[metric.Name]float64{metric.WALLag: s.Lag.Seconds()}}
	if at, err := t.place(); err == nil {
		n.Repository = metric.Repository(at)
	}
	t.addGaps(ctx, s.Archive, &n)
	if t.job.Metrics == job.MetricsEMF {
		return observe.WriteEMF(t.screen, n)
	}
	ctx, cancel := context.WithTimeout(ctx, tellEnd)
	defer cancel()
	cfg, err := t.aws(ctx, "")
	if err != nil {
		return err
	}
	return observe.PutMetrics(ctx, cfg, n)
}
