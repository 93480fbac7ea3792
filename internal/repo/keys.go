package repo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
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
	Method        string    `json:"method"`         // of the outer key: "local" or "kms"
	OuterKey      string    `json:"outer_key"`      // its fingerprint, or its ARN
	Reference     string    `json:"reference,omitempty"`
	Wrapped       []byte    `json:"wrapped"`
	Created       time.Time `json:"created"`
	By            string    `json:"by,omitempty"` // who added it: host and user

	// Check is a digest of the fields above, so that a flipped bit shows as that
	// and not as a wrong key.
	Check string `json:"check"`

	at     string // its key in the store
	number int
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

// addKey takes the next number above all there are: Retire goes by their order. Two
// Creates at once each write a key; the one whose repository.json loses leaves a key
// that names another repository id, which reading passes over.
func (r *Repository) addKey(ctx context.Context, outer seal.Wrapper, reference string, now time.Time, by string) (int, error) {
	wrapped, err := r.key.WrapWith(ctx, outer, r.header.ID)
	if err != nil {
		return 0, fmt.Errorf("wrap the repository key with %s key %s: %w", outer.Method(), outer.KeyID(), err)
	}
	k := storedKey{
		Format: Format, Repository: r.header.ID, RepositoryKey: r.key.ID(), Method: outer.Method(), OuterKey: outer.KeyID(),
		Reference: reference, Wrapped: wrapped, Created: now.UTC(), By: by,
	}
	if k.Check, err = k.digest(); err != nil {
		return 0, err
	}
	data, err := json.Marshal(k)
	if err != nil {
		return 0, err
	}
	highest := 0
	for info, err := range r.store.List(ctx, keysPrefix) {
		if err != nil {
			return 0, fmt.Errorf("list keys of %s: %w", r.URL(), err)
		}
		highest = max(highest, keyNumber(info.Key))
	}
	number := 0
	err = putNext(ctx, r.store, keysPrefix, highest+1, func(n int) string { number = n; return fmt.Sprintf("%d.json", n) }, data)
	if err != nil {
		return 0, fmt.Errorf("write a key of %s: %w", r.URL(), err)
	}
	return number, nil
}

// keyNumber reads keys/<n>.json; 0 for what is not one.
func keyNumber(key string) int {
	n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(key, keysPrefix), ".json"))
	if err != nil || n < 0 {
		return 0
	}
	return n
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

// keyLooks bounds how often keys are looked for while others rotate them.
const keyLooks = 5

// storedKeys returns the readable key objects, newest first, and why the others
// are not.
func (r *Repository) storedKeys(ctx context.Context) (keys []storedKey, unreadable []error, err error) {
	for range keyLooks {
		var retired bool
		keys, unreadable, retired, err = r.listedKeys(ctx)
		if err != nil {
			return nil, nil, err
		}
		if len(keys) > 0 || !retired {
			break
		}
		// All that were listed were retired before they were read: what took their
		// place came after the listing.
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

// listedKeys reads the key objects of one listing; retired: one was gone when it was read.
func (r *Repository) listedKeys(ctx context.Context) (keys []storedKey, unreadable []error, retired bool, err error) {
	for info, err := range r.store.List(ctx, keysPrefix) {
		if err != nil {
			return nil, nil, false, fmt.Errorf("list keys of %s: %w", r.URL(), err)
		}
		data, err := readSmall(ctx, r.store, info.Key, maxHeader)
		if errors.Is(err, objstore.ErrNotFound) {
			retired = true
			continue
		}
		if err != nil && !errors.Is(err, ErrDamaged) {
			return nil, nil, false, fmt.Errorf("read %s: %w", info.Key, err)
		}
		k := storedKey{at: info.Key, number: keyNumber(info.Key)}
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
	return keys, unreadable, retired, nil
}
