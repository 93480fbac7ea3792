package bucket

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/lifecycle"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// LeaseKey is where in the bucket the lease of its lifecycle rules lies. It is at
// the root, because repositories with different prefixes share the rules.
const LeaseKey = ".pgbackup/locks/lifecycle.json"

const (
	// patience bounds how long Apply waits for other writers to finish.
	patience = 5 * time.Minute
	// steady is how many reads in a row must show the rules: S3 answers from
	// more than one place, and the first may be ahead of the next.
	steady = 2
	// between two of these reads.
	between = 500 * time.Millisecond
)

// Apply makes the rules of owner exactly these; no rules removes them. Rules of
// others are not touched, and nothing is written when the rules are there
// already.
//
// S3 has no conditional write of a lifecycle document, so writers take turns by a
// lease in the bucket, for as long as it takes to read, write and see the rules.
// Who does not know the lease can still write in between: a CompetitorError is
// what is then found.
func (b *Bucket) Apply(ctx context.Context, owner lifecycle.Owner, rules []lifecycle.Rule) error {
	if _, _, changed, err := b.merged(ctx, owner, rules); err != nil || !changed {
		return err
	}
	lease, ctx, err := b.lease(ctx)
	if err != nil {
		return err
	}
	err = b.write(ctx, owner, rules)
	if released := lease.Release(); released != nil {
		// The rules are what counts; the next writer waits a minute longer.
		b.opts.Log.Warn("the lease of the lifecycle rules could not be given back", "bucket", b.name, "error", released)
	}
	return err
}

// Possible tells, without writing, whether the bucket has lifecycle rules and a
// place for these. What the server thinks of them only Apply finds out.
func (b *Bucket) Possible(ctx context.Context, owner lifecycle.Owner, rules []lifecycle.Rule) error {
	_, _, _, err := b.merged(ctx, owner, rules)
	return err
}

// write reads the rules once more, now under the lease, and replaces them.
func (b *Bucket) write(ctx context.Context, owner lifecycle.Owner, rules []lifecycle.Rule) error {
	raw, minimumSize, changed, err := b.merged(ctx, owner, rules)
	if err != nil || !changed {
		return err
	}
	after, err := b.parse(raw)
	if err != nil {
		return err
	}
	if after.Len() == 0 { // S3 takes no document without rules
		err = b.DeleteLifecycle(ctx)
	} else {
		err = b.PutLifecycle(ctx, raw, minimumSize)
	}
	if errors.Is(err, ErrRefused) && len(rules) > 0 {
		return fmt.Errorf("%w; these were %s", err, told(rules))
	}
	if err != nil {
		return err
	}
	return b.settle(ctx, owner, rules)
}

// merged is the document as it should be, and whether it is otherwise now.
func (b *Bucket) merged(ctx context.Context, owner lifecycle.Owner, rules []lifecycle.Rule) (raw []byte, minimumSize string, changed bool, err error) {
	now, minimumSize, err := b.GetLifecycle(ctx)
	if err != nil {
		return nil, "", false, err
	}
	c, err := b.parse(now)
	if err != nil {
		return nil, "", false, err
	}
	raw, changed, err = c.Merge(owner, rules)
	if err != nil {
		return nil, "", false, fmt.Errorf("lifecycle rules of bucket %s: %w", b.name, err)
	}
	return raw, minimumSize, changed, nil
}

// settle waits until the bucket shows the rules steadily.
func (b *Bucket) settle(ctx context.Context, owner lifecycle.Owner, rules []lifecycle.Rule) error {
	for seen, limit := 0, time.Now().Add(b.opts.Settle); ; {
		c, err := b.Lifecycle(ctx)
		if err != nil {
			return fmt.Errorf("the rules were written; whether they are there could not be seen: %w", err)
		}
		drift := lifecycle.Drift(rules, c.Own(owner))
		if seen++; len(drift) > 0 {
			seen = 0
		}
		if seen >= steady {
			return nil
		}
		if time.Now().After(limit) {
			if err := b.Competitor(c, rules); err != nil {
				return err
			}
			return fmt.Errorf("lifecycle rules of bucket %s were written, and after %s are not as written: %s; look who else changes them, and whether this server has such rules, then apply again", b.name, b.opts.Settle, strings.Join(drift, "; "))
		}
		if err := pause(ctx, between); err != nil {
			return err
		}
	}
}

// Competitor is the CompetitorError for an owner's rules that were written once and
// are no longer there, while rules that pgbackup did not write are and none of
// those it did, for whatever owner: who replaces all rules leaves none of them.
// nil when that is not so.
func (b *Bucket) Competitor(c lifecycle.Configuration, rules []lifecycle.Rule) error {
	foreign := c.Foreign()
	if len(foreign) == 0 || len(rules) == 0 || c.Len() > len(foreign) {
		return nil
	}
	e := &CompetitorError{Bucket: b.name, Seen: foreign}
	for _, r := range rules {
		e.Lost = append(e.Lost, r.ID)
	}
	return e
}

// lease waits for the right to change the rules. The context it gives ends when
// that right is lost.
func (b *Bucket) lease(ctx context.Context) (*repo.Lease, context.Context, error) {
	store, err := s3.Open(ctx, s3.Config{Bucket: b.name, Region: b.cfg.Region, Endpoint: b.opts.Endpoint, PathStyle: aws.Bool(b.opts.PathStyle), AWSConfig: &b.cfg})
	if err != nil {
		return nil, nil, err
	}
	retried := objstore.Retry(store, objstore.RetryOptions{Log: b.opts.Log})
	opts := repo.LeaseOptions{What: "change of them", Self: repo.Self()}
	for limit := time.Now().Add(patience); ; {
		lease, leased, err := repo.TakeLeaseAt(ctx, retried, LeaseKey, "the set of lifecycle rules of bucket "+b.name, opts, b.opts.Log)
		if err == nil || !errors.Is(err, repo.ErrLocked) || time.Now().After(limit) {
			return lease, leased, err
		}
		// A change takes a second or two. Those who wait must not all come back
		// at the same moment.
		if err := pause(ctx, between/2+rand.N(between)); err != nil {
			return nil, nil, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
