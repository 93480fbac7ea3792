package repo

import (
	"errors"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func archiving(t *testing.T, opts ...testenv.S3Option) (objstore.Store, *testenv.Archive) {
	t.Helper()
	srv, archive := testenv.S3WithArchive(t, opts...)
	return objstore.Retry(openBucket(t, srv), objstore.RetryOptions{Base: time.Millisecond}), archive
}

func TestAnArchivedPointIsBroughtBackByTheVersionsOfItsManifestAndAskedForOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store, archive := archiving(t, testenv.S3Versioned())
	r := newRepo(t, store, true)
	data := pseudorandom(3, objstore.PartSize+77)
	ref := put(t, r, "app", pieces(data, 5), WriterOptions{chunksPerObject: 2})
	m, err := r.Manifest(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := r.Archived(ctx, m); err != nil || a != (Archived{}) || !a.Readable() {
		t.Fatalf("before: %+v, %v", a, err)
	}
	// What is smaller than 128 KiB is not moved: the index stays.
	archive.Freeze("/archive.0000", storageclass.Glacier)
	archive.Freeze("/archive.", storageclass.DeepArchive) // the others
	a, err := r.Archived(ctx, m)
	parts := len(m.Stream("archive"))
	if err != nil || a.Readable() || a.Class != storageclass.DeepArchive || a.Objects != parts || a.Frozen != parts || a.Thawing+a.Thawed != 0 || a.Bytes == 0 || a.Bytes != a.FrozenBytes || a.Bytes >= m.StoredSize() {
		t.Fatalf("frozen: %+v of %d objects, %v", a, parts, err)
	}
	if _, err := readAll(ctx, r, ref); !errors.Is(err, ErrArchived) || errors.Is(err, ErrDamaged) {
		t.Errorf("reading it: %v", err)
	}
	archive.Looks(2)
	for range 2 { // as a second run does
		if err := r.Thaw(ctx, m, ThawOptions{Tier: storageclass.TierBulk, Days: 5}); err != nil {
			t.Fatal(err)
		}
	}
	asked := archive.Asked()
	if len(asked) != parts {
		t.Fatalf("asked %d times for %d objects: %+v", len(asked), parts, asked)
	}
	for _, q := range asked {
		if q.Version == "" || q.Days != 5 || q.Tier != storageclass.TierBulk {
			t.Errorf("asked for %+v", q)
		}
	}
	for looks := 0; !a.Readable() && looks < 5; looks++ {
		if a, err = r.Archived(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	if left := time.Until(a.Until); !a.Readable() || a.Thawed != parts || a.ThawedBytes != a.Bytes || left < 4*24*time.Hour || left > 6*24*time.Hour {
		t.Errorf("brought back: %+v", a)
	}
	wantReads(t, r, ref, data)
	// A copy that goes away soon is asked for anew, one that stays is not.
	if err := r.Thaw(ctx, m, ThawOptions{}); err != nil || len(archive.Asked()) != parts {
		t.Errorf("asked again for what stays for days: %+v, %v", archive.Asked(), err)
	}
}

func TestNobodyPaysForBringingBackAPointOfWhichAPartIsGone(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store, archive := archiving(t)
	r := newRepo(t, store, false)
	ref := put(t, r, "app", pieces(pseudorandom(3, 1<<20), 4), WriterOptions{chunksPerObject: 2})
	m, err := r.Manifest(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	archive.Freeze("/archive.", storageclass.Glacier)
	if err := store.Delete(ctx, ref.DataPrefix()+m.Objects[0].Name); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Archived(ctx, m); !errors.Is(err, ErrDamaged) {
		t.Errorf("looking at it: %v", err)
	}
	if err := r.Thaw(ctx, m, ThawOptions{}); !errors.Is(err, ErrDamaged) || len(archive.Asked()) != 0 {
		t.Errorf("bringing it back: %v, asked for %+v", err, archive.Asked())
	}
}

func TestADirectoryHasNoArchives(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	ref := put(t, r, "app", pieces(pseudorandom(3, 1000), 2), WriterOptions{})
	m, err := r.Manifest(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := r.Archived(t.Context(), m); err != nil || !a.Readable() {
		t.Errorf("%+v, %v", a, err)
	}
	if err := r.Thaw(t.Context(), m, ThawOptions{}); err != nil {
		t.Error(err)
	}
}
