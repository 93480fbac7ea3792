package repo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// clock is when test points start; a point's place in time is part of its name.
var clock = time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)

func newStore(t testing.TB) objstore.Store {
	t.Helper()
	return openDir(t, t.TempDir())
}

func openDir(t testing.TB, root string) objstore.Store {
	t.Helper()
	store, err := dir.Create(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

var outerKey = seal.Local{Key: seal.NewKey()}

func withKey(k seal.Wrapper) OpenOptions {
	return OpenOptions{Key: func(context.Context, []string) (seal.Wrapper, error) { return k, nil }}
}

func newRepo(t testing.TB, store objstore.Store, sealed bool) *Repository {
	t.Helper()
	opts := CreateOptions{Now: clock}
	if sealed {
		opts.Key, opts.Reference = outerKey, "env:KEY"
	}
	r, err := Create(t.Context(), store, opts)
	if err != nil {
		t.Fatal(err)
	}
	r.pause = time.Millisecond
	return r
}

// over returns the repository as another process sees it, through store.
func (r *Repository) over(store objstore.Store) *Repository {
	c := *r
	c.store = store
	return &c
}

// eachKind runs a test over a repository that is sealed and one that is not.
func eachKind(t *testing.T, test func(t *testing.T, r *Repository)) {
	for name, sealed := range map[string]bool{"sealed": true, "unsealed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newRepo(t, newStore(t), sealed))
		})
	}
}

func pseudorandom(seed uint64, n int) []byte {
	b := make([]byte, n)
	c := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	_, _ = c.Read(b)
	return b
}

// pieces cuts data so that it makes several chunks of odd sizes.
func pieces(data []byte, n int) [][]byte {
	var out [][]byte
	for i := range n {
		out = append(out, data[len(data)*i/n:len(data)*(i+1)/n])
	}
	return out
}

// addAll gives each piece to the stream as a chunk of its own.
func addAll(s *StreamWriter, pieces [][]byte) error {
	for _, p := range pieces {
		b, err := s.Buffer()
		if err != nil {
			return err
		}
		b.Bytes = append(b.Bytes[:0], p...)
		if err := s.Add(b, true); err != nil {
			return err
		}
	}
	return nil
}

// begin makes a point with an archive of those chunks and its index, all but the
// commit.
func begin(ctx context.Context, r *Repository, source string, chunks [][]byte, opts WriterOptions) (*PointWriter, error) {
	p, err := r.NewPoint(source, "logical", clock, opts)
	if err != nil {
		return nil, err
	}
	s := p.Stream(ctx, "archive", 2)
	if err := addAll(s, chunks); err != nil {
		s.Fail(err)
	}
	where, err := s.Close()
	if err != nil {
		return p, err
	}
	index, err := json.Marshal(Index{Format: 1, Stream: "archive", Chunks: where})
	if err != nil {
		return p, err
	}
	return p, p.WriteStream(ctx, StreamIndex, index)
}

func put(t testing.TB, r *Repository, source string, chunks [][]byte, opts WriterOptions) Ref {
	t.Helper()
	p, err := begin(t.Context(), r, source, chunks, opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Commit(t.Context(), &Manifest{End: clock.Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	return p.Ref()
}

// readAll reads a point's archive as `cat` does.
func readAll(ctx context.Context, r *Repository, ref Ref) ([]byte, error) {
	p, err := r.OpenPoint(ctx, ref)
	if err != nil {
		return nil, err
	}
	body, err := p.Open(ctx, "archive")
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	return io.ReadAll(body)
}

// readRange reads a point's archive as a parallel restore does.
func readRange(ctx context.Context, r *Repository, ref Ref) ([]byte, error) {
	p, err := r.OpenPoint(ctx, ref)
	if err != nil {
		return nil, err
	}
	x, err := p.Index(ctx)
	if err != nil {
		return nil, err
	}
	body, err := p.Range(ctx, x, 0, x.Size())
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	return io.ReadAll(body)
}

func wantReads(t testing.TB, r *Repository, ref Ref, want []byte) {
	t.Helper()
	got, err := readAll(t.Context(), r, ref)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%s: read %d bytes of %d, %v", ref, len(got), len(want), err)
	}
}

func wantListed(t testing.TB, r *Repository, n int) []Listed {
	t.Helper()
	points, err := r.List(t.Context(), Filter{})
	if err != nil || len(points) != n {
		t.Fatalf("%d points are listed, want %d: %v", len(points), n, err)
	}
	return points
}

func keysOf(t testing.TB, store objstore.Store, prefix string) []string {
	t.Helper()
	var keys []string
	for info, err := range store.List(context.Background(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

func raw(t testing.TB, store objstore.Store, key string) []byte {
	t.Helper()
	body, _, err := store.Get(context.Background(), key, objstore.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = body.Close() }()
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// overwrite replaces an object behind the store's back, as broken disks and
// strangers do.
func overwrite(t testing.TB, store objstore.Store, key string, data []byte) {
	t.Helper()
	at, err := url.Parse(store.URL())
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(at.Path, filepath.FromSlash(key))
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, data, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// meddler lets a test act before and after calls on their way to a real store.
// An error of before is the answer, and the call does not happen; an error of
// after replaces the answer of a call that did.
type meddler struct {
	objstore.Store
	before func(op, key string) error
	after  func(op, key string) error
}

var (
	errReset = errors.Join(objstore.ErrTransient, errors.New("connection reset"))
	errDead  = errors.New("this process is dead")
)

func (m *meddler) meddle(op, key string, call func() error) error {
	if m.before != nil {
		if err := m.before(op, key); err != nil {
			return err
		}
	}
	err := call()
	if m.after != nil {
		if instead := m.after(op, key); instead != nil {
			return instead
		}
	}
	return err
}

func (m *meddler) Put(ctx context.Context, key string, data []byte, opts objstore.PutOptions) (info objstore.Info, err error) {
	err = m.meddle("put", key, func() error { info, err = m.Store.Put(ctx, key, data, opts); return err })
	return info, err
}

func (m *meddler) Create(ctx context.Context, key string, opts objstore.PutOptions) (objstore.Upload, error) {
	var up objstore.Upload
	err := m.meddle("create", key, func() (err error) { up, err = m.Store.Create(ctx, key, opts); return err })
	if err != nil {
		return nil, err
	}
	return &meddledUpload{up, m, key}, nil
}

func (m *meddler) Get(ctx context.Context, key string, opts objstore.GetOptions) (body io.ReadCloser, info objstore.Info, err error) {
	err = m.meddle("get", key, func() error { body, info, err = m.Store.Get(ctx, key, opts); return err })
	if err != nil {
		return nil, objstore.Info{}, err
	}
	return body, info, nil
}

func (m *meddler) Head(ctx context.Context, key, version string) (info objstore.Info, err error) {
	err = m.meddle("head", key, func() error { info, err = m.Store.Head(ctx, key, version); return err })
	return info, err
}

func (m *meddler) List(ctx context.Context, prefix string) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		var infos []objstore.Info
		err := m.meddle("list", prefix, func() error {
			for info, err := range m.Store.List(ctx, prefix) {
				if err != nil {
					return err
				}
				infos = append(infos, info)
			}
			return nil
		})
		if err != nil {
			yield(objstore.Info{}, err)
			return
		}
		for _, info := range infos {
			if !yield(info, nil) {
				return
			}
		}
	}
}

func (m *meddler) Delete(ctx context.Context, keys ...string) error {
	var failed []error
	for _, key := range keys { // one by one: a death may fall between them
		failed = append(failed, m.meddle("delete", key, func() error { return m.Store.Delete(ctx, key) }))
	}
	return errors.Join(failed...)
}

func (m *meddler) AbortUploads(ctx context.Context, prefix string) (n int, err error) {
	err = m.meddle("abort-uploads", prefix, func() error { n, err = m.Store.AbortUploads(ctx, prefix); return err })
	return n, err
}

type meddledUpload struct {
	objstore.Upload
	m   *meddler
	key string
}

func (u *meddledUpload) Part(ctx context.Context, n int, data []byte) error {
	return u.m.meddle("part", u.key, func() error { return u.Upload.Part(ctx, n, data) })
}

func (u *meddledUpload) Complete(ctx context.Context) (info objstore.Info, err error) {
	err = u.m.meddle("complete", u.key, func() error { info, err = u.Upload.Complete(ctx); return err })
	return info, err
}

func (u *meddledUpload) Abort() error {
	return u.m.meddle("abort", u.key, u.Upload.Abort)
}

// liar reports another checksum for what it puts.
type liar struct{ objstore.Store }

func (l liar) Put(ctx context.Context, key string, data []byte, opts objstore.PutOptions) (objstore.Info, error) {
	info, err := l.Store.Put(ctx, key, data, opts)
	if info.CRC64NVME != nil {
		wrong := *info.CRC64NVME ^ 1
		info.CRC64NVME = &wrong
	}
	return info, err
}
