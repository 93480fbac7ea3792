package repo

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
)

// revisionClaim is policies/<policy>/<number>.claim: the right to write the
// revision of that number. The key of a revision ends in the digest of its
// content, so If-None-Match on that key alone would let two different documents
// both become revision 2.
//
// Of writers that decided upon the same revision one succeeds. Each claims a number
// and lists then. Who sees a claim above its own gives up; who sees a claim below
// waits until that one was written or given up. So of two that both write, the
// lower had listed before the higher claimed, and its claim, which it never gave
// up, was there when the higher one listed: that one waited, and saw its revision.
type revisionClaim struct {
	Format int       `json:"format"`
	Nonce  string    `json:"nonce"`
	At     time.Time `json:"at"`
	By     string    `json:"by,omitempty"`
}

const (
	// writeWithin is how long after its claim a revision may be written.
	writeWithin = 2 * time.Minute
	// claimDead is how old a claim without a revision must be, by the store's
	// clock, to be the one of a writer that died: well above writeWithin.
	claimDead = 5 * time.Minute
	// claimPatience is how long one waits for another writer.
	claimPatience = 10 * time.Second
)

func claimKey(name string, n int) string {
	return fmt.Sprintf("%s%06d.claim", policy.RevisionPrefix(name), n)
}

// BegunRevision is a revision that was claimed and is not there, although it would
// be the newest: it is being written, or its writer died, or the object was lost.
type BegunRevision struct {
	Number  int
	Claimed time.Time // by the store's clock
	At      time.Time // as its writer said; zero when that can not be read
	By      string
	Key     string // of the claim
}

// begun is the highest claim above the newest revision, nil when there is none.
func (n revisionNumbers) begun() *BegunRevision {
	number := n.highest()
	if number == n.newest() {
		return nil
	}
	claim := n.claims[number]
	return &BegunRevision{Number: number, Claimed: claim.Modified, Key: claim.Key}
}

// BegunRevision looks for a revision that was begun above the newest one; nil when
// there is none.
func (r *Repository) BegunRevision(ctx context.Context, name string) (*BegunRevision, error) {
	numbers, err := r.revisionKeys(ctx, name)
	if err != nil {
		return nil, err
	}
	begun := numbers.begun()
	if begun == nil {
		return nil, nil
	}
	// Who it was is told where it can be read: the claim alone says enough.
	if data, err := readSmall(ctx, r.store, begun.Key, maxRevision); err == nil {
		var claim revisionClaim
		if json.Unmarshal(data, &claim) == nil {
			begun.At, begun.By = claim.At, claim.By
		}
	}
	return begun, nil
}

// NewestRevision is the number of a policy's newest revision, 0 for none. It lists
// keys and reads nothing.
func (r *Repository) NewestRevision(ctx context.Context, name string) (int, error) {
	numbers, err := r.revisionKeys(ctx, name)
	return numbers.newest(), err
}

// writeRevision claims the next number and writes under it what was decided upon
// the revision of number upon, 0 for none.
func (r *Repository) writeRevision(ctx context.Context, rev policy.Revision, upon int) (policy.Revision, error) {
	name := rev.Document.Name
	began := time.Now()
	var err error
	if rev.Number, err = r.claimRevision(ctx, name, rev.Envelope); err != nil {
		return policy.Revision{}, err
	}
	data, err := rev.Encode()
	if err == nil {
		err = r.awaitTurn(ctx, name, rev.Number, upon)
	}
	if err != nil {
		return policy.Revision{}, errors.Join(err, r.withdraw(ctx, name, rev.Number))
	}
	writing, cancel := context.WithDeadlineCause(ctx, began.Add(writeWithin), fmt.Errorf("writing took more than %s since the claim %s", writeWithin, claimKey(name, rev.Number)))
	defer cancel()
	_, err = r.store.Put(writing, rev.Key(), data, objstore.PutOptions{Condition: objstore.Condition{IfAbsent: true}, ContentType: "application/json"})
	if errors.Is(err, objstore.ErrPrecondition) {
		// The answer to our own first attempt may have been lost on the way.
		if stored, readErr := readSmall(ctx, r.store, rev.Key(), maxRevision); readErr == nil && bytes.Equal(stored, data) {
			err = nil
		}
	}
	if err != nil {
		// The claim stays: nobody knows whether the revision came to be.
		return policy.Revision{}, fmt.Errorf("write revision %d of policy %q to %s: %w", rev.Number, name, r.URL(), err)
	}
	return r.inForce(ctx, rev, upon)
}

// inForce looks once more whether what was written is the newest revision, and
// follows the one it was decided upon.
func (r *Repository) inForce(ctx context.Context, rev policy.Revision, upon int) (policy.Revision, error) {
	name := rev.Document.Name
	numbers, err := r.revisionKeys(ctx, name)
	if err != nil {
		return policy.Revision{}, err
	}
	i := slices.Index(numbers.numbers, rev.Number)
	if i < 0 || numbers.newest() != rev.Number {
		return policy.Revision{}, r.overtaken(ctx, name, numbers.newest(), upon)
	}
	before := 0
	if i > 0 {
		before = numbers.numbers[i-1]
	}
	if before != upon {
		return policy.Revision{}, fmt.Errorf("policy %q in %s: %w: revision %d was written for a change upon %s, and follows %s now; look at what changed and plan again",
			name, r.URL(), ErrPolicyChanged, rev.Number, revisionText(upon), revisionText(before))
	}
	return r.readRevision(ctx, name, numbers.keys[i])
}

// awaitTurn returns when the revision of number n may be written upon another one.
// It is ErrPolicyChanged when somebody else was faster or is at it.
func (r *Repository) awaitTurn(ctx context.Context, name string, n, upon int) error {
	for began := time.Now(); ; {
		numbers, err := r.revisionKeys(ctx, name)
		if err != nil {
			return err
		}
		mine, there := numbers.claims[n]
		switch {
		case !there:
			return fmt.Errorf("policy %q in %s: the claim %s is gone: somebody removed it; apply again", name, r.URL(), claimKey(name, n))
		case numbers.newest() != upon:
			return r.overtaken(ctx, name, numbers.newest(), upon)
		case numbers.highest() > n:
			return fmt.Errorf("policy %q in %s: %w: another apply is writing revision %d at this moment; plan again", name, r.URL(), ErrPolicyChanged, numbers.highest())
		}
		ahead := 0
		for number, claim := range numbers.claims {
			if number > upon && number < n && mine.Modified.Sub(claim.Modified) < claimDead {
				ahead = max(ahead, number)
			}
		}
		if ahead == 0 {
			return nil
		}
		if time.Since(began) > r.patience {
			return fmt.Errorf("policy %q in %s: %w: another apply claimed revision %d %s ago and has not written it; if it is still at work, wait for it and plan again; if it died, apply again in %s",
				name, r.URL(), ErrPolicyChanged, ahead, mine.Modified.Sub(numbers.claims[ahead].Modified).Round(time.Second), claimDead)
		}
		if err := pause(ctx, min(r.patience/10, 100*time.Millisecond)); err != nil {
			return err
		}
	}
}

// overtaken is ErrPolicyChanged with what is there instead.
func (r *Repository) overtaken(ctx context.Context, name string, newest, upon int) error {
	if newest == 0 {
		return r.policyVanished(name, upon)
	}
	if current, err := r.CurrentPolicy(ctx, name); err == nil {
		return r.policyChanged(current, upon)
	}
	return fmt.Errorf("policy %q in %s: %w: revision %d is there, this change was made upon %s; plan again", name, r.URL(), ErrPolicyChanged, newest, revisionText(upon))
}

// withdraw gives up a claim under which nothing was written: left there, it would
// look like a revision that was lost.
func (r *Repository) withdraw(ctx context.Context, name string, n int) error {
	if err := r.store.Delete(context.WithoutCancel(ctx), claimKey(name, n)); err != nil {
		return fmt.Errorf("remove the claim %s, under which nothing was written and which keeps rotations from deleting: %w", claimKey(name, n), err)
	}
	return nil
}

// claimRevision takes the first number above every revision and claim.
func (r *Repository) claimRevision(ctx context.Context, name string, envelope policy.Envelope) (int, error) {
	numbers, err := r.revisionKeys(ctx, name)
	if err != nil {
		return 0, err
	}
	data, err := json.Marshal(revisionClaim{Format: policy.Format, Nonce: rand.Text(), At: envelope.At.UTC(), By: envelope.By})
	if err != nil {
		return 0, err
	}
	for n := numbers.highest() + 1; ; n++ {
		_, err := r.store.Put(ctx, claimKey(name, n), data, objstore.PutOptions{Condition: objstore.Condition{IfAbsent: true}, ContentType: "application/json"})
		if err == nil {
			return n, nil
		}
		if !errors.Is(err, objstore.ErrPrecondition) {
			return 0, fmt.Errorf("claim revision %d of policy %q in %s: %w", n, name, r.URL(), err)
		}
		stored, err := readSmall(ctx, r.store, claimKey(name, n), maxRevision)
		if errors.Is(notFound(err), ErrNotFound) {
			n-- // it was given up at this moment
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("read who claimed revision %d of policy %q: %w", n, name, err)
		}
		if bytes.Equal(stored, data) { // ours: only the answer was lost
			return n, nil
		}
	}
}
