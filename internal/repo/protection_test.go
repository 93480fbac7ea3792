package repo

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// lockedBucket is a store in a bucket with Object Lock, on a real S3 server.
func lockedBucket(t *testing.T) *lockedStore {
	t.Helper()
	srv := testenv.S3(t, testenv.S3Locked())
	store := openBucket(t, srv)
	return &lockedStore{Store: objstore.Retry(store, objstore.RetryOptions{}), Locker: store, client: srv.Client(), bucket: srv.Bucket}
}

// lockedStore counts what is asked of a store, and fails a write when told to.
type lockedStore struct {
	objstore.Store
	objstore.Locker
	locks, asked atomic.Int64
	failPut      func(key string) error
	client       *awss3.Client
	bucket       string
}

func (s *lockedStore) Lock(ctx context.Context, key, version string, until time.Time, mode string) error {
	s.locks.Add(1)
	return s.Locker.Lock(ctx, key, version, until, mode)
}

func (s *lockedStore) LockedUntil(ctx context.Context, key, version string) (string, time.Time, error) {
	s.asked.Add(1)
	return s.Locker.LockedUntil(ctx, key, version)
}

func (s *lockedStore) Put(ctx context.Context, key string, data []byte, opts objstore.PutOptions) (objstore.Info, error) {
	if s.failPut != nil {
		if err := s.failPut(key); err != nil {
			return objstore.Info{}, err
		}
	}
	return s.Store.Put(ctx, key, data, opts)
}

func (s *lockedStore) reset() {
	s.locks.Store(0)
	s.asked.Store(0)
}

var week = Protection{Mode: objstore.Governance, Days: 7}

func protect(t *testing.T, r *Repository, p Protection) {
	t.Helper()
	if err := r.SetProtection(t.Context(), p, time.Now(), "me@here"); err != nil {
		t.Fatal(err)
	}
}

func wantLocked(t *testing.T, s objstore.Locker, key string, from time.Time) {
	t.Helper()
	mode, until, err := s.LockedUntil(t.Context(), key, "")
	if err != nil || mode != objstore.Governance || until.Before(from) {
		t.Errorf("%s is locked %q until %s, %v; want from %s on", key, mode, until, err, from)
	}
}

// now makes a point that starts at this moment.
func putNow(t *testing.T, r *Repository, source string) Ref {
	t.Helper()
	w, err := r.NewPoint(source, "logical", time.Now(), WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteStream(t.Context(), "archive", []byte(source)); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context(), &Manifest{End: time.Now()}); err != nil {
		t.Fatal(err)
	}
	return w.Ref()
}

func pointers(points []Listed) (all []*Listed) {
	for i := range points {
		all = append(all, &points[i])
	}
	return all
}

func extend(t *testing.T, r *Repository, source string) Extended {
	t.Helper()
	points, err := r.List(t.Context(), Filter{Source: source})
	if err != nil {
		t.Fatal(err)
	}
	done, err := r.ExtendLocks(t.Context(), source, pointers(points), "me@here")
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// S6
func TestWhatIsWrittenUnderProtectionIsLockedAndNotDeleted(t *testing.T) {
	t.Parallel()
	store := lockedBucket(t)
	r := newRepo(t, store, true)
	before := time.Now()
	if _, is, err := r.Protection(t.Context()); is || err != nil {
		t.Fatalf("a new repository is protected: %t, %v", is, err)
	}
	protect(t, r, week)
	again, err := Open(t.Context(), store, withKey(outerKey))
	if err != nil {
		t.Fatal(err)
	}
	if p, is, err := again.Protection(t.Context()); !is || p != week || err != nil {
		t.Fatalf("read back: %+v, %t, %v", p, is, err)
	}
	ref := putNow(t, again, "app")
	for _, prefix := range []string{repositoryKey, keysPrefix, protectionPrefix, manifestsPrefix, pointsPrefix} {
		keys := keysOf(t, store, prefix)
		if len(keys) == 0 {
			t.Errorf("nothing below %s", prefix)
		}
		for _, key := range keys {
			wantLocked(t, store, key, before.AddDate(0, 0, 7))
		}
	}
	for _, key := range keysOf(t, store, locksPrefix) {
		if mode, _, err := store.LockedUntil(t.Context(), key, ""); mode != "" || err != nil {
			t.Errorf("the lease %s is locked, %v", key, err)
		}
	}
	if err := again.Delete(t.Context(), ref, Tombstone{}); !errors.Is(err, ErrRetained) || !strings.Contains(err.Error(), "until "+time.Now().AddDate(0, 0, 7).UTC().Format("2006-01-02")) {
		t.Errorf("delete: %v", err)
	}
	if keys := keysOf(t, store, tombstonesPrefix); len(keys) != 0 {
		t.Errorf("a tombstone of what was not deleted: %q", keys)
	}
	wantListed(t, again, 1)
	// The same once more writes nothing, another does.
	protect(t, r, week)
	if keys := keysOf(t, store, protectionPrefix); len(keys) != 1 {
		t.Errorf("%q", keys)
	}
	protect(t, r, Protection{})
	if _, is, err := r.Protection(t.Context()); is || err != nil || len(keysOf(t, store, protectionPrefix)) != 2 {
		t.Errorf("ended, it is protected: %t, %v", is, err)
	}
	if mode, _, err := store.LockedUntil(t.Context(), putNow(t, r, "free").ManifestKey(), ""); mode != "" || err != nil {
		t.Errorf("written after the end: %q, %v", mode, err)
	}
	if err := r.Delete(t.Context(), ref, Tombstone{}); !errors.Is(err, ErrRetained) {
		t.Errorf("what was locked before the end stays so: %v", err)
	}
}

func TestADirectoryCanNotBeProtected(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	if err := r.SetProtection(t.Context(), week, clock, ""); !errors.Is(err, objstore.ErrUnsupported) {
		t.Errorf("%v", err)
	}
	for _, p := range []Protection{{Mode: "COMPLIANCE"}, {Days: 3}, {Mode: "governance", Days: 3}, {Mode: objstore.Governance, Days: 40000}} {
		if err := p.Validate(); err == nil {
			t.Errorf("%+v is taken for a protection", p)
		}
	}
	if err := r.SetProtection(t.Context(), Protection{}, clock, ""); err != nil {
		t.Errorf("no protection: %v", err)
	}
	// A bucket's protection that was copied into a directory must not be ignored.
	if err := r.putOnce(t.Context(), protectionPrefix+"000001.json", storedProtection{Format: 1, Protection: week}); err != nil {
		t.Fatal(err)
	}
	r.protections.forget()
	if _, err := begin(t.Context(), r, "app", [][]byte{[]byte("x")}, WriterOptions{}); !errors.Is(err, objstore.ErrUnsupported) {
		t.Errorf("a point in a directory that claims to lock: %v", err)
	}
}

func TestAProtectionThatIsNotUnderstoodIsNotPassedOver(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"no JSON": "{", "unknown mode": `{"format":1,"mode":"SOFT","days":3}`, "newer": `{"format":2,"mode":"GOVERNANCE","days":3}`} {
		r := newRepo(t, newStore(t), false)
		if _, err := r.store.Put(t.Context(), protectionPrefix+"000001.json", []byte(content), objstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		_, _, err := r.Protection(t.Context())
		if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewerFormat) || !strings.Contains(err.Error(), "000001.json") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := begin(t.Context(), r, "app", [][]byte{[]byte("x")}, WriterOptions{}); err == nil {
			t.Errorf("%s: a point was written without a lock", name)
		}
	}
}

// S6
func TestAHoldIsALegalHoldOfTheStoreToo(t *testing.T) {
	t.Parallel()
	store := lockedBucket(t)
	r := newRepo(t, store, true)
	ref := putNow(t, r, "app") // before anything is locked: only the hold keeps it
	m, err := r.Manifest(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	protect(t, r, week)
	key := ref.DataPrefix() + m.Objects[0].Name
	removable := func() bool {
		in := &awss3.DeleteObjectInput{Bucket: &store.bucket, Key: aws.String("prod/" + key), VersionId: &m.Objects[0].VersionID}
		_, err := store.client.DeleteObject(t.Context(), in)
		return err == nil
	}
	if err := r.Hold(t.Context(), ref, Mark{}); err != nil {
		t.Fatal(err)
	}
	if removable() {
		t.Fatal("an object of a held point was removed for good")
	}
	if held, err := r.Held(t.Context(), ref); !held || err != nil {
		t.Errorf("held: %t, %v", held, err)
	}
	if err := errors.Join(r.Hold(t.Context(), ref, Mark{}), r.Release(t.Context(), ref, Mark{})); err != nil {
		t.Fatal(err)
	}
	if !removable() {
		t.Error("released, it can not be removed")
	}
	if err := r.Release(t.Context(), ref, Mark{}); err != nil {
		t.Errorf("released again, with an object gone: %v", err)
	}
}
