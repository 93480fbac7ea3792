package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// breaking is a store whose connections end in the middle of data objects.
type breaking struct{ objstore.Store }

func (b breaking) Get(ctx context.Context, key string, opts objstore.GetOptions) (io.ReadCloser, objstore.Info, error) {
	body, info, err := b.Store.Get(ctx, key, opts)
	if err != nil {
		return nil, info, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(body, 100), failing{}), body}, info, nil
}

type failing struct{}

// Read fails as the S3 store does when the connection broke and trying again did not help.
func (failing) Read([]byte) (int, error) {
	return 0, fmt.Errorf("%w: the connection broke (%w)", objstore.ErrTransient, io.ErrUnexpectedEOF)
}

func TestAConnectionThatBreaksIsNoDamage(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, r *Repository) {
		ref := put(t, r, "app@db1", pieces(pseudorandom(1, 1<<20), 4), WriterOptions{})
		p, err := r.OpenPoint(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		p.repo = r.over(breaking{r.store})
		body, err := p.Open(t.Context(), "archive")
		if err == nil {
			_, err = io.Copy(io.Discard, body)
			_ = body.Close()
		}
		if !errors.Is(err, objstore.ErrTransient) || errors.Is(err, ErrDamaged) {
			t.Errorf("%v", err)
		}
	})
}
