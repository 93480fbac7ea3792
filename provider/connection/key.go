package connection

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secret"
)

// keySource remembers the references a repository suggests, and finds the key
// only when a reference was given: what the provider does most needs none.
func keySource(secrets secret.Source, remember *[]string, keyRef string) func(context.Context, []string) (seal.Wrapper, error) {
	return func(ctx context.Context, suggested []string) (seal.Wrapper, error) {
		if *remember == nil { // all of them come the first time
			*remember = suggested
		}
		if keyRef == "" {
			return nil, nil
		}
		return secrets.Key(ctx, keyRef)
	}
}

// Secrets reads what references point to, with the provider's access to AWS.
func (c *Connection) Secrets() secret.Source {
	return secret.Source{AWS: func(_ context.Context, region string) (aws.Config, error) { return c.AWS(region) }}
}

// KeyReferences gives where a repository says that its keys are, newest first; none
// for one without encryption. It is asked once: every schedule wants to know.
func (c *Connection) KeyReferences(ctx context.Context, at location.Location) ([]string, error) {
	defer c.Lock("keys of " + at.String())()
	if known, ok := c.keys.Load(at); ok {
		return known.([]string), nil //nolint:forcetypeassert // nothing else is stored
	}
	opened, err := c.OpenRepository(ctx, at, "")
	if err != nil {
		return nil, err
	}
	var references []string
	if opened.Sealed() {
		references = opened.References
	}
	c.keys.Store(at, references)
	return references, nil
}
