package receive

import (
	"context"
	"errors"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// errTakenOver ends the work of a receiver whose lease another one has.
var errTakenOver = errors.New("another receiver has the lease")

// leasePause is how often a waiting receiver asks for the lease.
const leasePause = time.Second

func (r *receiver) takeLease(ctx context.Context, self repo.Holder) (*repo.Lease, context.Context, error) {
	return r.Repo.TakeLease(ctx, repo.WALLease(r.Source), repo.LeaseOptions{What: "wal receive", Self: self, TTL: r.LeaseTTL})
}

// waitForLease returns when this receiver is the one that works. first: nothing is
// known to work yet, so that an error is told instead of waited out.
func (r *receiver) waitForLease(ctx context.Context, first bool) (*repo.Lease, context.Context, error) {
	self := r.Self
	for told := false; ; {
		lease, held, err := r.takeLease(ctx, self)
		var locked *repo.LockedError
		switch {
		case err == nil:
			return lease, held, nil
		case ctx.Err() != nil:
			return nil, nil, context.Cause(ctx)
		case errors.As(err, &locked) && sameProcess(locked.Holder, self):
			self.Boot = "" // what could not be given back is waited for like that of a stranger
		case errors.As(err, &locked):
			if !told {
				r.Log.Info("another receiver is at work; waiting to take over", "source", r.Source, "holder", locked.Holder.String(), "since", locked.Since)
			}
			told, first = true, false
		case first:
			return nil, nil, err
		default:
			if r.seldom.due("lease", r.Now()) {
				r.Log.Warn("the lease can not be asked for, trying again", "error", err)
			}
		}
		if err := pause(ctx, leasePause); err != nil {
			return nil, nil, err
		}
	}
}

// keepLease takes the lease again when it is lost, and gives it back at the end. A
// repository that can not be reached loses it for everybody: what arrives meanwhile goes
// to the spool. Only when another receiver has it, stop is called.
func (r *receiver) keepLease(ctx context.Context, lease *repo.Lease, held context.Context, stop func(error)) {
	for {
		select {
		case <-held.Done():
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			r.release(lease)
			return
		}
		r.Log.Warn("the lease was lost, asking for it again; receiving goes on", "source", r.Source, "error", context.Cause(held))
		r.leaseLost.Store(true)
		var err error
		if lease, held, err = r.retakeLease(ctx, lease); err != nil {
			stop(err)
			return
		}
		r.leaseLost.Store(false)
	}
}

// retakeLease waits until the repository answers. What lies there is then most likely
// our own lost lease, which a living process seems to hold: it is given back first, and
// waited for like that of a stranger when that does not help.
func (r *receiver) retakeLease(ctx context.Context, lost *repo.Lease) (*repo.Lease, context.Context, error) {
	self, gaveBack := r.Self, false
	for {
		lease, held, err := r.takeLease(ctx, self)
		var locked *repo.LockedError
		switch {
		case err == nil:
			return lease, held, nil
		case ctx.Err() != nil:
			r.release(lost)
			return nil, nil, context.Cause(ctx)
		case errors.As(err, &locked) && !sameProcess(locked.Holder, r.Self):
			return nil, nil, errTakenOver
		case errors.As(err, &locked) && !gaveBack:
			r.release(lost)
			gaveBack = true
			continue
		case errors.As(err, &locked):
			self.Boot = "" // nobody can say of it whether it lives
		}
		if err := pause(ctx, leasePause); err != nil {
			return nil, nil, err
		}
	}
}

func sameProcess(a, b repo.Holder) bool {
	a.Nonce, b.Nonce = "", ""
	return a == b
}

func (r *receiver) release(lease *repo.Lease) {
	if err := lease.Release(); err != nil {
		r.Log.Warn("the lease could not be given back; others wait until it expires", "error", err)
	}
}
