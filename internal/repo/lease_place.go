package repo

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// TakeLeaseAt takes a lease on something else than a source of a repository: key
// is where it lies in the store, name what it is for, told to whoever comes
// second. It is the same protocol as TakeLease's, with the same errors.
func TakeLeaseAt(ctx context.Context, store objstore.Store, key, name string, opts LeaseOptions, log *slog.Logger) (*Lease, context.Context, error) {
	if opts.TTL <= 0 {
		opts.TTL = LeaseTTL
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	now := time.Now().UTC()
	opts.Self.Nonce = rand.Text()
	l := &Lease{
		store: store, key: key, ttl: opts.TTL, log: log, stop: make(chan struct{}),
		doc: leaseDocument{Format: 1, Holder: opts.Self, What: opts.What, Taken: now, Renewed: now},
	}
	if err := l.take(ctx, name, opts.NoWait); err != nil {
		return nil, nil, err
	}
	l.ctx, l.lost = context.WithCancelCause(ctx)
	l.done.Go(l.hold)
	return l, l.ctx, nil
}
