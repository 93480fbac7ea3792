package secret

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

// KeySource finds the outer key of a sealed repository, for
// repo.OpenOptions.Key. A reference given by the user is binding: if it can not
// be read, that is an error. Without one, the references that the repository
// itself suggests are tried in order; when none of them is readable here the
// repository opens without its key, which is enough to list it. missed, where
// given, is called with the reason for each of those, which names the reference:
// an error about the missing key can then say where it was looked for.
func (s Source) KeySource(reference string, missed func(error)) func(ctx context.Context, suggested []string) (seal.Wrapper, error) {
	miss := func(err error) {
		s.log().Debug("the repository's key is not where it was when the repository was made", "error", err)
		if missed != nil {
			missed(err)
		}
	}
	return func(ctx context.Context, suggested []string) (seal.Wrapper, error) {
		if reference != "" {
			return s.Key(ctx, reference)
		}
		for _, text := range suggested {
			key, err := s.Key(ctx, text)
			switch {
			case err == nil:
				return guessed{key, miss}, nil
			case ctx.Err() != nil:
				return nil, err
			case elsewhere(text, err):
				miss(err)
			default:
				return nil, err
			}
		}
		return nil, nil
	}
}

// elsewhere tells a suggested reference that is of no use here from one that is
// wrong: what is in AWS may be out of reach for whoever only wants to list.
func elsewhere(reference string, err error) bool {
	for _, kind := range []error{ErrMissing, ErrUnsupported, secretref.ErrNotReference} {
		if errors.Is(err, kind) {
			return true
		}
	}
	ref, parseErr := secretref.Parse(reference)
	inAWS := ref.Scheme == secretref.SecretsManager || ref.Scheme == secretref.SSM || ref.Scheme == secretref.KMS
	return parseErr == nil && inAWS && !errors.Is(err, seal.ErrKeySize)
}

// guessed is a key that nobody named. When it turns out that it can not be used
// here, that is as if it were not there.
type guessed struct {
	seal.Wrapper
	missed func(error)
}

func (g guessed) Unwrap(ctx context.Context, wrapped []byte, repository string) ([]byte, error) {
	plain, err := g.Wrapper.Unwrap(ctx, wrapped, repository)
	if err == nil || errors.Is(err, seal.ErrWrongKey) || errors.Is(err, seal.ErrDamaged) || ctx.Err() != nil {
		return plain, err
	}
	g.missed(err)
	return nil, fmt.Errorf("%w: %w", seal.ErrUnavailable, err)
}

// Key makes ready the key that a reference points to: the 256-bit key that is kept
// there, or one of AWS KMS. Of the latter nothing is asked before it is used.
func (s Source) Key(ctx context.Context, reference string) (seal.Wrapper, error) {
	ref, err := secretref.Parse(reference)
	if err != nil {
		return nil, fmt.Errorf("encryption key: %w", err)
	}
	if ref.Scheme == secretref.KMS {
		key, err := s.kmsKey(ctx, ref.Value)
		if err != nil {
			return nil, fmt.Errorf("encryption key %s: %w", ref, err)
		}
		return key, nil
	}
	text, err := s.Resolve(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("encryption key: %w", err)
	}
	key, err := seal.ParseKey(text)
	clear(text)
	if err != nil {
		return nil, fmt.Errorf("encryption key %s: %w", ref, err)
	}
	return seal.Local{Key: key}, nil
}
