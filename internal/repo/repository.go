package repo

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// Format is the newest repository format this program reads and writes.
const Format = 1

// header is repository.json.
type header struct {
	Format  int       `json:"format"`
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Sealed  bool      `json:"sealed"`
}

// storedKey is keys/<n>.json: the repository key, wrapped by an outer key.
type storedKey struct {
	Format        int       `json:"format"`
	Repository    string    `json:"repository"`
	RepositoryKey string    `json:"repository_key"` // fingerprint
	Method        string    `json:"method"`         // of the outer key: "local"
	OuterKey      string    `json:"outer_key"`      // its fingerprint
	Reference     string    `json:"reference,omitempty"`
	Wrapped       []byte    `json:"wrapped"`
	Created       time.Time `json:"created"`
}

// Repository is an open repository. Safe for concurrent use.
type Repository struct {
	store  objstore.Store
	header header
	key    *seal.RepositoryKey // nil: not sealed, or opened without its key
	log    *slog.Logger
}

// CreateOptions of Create.
type CreateOptions struct {
	Key       seal.Wrapper // the outer key; nil makes a repository that is not sealed
	Reference string       // where the outer key is kept ("env:NAME"), for those who open it later
	Now       time.Time
	Log       *slog.Logger
}

// Create makes a repository on an empty place. The store must honour
// conditional writes, which is probed first. ErrExists when one is there.
//
// repository.json comes last: until it is there, there is no repository, and a
// second Create after a crash simply starts again.
func Create(ctx context.Context, store objstore.Store, opts CreateOptions) (*Repository, error) {
	if _, err := readHeader(ctx, store); err == nil {
		return nil, fmt.Errorf("create repository at %s: %w", store.URL(), ErrExists)
	} else if !errors.Is(err, ErrNoRepository) {
		return nil, err
	}
	if err := objstore.Probe(ctx, store, locksPrefix); err != nil {
		return nil, fmt.Errorf("create repository at %s: %w", store.URL(), err)
	}
	var id [16]byte
	rand.Read(id[:])
	h := header{Format: Format, ID: hex.EncodeToString(id[:]), Created: opts.Now.UTC(), Sealed: opts.Key != nil}
	r := &Repository{store: store, header: h, log: logger(opts.Log)}
	if opts.Key != nil {
		if err := r.refuseOrphans(ctx); err != nil {
			return nil, err
		}
		r.key = seal.NewRepositoryKey()
		if err := r.addKey(ctx, opts.Key, opts.Reference, opts.Now); err != nil {
			return nil, err
		}
	}
	data, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	_, err = store.Put(ctx, repositoryKey, data, objstore.PutOptions{Condition: objstore.Condition{IfAbsent: true}, ContentType: "application/json"})
	if errors.Is(err, objstore.ErrPrecondition) {
		return nil, fmt.Errorf("create repository at %s: %w (made at this moment by somebody else)", store.URL(), ErrExists)
	}
	if err != nil {
		return nil, fmt.Errorf("create repository at %s: %w", store.URL(), err)
	}
	return r, nil
}

// refuseOrphans keeps a new key from being made over points of a lost one.
func (r *Repository) refuseOrphans(ctx context.Context) error {
	for info, err := range r.store.List(ctx, manifestsPrefix) {
		if err != nil {
			return err
		}
		return fmt.Errorf("create repository at %s: there are recovery points (%s) but no %s: restore that file from a version or a replica instead of creating a new repository", r.store.URL(), info.Key, repositoryKey)
	}
	return nil
}

// AddKey lets a further outer key open the repository: how an outer key is
// rotated. Data is not rewritten, so a compromised key needs new data instead.
func (r *Repository) AddKey(ctx context.Context, outer seal.Wrapper, reference string, now time.Time) error {
	if r.key == nil {
		return fmt.Errorf("add a key to %s: %w", r.URL(), ErrNoKey)
	}
	return r.addKey(ctx, outer, reference, now)
}

// addKey takes the next free number. Two Creates at once each write a key; the
// one whose repository.json loses leaves a key that names another repository
// id, which reading passes over.
func (r *Repository) addKey(ctx context.Context, outer seal.Wrapper, reference string, now time.Time) error {
	wrapped, err := r.key.WrapWith(ctx, outer, r.header.ID)
	if err != nil {
		return fmt.Errorf("wrap the repository key with %s key %s: %w", outer.Method(), outer.KeyID(), err)
	}
	data, err := json.Marshal(storedKey{
		Format: Format, Repository: r.header.ID, RepositoryKey: r.key.ID(), Method: outer.Method(), OuterKey: outer.KeyID(),
		Reference: reference, Wrapped: wrapped, Created: now.UTC(),
	})
	if err != nil {
		return err
	}
	_, err = putNext(ctx, r.store, keysPrefix, func(n int) string { return fmt.Sprintf("%d.json", n) }, data)
	if err != nil {
		return fmt.Errorf("write a key of %s: %w", r.URL(), err)
	}
	return nil
}

// putNext writes data under prefix+name(n) for the first n from 1 that is free.
func putNext(ctx context.Context, store objstore.Store, prefix string, name func(n int) string, data []byte) (int, error) {
	n := 1
	for _, err := range store.List(ctx, prefix) {
		if err != nil {
			return 0, err
		}
		n++
	}
	for {
		_, err := store.Put(ctx, prefix+name(n), data, objstore.PutOptions{
			Condition: objstore.Condition{IfAbsent: true}, ContentType: "application/json"})
		if !errors.Is(err, objstore.ErrPrecondition) {
			return n, err
		}
		n++
	}
}

// OpenOptions of Open.
type OpenOptions struct {
	// Key finds the outer key, given the references that the repository itself
	// suggests (newest first). It is called only for a sealed repository. Nil,
	// or a nil result, opens without the key: listing works, contents do not.
	Key func(ctx context.Context, references []string) (seal.Wrapper, error)
	Log *slog.Logger
}

// Open reads repository.json and, of a sealed repository, its key.
func Open(ctx context.Context, store objstore.Store, opts OpenOptions) (*Repository, error) {
	h, err := readHeader(ctx, store)
	if err != nil {
		return nil, err
	}
	r := &Repository{store: store, header: h, log: logger(opts.Log)}
	if !h.Sealed || opts.Key == nil {
		return r, nil
	}
	stored, err := r.storedKeys(ctx)
	if err != nil {
		return nil, err
	}
	var refs []string
	for _, k := range stored {
		if k.Reference != "" {
			refs = append(refs, k.Reference)
		}
	}
	outer, err := opts.Key(ctx, refs)
	if err != nil || outer == nil {
		return r, err
	}
	for _, k := range stored {
		if k.Method != outer.Method() || k.OuterKey != outer.KeyID() {
			continue
		}
		if r.key, err = seal.UnwrapRepositoryKey(ctx, outer, k.Wrapped, h.ID); err != nil {
			return nil, fmt.Errorf("open repository %s: %w", store.URL(), err)
		}
		return r, nil
	}
	var known []string
	for _, k := range stored {
		known = append(known, fmt.Sprintf("%s key %s (%s)", k.Method, k.OuterKey, k.Reference))
	}
	return nil, fmt.Errorf("open repository %s: %w: it opens with %s, the given one is %s key %s",
		store.URL(), seal.ErrWrongKey, strings.Join(known, " or "), outer.Method(), outer.KeyID())
}

func readHeader(ctx context.Context, store objstore.Store) (header, error) {
	var h header
	data, err := readSmall(ctx, store, repositoryKey, 1<<16)
	if errors.Is(err, objstore.ErrNotFound) {
		return h, fmt.Errorf("%w: %s has no %s; create it with a pgbackup_repository resource, or check the prefix", ErrNoRepository, store.URL(), repositoryKey)
	}
	if err != nil {
		return h, fmt.Errorf("open repository %s: %w", store.URL(), err)
	}
	if err := decodeOne(data, &h); err != nil {
		return h, fmt.Errorf("open repository %s: %s is %w: %w", store.URL(), repositoryKey, ErrDamaged, err)
	}
	switch {
	case h.Format > Format:
		return h, fmt.Errorf("open repository %s: %w: format %d, this pgbackup reads up to %d; use a newer pgbackup", store.URL(), ErrNewerFormat, h.Format, Format)
	case h.Format < 1 || h.ID == "":
		return h, fmt.Errorf("open repository %s: %s is %w: it has no format or id", store.URL(), repositoryKey, ErrDamaged)
	}
	return h, nil
}

// storedKeys returns the readable key objects, newest first.
func (r *Repository) storedKeys(ctx context.Context) ([]storedKey, error) {
	var keys []storedKey
	var problems []error
	for info, err := range r.store.List(ctx, keysPrefix) {
		if err != nil {
			return nil, fmt.Errorf("list keys of %s: %w", r.URL(), err)
		}
		data, err := readSmall(ctx, r.store, info.Key, 1<<16)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", info.Key, err)
		}
		var k storedKey
		if err := decodeOne(data, &k); err != nil {
			problems = append(problems, fmt.Errorf("%s is %w: %w", info.Key, ErrDamaged, err))
			continue
		}
		if k.Repository != r.header.ID {
			continue
		}
		if k.Format > Format {
			problems = append(problems, fmt.Errorf("%s: %w", info.Key, ErrNewerFormat))
			continue
		}
		keys = append([]storedKey{k}, keys...)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("open repository %s: it is encrypted but has no readable key object below %s; restore it from a version or a replica: %w", r.URL(), keysPrefix, errors.Join(append(problems, ErrDamaged)...))
	}
	return keys, nil
}

// ID identifies the repository for ever, wherever it is copied to.
func (r *Repository) ID() string { return r.header.ID }

// Sealed tells whether the repository encrypts what it stores.
func (r *Repository) Sealed() bool { return r.header.Sealed }

// HasKey tells whether contents can be read and written.
func (r *Repository) HasKey() bool { return !r.header.Sealed || r.key != nil }

// Created is when the repository was made.
func (r *Repository) Created() time.Time { return r.header.Created }

// URL names the store, without secrets.
func (r *Repository) URL() string { return r.store.URL() }

// Store is the object store below, for what has no meaning to a repository
// (probing, deploying the runner's binary).
func (r *Repository) Store() objstore.Store { return r.store }

func (r *Repository) needKey(what string) error {
	if r.HasKey() {
		return nil
	}
	return fmt.Errorf("%s in %s: %w; give --key env:NAME or file:PATH", what, r.URL(), ErrNoKey)
}

// readSmall reads a whole object of at most limit bytes.
func readSmall(ctx context.Context, store objstore.Store, key string, limit int64) ([]byte, error) {
	body, info, err := store.Get(ctx, key, objstore.GetOptions{})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if info.Size > limit {
		return nil, fmt.Errorf("%s: %w: %d bytes, at most %d are expected", key, ErrDamaged, info.Size, limit)
	}
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: %w: more than %d bytes", key, ErrDamaged, limit)
	}
	return data, nil
}

func logger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}
