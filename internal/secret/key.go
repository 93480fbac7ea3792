package secret

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

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
func KeySource(reference string, log *slog.Logger, missed func(error)) func(ctx context.Context, suggested []string) (seal.Wrapper, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return func(ctx context.Context, suggested []string) (seal.Wrapper, error) {
		if reference != "" {
			return Key(ctx, reference, log)
		}
		for _, s := range suggested {
			key, err := Key(ctx, s, log)
			switch {
			case err == nil:
				return key, nil
			case errors.Is(err, ErrMissing), errors.Is(err, ErrUnsupported), errors.Is(err, secretref.ErrNotReference):
				log.Debug("the repository's key is not where it was when the repository was made", "error", err)
				if missed != nil {
					missed(err)
				}
			default:
				return nil, err
			}
		}
		return nil, nil
	}
}

// Key reads the key that a reference points to.
func Key(ctx context.Context, reference string, log *slog.Logger) (seal.Wrapper, error) {
	ref, err := secretref.Parse(reference)
	if err != nil {
		return nil, fmt.Errorf("encryption key: %w", err)
	}
	text, err := Resolve(ctx, ref, log)
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
