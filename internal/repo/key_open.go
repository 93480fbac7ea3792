package repo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// openKey asks for an outer key and opens the repository key with it. One that was
// only suggested by the repository and can not be used here, such as a KMS key of a
// region that is down, makes room for the next one; when there is none left the
// repository stays open without its key.
func (r *Repository) openKey(ctx context.Context, stored []storedKey, find func(context.Context, []string) (seal.Wrapper, error)) error {
	var refs []string
	for _, k := range stored {
		if k.Reference != "" && !slices.Contains(refs, k.Reference) {
			refs = append(refs, k.Reference)
		}
	}
	for {
		outer, err := find(ctx, refs)
		if err != nil {
			return err
		}
		if outer == nil {
			return nil
		}
		key, err := unwrapAny(ctx, outer, stored, r.header.ID)
		if err == nil {
			r.key, r.outer = key, outer.KeyID()
			return nil
		}
		if !errors.Is(err, seal.ErrUnavailable) {
			return err
		}
		r.log.Debug("a key that the repository names can not be used here", "key", outer.KeyID(), "error", err)
		// Those before it were of no use either, or it would not have been found.
		left := refs
		for _, k := range stored {
			if i := slices.Index(refs, k.Reference); i >= 0 && opens(outer, k) {
				left = refs[i+1:]
			}
		}
		if len(left) == 0 || len(left) == len(refs) {
			return nil
		}
		refs = left
	}
}

// opens tells whether a key object says that it was wrapped by outer.
func opens(outer seal.Wrapper, k storedKey) bool {
	return k.Method == outer.Method() && k.OuterKey == outer.KeyID()
}

// unwrapAny opens the repository key with outer. The fingerprint beside each
// wrapped key tells a wrong key from a damaged key object.
func unwrapAny(ctx context.Context, outer seal.Wrapper, stored []storedKey, repository string) (*seal.RepositoryKey, error) {
	var known []string
	var damaged error
	for _, k := range stored {
		known = append(known, fmt.Sprintf("%s key %s (%s)", k.Method, k.OuterKey, k.Reference))
		if !opens(outer, k) {
			continue
		}
		key, err := k.unwrap(ctx, outer, repository)
		switch {
		case err == nil:
			return key, nil
		case errors.Is(err, ErrDamaged):
			damaged = err
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

// unwrap opens the repository key in k, which says that outer wrapped it: that it
// does not open is damage.
func (k storedKey) unwrap(ctx context.Context, outer seal.Wrapper, repository string) (*seal.RepositoryKey, error) {
	key, err := seal.UnwrapRepositoryKey(ctx, outer, k.Wrapped, repository)
	switch {
	case err == nil && key.ID() == k.RepositoryKey:
		return key, nil
	case err == nil, errors.Is(err, seal.ErrWrongKey), errors.Is(err, seal.ErrDamaged):
		return nil, fmt.Errorf("the repository key wrapped for %s key %s is %w: restore %s from a version or a replica", outer.Method(), outer.KeyID(), ErrDamaged, k.at)
	}
	return nil, err
}
