package repo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// storedKey is keys/<n>.json: the repository key, wrapped by an outer key.
type storedKey struct {
	Format        int       `json:"format"`
	Repository    string    `json:"repository"`
	RepositoryKey string    `json:"repository_key"` // fingerprint
	Method        string    `json:"method"`         // of the outer key: "local"
	OuterKey      string    `json:"outer_key"`      // its fingerprint
	Reference     string    `json:"reference,omitempty"`
	Wrapped       []byte    `json:"wrapped"`
	Created       time.Time `json:"created"`

	// Check is a digest of the fields above, so that a flipped bit shows as that
	// and not as a wrong key.
	Check string `json:"check"`

	at string // its key in the store
}

func (k storedKey) digest() (string, error) {
	k.Check = ""
	data, err := json.Marshal(k)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8]), nil
}

func (k storedKey) intact() bool {
	check, err := k.digest()
	return err == nil && check == k.Check
}

// AddKey lets a further outer key open the repository: how an outer key is
// rotated. Data is not rewritten, so a compromised key needs new data instead.
func (r *Repository) AddKey(ctx context.Context, outer seal.Wrapper, reference string, now time.Time) error {
	if r.key == nil {
		return fmt.Errorf("add a key to %s: %w", r.URL(), ErrNoKey)
	}
	return r.addKey(ctx, outer, reference, now)
}

// addKey takes the next free number. Two Creates at once each write a key; the
// one whose repository.json loses leaves a key that names another repository
// id, which reading passes over.
func (r *Repository) addKey(ctx context.Context, outer seal.Wrapper, reference string, now time.Time) error {
	wrapped, err := r.key.WrapWith(ctx, outer, r.header.ID)
	if err != nil {
		return fmt.Errorf("wrap the repository key with %s key %s: %w", outer.Method(), outer.KeyID(), err)
	}
	k := storedKey{
		Format: Format, Repository: r.header.ID, RepositoryKey: r.key.ID(), Method: outer.Method(), OuterKey: outer.KeyID(),
		Reference: reference, Wrapped: wrapped, Created: now.UTC(),
	}
	if k.Check, err = k.digest(); err != nil {
		return err
	}
	data, err := json.Marshal(k)
	if err != nil {
		return err
	}
	err = putNext(ctx, r.store, keysPrefix, 1, func(n int) string { return fmt.Sprintf("%d.json", n) }, data)
	if err != nil {
		return fmt.Errorf("write a key of %s: %w", r.URL(), err)
	}
	return nil
}

// putNext writes data under prefix+name(n) for the first n from start that is
// free.
func putNext(ctx context.Context, store objstore.Store, prefix string, start int, name func(n int) string, data []byte) error {
	for n := start; ; n++ {
		_, err := store.Put(ctx, prefix+name(n), data, objstore.PutOptions{
			Condition: objstore.Condition{IfAbsent: true}, ContentType: "application/json"})
		if !errors.Is(err, objstore.ErrPrecondition) {
			return err
		}
	}
}

// storedKeys returns the readable key objects, newest first, and why the others
// are not.
func (r *Repository) storedKeys(ctx context.Context) (keys []storedKey, unreadable []error, err error) {
	for info, err := range r.store.List(ctx, keysPrefix) {
		if err != nil {
			return nil, nil, fmt.Errorf("list keys of %s: %w", r.URL(), err)
		}
		data, err := readSmall(ctx, r.store, info.Key, maxHeader)
		if err != nil && !errors.Is(err, ErrDamaged) {
			return nil, nil, fmt.Errorf("read %s: %w", info.Key, err)
		}
		k := storedKey{at: info.Key}
		if err == nil {
			err = decodeOne(data, &k)
		}
		switch {
		case err != nil:
			unreadable = append(unreadable, fmt.Errorf("%s is %w: %w", info.Key, ErrDamaged, err))
		case k.Format > Format:
			unreadable = append(unreadable, fmt.Errorf("%s: %w: format %d, this pgbackup reads up to %d", info.Key, ErrNewerFormat, k.Format, Format))
		case !k.intact():
			unreadable = append(unreadable, fmt.Errorf("%s is %w: its check digest does not fit", info.Key, ErrDamaged))
		case k.Repository == r.header.ID: // else of a Create that lost the race
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		why := errors.Join(unreadable...)
		if why == nil {
			why = ErrDamaged
		}
		return nil, nil, fmt.Errorf("open repository %s: it is encrypted but has no readable key object below %s; restore it from a version or a replica: %w", r.URL(), keysPrefix, why)
	}
	slices.SortStableFunc(keys, func(a, b storedKey) int { return b.Created.Compare(a.Created) })
	return keys, unreadable, nil
}

// unwrapAny opens the repository key with outer. The fingerprint beside each
// wrapped key tells a wrong key from a damaged key object.
func unwrapAny(ctx context.Context, outer seal.Wrapper, stored []storedKey, repository string) (*seal.RepositoryKey, error) {
	var known []string
	var damaged error
	for _, k := range stored {
		known = append(known, fmt.Sprintf("%s key %s (%s)", k.Method, k.OuterKey, k.Reference))
		if k.Method != outer.Method() || k.OuterKey != outer.KeyID() {
			continue
		}
		key, err := seal.UnwrapRepositoryKey(ctx, outer, k.Wrapped, repository)
		switch {
		case err == nil && key.ID() == k.RepositoryKey:
			return key, nil
		case err == nil, errors.Is(err, seal.ErrWrongKey), errors.Is(err, seal.ErrDamaged):
			damaged = fmt.Errorf("the repository key wrapped for %s key %s is %w: restore %s from a version or a replica", outer.Method(), outer.KeyID(), ErrDamaged, k.at)
		default:
			return nil, err // the key service did not answer
		}
	}
	if damaged != nil {
		return nil, damaged
	}
	return nil, fmt.Errorf("%w: it opens with %s, the given one is %s key %s",
		seal.ErrWrongKey, strings.Join(known, " or "), outer.Method(), outer.KeyID())
}
