package repo

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// A copy made by hand, such as with `aws s3 sync`, has the same keys and bytes, and
// other versions or none.
func TestACopiedRepositoryIsReadLikeTheOriginal(t *testing.T) {
	t.Parallel()
	original := bucket(t, testenv.S3Versioned())
	data := pseudorandom(20, objstore.PartSize+77)
	ref := put(t, newRepo(t, original, true), "app@db/1", pieces(data, 5), WriterOptions{chunksPerObject: 3})
	folder, err := dir.Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]objstore.Store{"a bucket with versions": bucket(t, testenv.S3Versioned()), "a bucket without": bucket(t), "a directory": folder} {
		copyStore(t, original, to)
		r, err := Open(t.Context(), to, withKey(outerKey))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantReads(t, r, ref, data)
		if got, err := readRange(t.Context(), r, ref); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s, by range: %d bytes, %v", name, len(got), err)
		}
	}
}

func copyStore(t *testing.T, from, to objstore.Store) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	for info, err := range from.List(ctx, "") {
		if err != nil {
			t.Fatal(err)
		}
		body, _, err := from.Get(ctx, info.Key, objstore.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(body)
		_ = body.Close()
		if err == nil {
			_, err = to.Put(ctx, info.Key, content, objstore.PutOptions{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
