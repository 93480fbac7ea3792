package repo

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
)

// maxRevision bounds a stored revision in bytes.
const maxRevision = 1 << 20

// ErrPolicyChanged: the policy is not at the revision the caller knew.
var ErrPolicyChanged = errors.New("the policy was changed by somebody else")

// DamagedRevisionError is a revision that is there and cannot be read. It wraps
// ErrDamaged and says how to get on.
type DamagedRevisionError struct {
	URL    string // of the repository
	Key    string // of the revision
	Policy string
	Number int
	Err    error // what is wrong with it
}

func (e *DamagedRevisionError) Error() string {
	return fmt.Sprintf("%s of %s is %v: %v; until that is put right nothing is rotated under policy %q. Restore this object from a version or a replica. "+
		"Or write the policy anew as the next revision: change it and apply, or declare it again unchanged with `terraform apply -replace=ADDRESS`; "+
		"deleting the object instead would put the revision before it in force again, so look at that one first",
		e.Key, e.URL, ErrDamaged, e.Err, e.Policy)
}

// Unwrap makes the error ErrDamaged and its cause.
func (e *DamagedRevisionError) Unwrap() []error { return []error{ErrDamaged, e.Err} }

// revisionClaim is policies/<policy>/<number>.claim: the right to write the
// revision of that number. The key of a revision ends in the digest of its
// content, so If-None-Match on that key alone would let two different documents
// both become revision 2. A run that dies after claiming leaves a gap in the
// numbers, nothing else.
type revisionClaim struct {
	Format int       `json:"format"`
	Nonce  string    `json:"nonce"`
	At     time.Time `json:"at"`
	By     string    `json:"by,omitempty"`
}

func claimKey(name string, n int) string {
	return fmt.Sprintf("%s%06d.claim", policy.RevisionPrefix(name), n)
}

// CurrentPolicy reads the newest revision of a policy; one that is retired is
// returned too, with Envelope.Retired set. ErrNotFound when the policy never
// was. A newest revision that can not be read is a *DamagedRevisionError: an
// older one is never taken in its place.
func (r *Repository) CurrentPolicy(ctx context.Context, name string) (policy.Revision, error) {
	keys, _, err := r.revisionKeys(ctx, name)
	if err != nil {
		return policy.Revision{}, err
	}
	if len(keys) == 0 {
		return policy.Revision{}, fmt.Errorf("policy %q in %s: %w", name, r.URL(), ErrNotFound)
	}
	return r.readRevision(ctx, name, keys[len(keys)-1])
}

// Policies names every policy that has a revision, retired ones included, in
// alphabetical order.
func (r *Repository) Policies(ctx context.Context) ([]string, error) {
	var names []string
	for info, err := range r.store.List(ctx, policiesPrefix) {
		if err != nil {
			return nil, fmt.Errorf("list policies of %s: %w", r.URL(), err)
		}
		name, _, _, err := policy.ParseRevisionKey(info.Key)
		if err == nil && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// PutPolicyRevision makes document the policy's next revision. after is the
// number of the revision the caller decided upon, 0 for none or a retired one;
// when the policy has moved on since, nothing is written and the error is
// ErrPolicyChanged. A document that says the same as the current revision, in
// whatever spelling, writes none and returns the current one.
//
// A current revision that is damaged is superseded when it is the one of number
// after: the caller decided upon it before it was damaged, or says so on purpose.
// The damaged object stays where it is.
func (r *Repository) PutPolicyRevision(ctx context.Context, after int, document policy.Document, envelope policy.Envelope) (policy.Revision, error) {
	if err := document.Validate(); err != nil {
		return policy.Revision{}, err
	}
	current, err := r.CurrentPolicy(ctx, document.Name)
	var damaged *DamagedRevisionError
	switch {
	case errors.Is(err, ErrNotFound):
	case errors.As(err, &damaged) && damaged.Number == after:
	case err != nil:
		return policy.Revision{}, err
	case current.Number != after && (after != 0 || !current.Envelope.Retired):
		return policy.Revision{}, r.policyChanged(current, after)
	case !current.Envelope.Retired && !envelope.Retired && len(policy.Diff(current.Document, document)) == 0:
		return current, nil
	}
	return r.writeRevision(ctx, policy.Revision{Document: document, Envelope: envelope})
}

// RetirePolicy ends a policy: its last document is written once more as a
// retired revision, and the runner rotates nothing under it from then on. No
// recovery point is touched. Retiring what is retired, or never was, is done
// already.
func (r *Repository) RetirePolicy(ctx context.Context, name string, envelope policy.Envelope) error {
	current, err := r.CurrentPolicy(ctx, name)
	if errors.Is(err, ErrNotFound) || err == nil && current.Envelope.Retired {
		return nil
	}
	if err != nil {
		return err
	}
	envelope.Retired = true
	_, err = r.writeRevision(ctx, policy.Revision{Document: current.Document, Envelope: envelope})
	return err
}

func (r *Repository) policyChanged(current policy.Revision, after int) error {
	return fmt.Errorf("policy %q in %s: %w: revision %d was written %s by %s, this change was made upon revision %d; look at what changed and plan again",
		current.Document.Name, r.URL(), ErrPolicyChanged, current.Number, current.Envelope.At.Format(time.RFC3339), orUnknown(current.Envelope.By), after)
}

func orUnknown(by string) string {
	if by == "" {
		return "somebody unknown"
	}
	return by
}

// writeRevision claims the next number, writes under it, and looks whether it
// is the newest afterwards: of two writers at once the slower one must not
// believe that its document is in force.
func (r *Repository) writeRevision(ctx context.Context, rev policy.Revision) (policy.Revision, error) {
	name := rev.Document.Name
	var err error
	if rev.Number, err = r.claimRevision(ctx, name, rev.Envelope); err != nil {
		return policy.Revision{}, err
	}
	data, err := rev.Encode()
	if err != nil {
		return policy.Revision{}, err
	}
	_, err = r.store.Put(ctx, rev.Key(), data, objstore.PutOptions{Condition: objstore.Condition{IfAbsent: true}, ContentType: "application/json"})
	if errors.Is(err, objstore.ErrPrecondition) {
		// The answer to our own first attempt may have been lost on the way.
		if stored, readErr := readSmall(ctx, r.store, rev.Key(), maxRevision); readErr == nil && bytes.Equal(stored, data) {
			err = nil
		}
	}
	if err != nil {
		return policy.Revision{}, fmt.Errorf("write revision %d of policy %q to %s: %w", rev.Number, name, r.URL(), err)
	}
	current, err := r.CurrentPolicy(ctx, name)
	if err != nil {
		return policy.Revision{}, err
	}
	if current.Number != rev.Number {
		return policy.Revision{}, r.policyChanged(current, rev.Number)
	}
	return current, nil
}

// claimRevision takes the first number above every revision and claim.
func (r *Repository) claimRevision(ctx context.Context, name string, envelope policy.Envelope) (int, error) {
	_, highest, err := r.revisionKeys(ctx, name)
	if err != nil {
		return 0, err
	}
	nonce := rand.Text()
	data, err := json.Marshal(revisionClaim{Format: policy.Format, Nonce: nonce, At: envelope.At.UTC(), By: envelope.By})
	if err != nil {
		return 0, err
	}
	for n := highest + 1; ; n++ {
		_, err := r.store.Put(ctx, claimKey(name, n), data, objstore.PutOptions{Condition: objstore.Condition{IfAbsent: true}, ContentType: "application/json"})
		if err == nil {
			return n, nil
		}
		if !errors.Is(err, objstore.ErrPrecondition) {
			return 0, fmt.Errorf("claim revision %d of policy %q in %s: %w", n, name, r.URL(), err)
		}
		stored, err := readSmall(ctx, r.store, claimKey(name, n), maxRevision)
		if err != nil {
			return 0, fmt.Errorf("read who claimed revision %d of policy %q: %w", n, name, err)
		}
		if bytes.Equal(stored, data) { // ours: only the answer was lost
			return n, nil
		}
	}
}

// revisionKeys lists the keys of a policy's revisions, oldest first, and the
// highest number that is taken or claimed.
func (r *Repository) revisionKeys(ctx context.Context, name string) (keys []string, highest int, err error) {
	if err := policy.ValidateName(name); err != nil {
		return nil, 0, fmt.Errorf("policy: %w", err)
	}
	prefix := policy.RevisionPrefix(name)
	last := 0
	for info, err := range r.store.List(ctx, prefix) {
		if err != nil {
			return nil, 0, fmt.Errorf("list revisions of policy %q in %s: %w", name, r.URL(), err)
		}
		var n int
		if text, ok := strings.CutSuffix(strings.TrimPrefix(info.Key, prefix), ".claim"); ok {
			if _, err := fmt.Sscanf(text, "%06d", &n); err == nil {
				highest = max(highest, n)
			}
			continue
		}
		_, n, _, err := policy.ParseRevisionKey(info.Key)
		if err != nil {
			return nil, 0, fmt.Errorf("policy %q in %s: %w: %w; remove it if it is not pgbackup's", name, r.URL(), ErrDamaged, err)
		}
		if n == last {
			return nil, 0, fmt.Errorf("policy %q in %s: %w: %s and %s are both revision %d; keep the one its claim %s was made for", name, r.URL(), ErrDamaged, keys[len(keys)-1], info.Key, n, claimKey(name, n))
		}
		keys, last, highest = append(keys, info.Key), n, max(highest, n)
	}
	return keys, highest, nil
}

func (r *Repository) readRevision(ctx context.Context, name, key string) (policy.Revision, error) {
	_, n, _, err := policy.ParseRevisionKey(key)
	if err != nil {
		return policy.Revision{}, err
	}
	damaged := func(cause error) error {
		return &DamagedRevisionError{URL: r.URL(), Key: key, Policy: name, Number: n, Err: cause}
	}
	data, err := readSmall(ctx, r.store, key, maxRevision)
	switch {
	case errors.Is(err, ErrDamaged): // far too long to be one
		return policy.Revision{}, damaged(err)
	case err != nil:
		return policy.Revision{}, fmt.Errorf("read %s of %s: %w", key, r.URL(), err)
	}
	rev, err := policy.ParseRevision(data)
	switch {
	case errors.Is(err, policy.ErrNewerFormat):
		return policy.Revision{}, fmt.Errorf("%s of %s: %w: %w", key, r.URL(), ErrNewerFormat, err)
	case err != nil:
		return policy.Revision{}, damaged(err)
	}
	// Compared by number and name, not by the whole key: an older program may
	// have spelled the document, and so its digest, differently.
	if n != rev.Number || rev.Document.Name != name {
		return policy.Revision{}, damaged(fmt.Errorf("it says it is revision %d of policy %q", rev.Number, rev.Document.Name))
	}
	return rev, nil
}
