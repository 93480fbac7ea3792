package repo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// An outer key is rotated in two steps: another one is added, and only when it was
// seen to open the repository is the old one taken away. Data is not rewritten, nor
// is the repository key: who had the old outer key and read keys/ with it has the
// repository key for ever. After a key was *compromised* only a new repository,
// with new backups, is safe from whoever has it.
//
// A key is only ever taken away for one of a higher number, which takes its number
// above all there are, and the highest is never taken away. So whatever several
// rotations do at once, and wherever they are killed, the highest readable key
// stays, and at every moment there is one.

// ErrKeyStays: a key object is not removed, because the one that is to take its
// place was not seen to open the repository.
var ErrKeyStays = errors.New("the old key stays")

// StoredKey is one outer key that opens the repository, as keys/<n>.json says.
type StoredKey struct {
	Number    int       `json:"number"`
	Method    string    `json:"method"` // local or kms
	ID        string    `json:"id"`     // fingerprint, or ARN
	Reference string    `json:"reference,omitempty"`
	Created   time.Time `json:"created"`
	By        string    `json:"by,omitempty"`
	Problem   string    `json:"problem,omitempty"` // why it is not readable
}

// Keys lists the outer keys of a sealed repository, newest first, and last those that
// are not readable, with their Problem. None for a repository that is not sealed.
func (r *Repository) Keys(ctx context.Context) ([]StoredKey, error) {
	if !r.Sealed() {
		return nil, nil
	}
	stored, unreadable, err := r.storedKeys(ctx)
	if err != nil {
		return nil, err
	}
	var keys []StoredKey
	for _, k := range stored {
		keys = append(keys, k.told())
	}
	for _, problem := range unreadable {
		keys = append(keys, StoredKey{Problem: problem.Error()})
	}
	return keys, nil
}

func (k storedKey) told() StoredKey {
	return StoredKey{Number: k.number, Method: k.Method, ID: k.OuterKey, Reference: k.Reference, Created: k.Created, By: k.By}
}

// AddKey lets a further outer key open the repository, and makes sure that it does:
// what was written is read back and opened. A key that opens it already is not
// added again, unless reference is another one.
func (r *Repository) AddKey(ctx context.Context, outer seal.Wrapper, reference string, now time.Time) error {
	_, _, err := r.EnsureKey(ctx, outer, reference, 0, now, "")
	return err
}

// EnsureKey is AddKey for a rotation: the key must have a number above the given one,
// so that it can take the place of that key. It returns the key and whether it was
// added. It can be repeated after it was killed anywhere.
func (r *Repository) EnsureKey(ctx context.Context, outer seal.Wrapper, reference string, above int, now time.Time, by string) (StoredKey, bool, error) {
	failed := func(err error) (StoredKey, bool, error) {
		return StoredKey{}, false, fmt.Errorf("add a key to %s: %w", r.URL(), err)
	}
	if !r.Sealed() {
		return failed(errors.New("it is not encrypted, and can not become so: make another repository with a key"))
	}
	if r.key == nil {
		return failed(ErrNoKey)
	}
	there, err := r.keyOf(ctx, outer, func(k storedKey) bool {
		return k.number > above && (reference == "" || k.Reference == reference)
	})
	if err != nil {
		return failed(err)
	}
	if there != nil {
		return there.told(), false, nil
	}
	number, err := r.addKey(ctx, outer, reference, now, by)
	if err != nil {
		return failed(err)
	}
	added, err := r.keyOf(ctx, outer, func(k storedKey) bool { return k.number == number })
	if err == nil && added == nil {
		err = fmt.Errorf("%w: %s%d.json does not open the repository after it was written", ErrDamaged, keysPrefix, number)
	}
	if err != nil {
		return failed(err)
	}
	if err := r.ProtectSelf(ctx); err != nil {
		return failed(err)
	}
	return added.told(), true, nil
}

// RetireKey takes away the outer key of the given number for the key outer of a
// higher one, which is opened once more before. A key that is gone is done. In a
// versioned bucket the object stays below its deletion, as after every deletion.
func (r *Repository) RetireKey(ctx context.Context, number int, outer seal.Wrapper) error {
	failed := func(err error) error {
		return fmt.Errorf("retire key %d of %s: %w", number, r.URL(), err)
	}
	if r.key == nil {
		return failed(ErrNoKey)
	}
	successor, err := r.keyOf(ctx, outer, func(k storedKey) bool { return k.number > number })
	if err != nil {
		return failed(err)
	}
	if successor == nil {
		return failed(fmt.Errorf("%w: no later key object opens the repository with %s key %s", ErrKeyStays, outer.Method(), outer.KeyID()))
	}
	if err := r.store.Delete(ctx, fmt.Sprintf("%s%d.json", keysPrefix, number)); err != nil {
		return failed(err)
	}
	return nil
}

// keyOf finds the newest key object that want accepts and that outer really opens;
// nil for none. One that should open and does not is an error.
func (r *Repository) keyOf(ctx context.Context, outer seal.Wrapper, want func(storedKey) bool) (*storedKey, error) {
	stored, _, err := r.storedKeys(ctx)
	if err != nil {
		return nil, err
	}
	var found *storedKey
	for i, k := range stored {
		if !opens(outer, k) || !want(k) || found != nil && found.number > k.number {
			continue
		}
		key, err := k.unwrap(ctx, outer, r.header.ID)
		switch {
		case errors.Is(err, ErrDamaged):
			r.log.Warn("a key object is damaged", "key", k.at, "error", err)
		case err != nil:
			return nil, err
		case key.ID() == r.key.ID():
			found = &stored[i]
		}
	}
	return found, nil
}
