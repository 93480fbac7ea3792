package location

import (
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func open(t *testing.T, place string, opts OpenOptions) (objstore.Store, error) {
	t.Helper()
	at, err := Parse(place)
	if err != nil {
		t.Fatal(err)
	}
	return Open(t.Context(), at, opts)
}

// use writes an object and reads it back.
func use(t *testing.T, store objstore.Store) {
	t.Helper()
	if _, err := store.Put(t.Context(), "a/b", []byte("x"), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if info, err := store.Head(t.Context(), "a/b", ""); err != nil || info.Size != 1 {
		t.Fatalf("%+v, %v", info, err)
	}
}

func TestADirectoryIsOpenedAndMadeOnlyWhenAsked(t *testing.T) {
	place := "file://" + filepath.Join(t.TempDir(), "backups")
	if _, err := open(t, place, OpenOptions{}); !errors.Is(err, objstore.ErrNoBucket) {
		t.Fatalf("a directory that is not there: %v", err)
	}
	store, err := open(t, place, OpenOptions{Create: true, BytesPerSecond: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	use(t, store)
	if store.URL() != place {
		t.Errorf("URL is %s, want %s", store.URL(), place)
	}
}

func TestABucketIsOpenedByItsURL(t *testing.T) {
	srv := testenv.S3(t)
	for _, kv := range srv.Env() {
		name, value, _ := strings.Cut(kv, "=")
		t.Setenv(name, value)
	}
	place := "s3://" + srv.Bucket + "/p?" + url.Values{"endpoint": {srv.Endpoint}, "path_style": {"true"}, "region": {srv.Region}}.Encode()
	store, err := open(t, place, OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	use(t, store)
}
