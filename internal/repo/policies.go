package repo

import (
	"context"
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

// CurrentPolicy reads the newest revision of a policy; one that is retired is
// returned too, with Envelope.Retired set. ErrNotFound when the policy never
// was. A newest revision that can not be read is a *DamagedRevisionError: an
// older one is never taken in its place.
func (r *Repository) CurrentPolicy(ctx context.Context, name string) (policy.Revision, error) {
	numbers, err := r.revisionKeys(ctx, name)
	if err != nil {
		return policy.Revision{}, err
	}
	if len(numbers.keys) == 0 {
		return policy.Revision{}, fmt.Errorf("policy %q in %s: %w", name, r.URL(), ErrNotFound)
	}
	return r.readRevision(ctx, name, numbers.keys[len(numbers.keys)-1])
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
// when the policy has moved on since, also while this writes, nothing is in force
// of it and the error is ErrPolicyChanged. A document that says the same as the
// current revision, in whatever spelling, writes none and returns the current one,
// unless a later revision was begun and is missing.
//
// A current revision that is damaged is superseded when it is the one of number
// after: the caller decided upon it before it was damaged, or says so on purpose.
// The damaged object stays where it is.
func (r *Repository) PutPolicyRevision(ctx context.Context, after int, document policy.Document, envelope policy.Envelope) (policy.Revision, error) {
	if err := document.Validate(); err != nil {
		return policy.Revision{}, err
	}
	numbers, err := r.revisionKeys(ctx, document.Name)
	if err != nil {
		return policy.Revision{}, err
	}
	if numbers.newest() == 0 {
		if after != 0 || envelope.Loss != nil && envelope.Loss.From != "" {
			return policy.Revision{}, r.policyVanished(document.Name, after)
		}
		return r.writeRevision(ctx, policy.Revision{Document: document, Envelope: envelope}, 0)
	}
	current, err := r.readRevision(ctx, document.Name, numbers.keys[len(numbers.keys)-1])
	var damaged *DamagedRevisionError
	switch {
	case errors.As(err, &damaged) && damaged.Number == after:
		return r.writeRevision(ctx, policy.Revision{Document: document, Envelope: envelope}, after)
	case err != nil:
		return policy.Revision{}, err
	case current.Number != after && (after != 0 || !current.Envelope.Retired):
		return policy.Revision{}, r.policyChanged(current, after)
	case !current.Envelope.Retired && !envelope.Retired && len(policy.Diff(current.Document, document)) == 0 && numbers.begun() == nil:
		return current, nil
	}
	if loss := envelope.Loss; loss != nil && loss.To != "" && (loss.From != current.StoredDigest() || loss.To != document.Digest()) {
		// Somebody replaced one revision by another of the same number, or retired
		// and declared the policy anew: what is lost was found out of another change.
		return policy.Revision{}, r.policyChanged(current, after)
	}
	return r.writeRevision(ctx, policy.Revision{Document: document, Envelope: envelope}, current.Number)
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
	_, err = r.writeRevision(ctx, policy.Revision{Document: current.Document, Envelope: envelope}, current.Number)
	return err
}

func (r *Repository) policyChanged(current policy.Revision, after int) error {
	return fmt.Errorf("policy %q in %s: %w: revision %d was written %s by %s, this change was made upon %s; look at what changed and plan again",
		current.Document.Name, r.URL(), ErrPolicyChanged, current.Number, current.Envelope.At.Format(time.RFC3339), orUnknown(current.Envelope.By), revisionText(after))
}

func (r *Repository) policyVanished(name string, after int) error {
	return fmt.Errorf("policy %q in %s: %w: it has no revision there, and this change was made upon revision %d, so it may be another repository than the one the policy was applied to; "+
		"correct the repository, or bring back the objects under %s, or declare the policy anew with `terraform apply -replace=ADDRESS`",
		name, r.URL(), ErrPolicyChanged, after, policy.RevisionPrefix(name))
}

func revisionText(n int) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprintf("revision %d", n)
}

func orUnknown(by string) string {
	if by == "" {
		return "somebody unknown"
	}
	return by
}

// revisionNumbers is what a listing tells of a policy's revisions.
type revisionNumbers struct {
	keys    []string        // of the revisions, oldest first
	written []objstore.Info // of the same index
	numbers []int           // of the same index
	claims  map[int]objstore.Info
}

// newest is the number of the newest revision, 0 for none.
func (n revisionNumbers) newest() int {
	if len(n.numbers) == 0 {
		return 0
	}
	return n.numbers[len(n.numbers)-1]
}

// highest is the highest number that is taken or claimed.
func (n revisionNumbers) highest() int {
	highest := n.newest()
	for claim := range n.claims {
		highest = max(highest, claim)
	}
	return highest
}

// revisionKeys lists a policy's revisions and the claims to them.
func (r *Repository) revisionKeys(ctx context.Context, name string) (revisionNumbers, error) {
	found := revisionNumbers{claims: map[int]objstore.Info{}}
	if err := policy.ValidateName(name); err != nil {
		return found, fmt.Errorf("policy: %w", err)
	}
	prefix := policy.RevisionPrefix(name)
	for info, err := range r.store.List(ctx, prefix) {
		if err != nil {
			return found, fmt.Errorf("list revisions of policy %q in %s: %w", name, r.URL(), err)
		}
		var n int
		if text, ok := strings.CutSuffix(strings.TrimPrefix(info.Key, prefix), ".claim"); ok {
			if _, err := fmt.Sscanf(text, "%06d", &n); err == nil {
				found.claims[n] = info
			}
			continue
		}
		_, n, _, err := policy.ParseRevisionKey(info.Key)
		if err != nil {
			return found, fmt.Errorf("policy %q in %s: %w: %w; remove it if it is not pgbackup's", name, r.URL(), ErrDamaged, err)
		}
		if n == found.newest() {
			return found, fmt.Errorf("policy %q in %s: %w: %s and %s are both revision %d; keep the one its claim %s was made for", name, r.URL(), ErrDamaged, found.keys[len(found.keys)-1], info.Key, n, claimKey(name, n))
		}
		found.keys, found.written, found.numbers = append(found.keys, info.Key), append(found.written, info), append(found.numbers, n)
	}
	return found, nil
}

func (r *Repository) readRevision(ctx context.Context, name, key string) (policy.Revision, error) {
	_, n, digest, err := policy.ParseRevisionKey(key)
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
	// Held against the digest that is stored, not the one this program would take:
	// an older one may have spelled the document differently.
	if !strings.HasPrefix(rev.StoredDigest(), digest) {
		return policy.Revision{}, damaged(fmt.Errorf("its document has the digest %.12s, which its key is not named after", rev.StoredDigest()))
	}
	if n != rev.Number || rev.Document.Name != name {
		return policy.Revision{}, damaged(fmt.Errorf("it says it is revision %d of policy %q", rev.Number, rev.Document.Name))
	}
	return rev, nil
}
