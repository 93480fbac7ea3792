package connection

import (
	"context"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secret"
)

// keySource remembers the references a repository suggests, and finds the key
// only when a reference was given: what the provider does most needs none.
func keySource(remember *[]string, keyRef string) func(context.Context, []string) (seal.Wrapper, error) {
	return func(ctx context.Context, suggested []string) (seal.Wrapper, error) {
		*remember = suggested
		if keyRef == "" {
			return nil, nil
		}
		return secret.Key(ctx, keyRef, nil)
	}
}
