package repo

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	// Check is a digest of the fields above: a flipped bit must not make another
	// repository, or one that is not sealed, out of this one.
	Check string `json:"check"`
}

// maxHeader bounds repository.json and a key object in bytes.
const maxHeader = 1 << 16

func (h header) digest() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "pgbackup repository %d %s %s %t", h.Format, h.ID, h.Created.UTC().Format(time.RFC3339Nano), h.Sealed))
	return hex.EncodeToString(sum[:8])
}

// Repository is an open repository. Safe for concurrent use.
type Repository struct {
	store  objstore.Store
	header header
	key    *seal.RepositoryKey // nil: not sealed, or opened without its key
	outer  string              // the outer key that opened key: its fingerprint or ARN
	copied bool                // it is a copy that may lag behind, see OpenOptions.Copy
	log    *slog.Logger
	pause  time.Duration // before a commit is sent again
	// patience is how long an apply waits for another one.
	patience time.Duration

	protections *protections
}

// CreateOptions of Create.
type CreateOptions struct {
	Key       seal.Wrapper // the outer key; nil makes a repository that is not sealed
	Reference string       // where the outer key is kept ("env:NAME"), for those who open it later
	Now       time.Time
	By        string // who makes it: host and user
	Log       *slog.Logger
}

// Create makes a repository on an empty place. The store must honour
// conditional writes, which is probed first. ErrExists when one is there,
// ErrPlaceTaken when it would mix with what is: see CheckPlace.
//
// repository.json comes last: until it is there, there is no repository, and a
// second Create after a crash simply starts again.
func Create(ctx context.Context, store objstore.Store, opts CreateOptions) (*Repository, error) {
	if _, err := readHeader(ctx, store); err == nil {
		return nil, fmt.Errorf("create repository at %s: %w", store.URL(), ErrExists)
	} else if !errors.Is(err, ErrNoRepository) {
		return nil, err
	}
	if err := CheckPlace(ctx, store, opts.Log); err != nil {
		return nil, err
	}
	if err := objstore.Probe(ctx, store, locksPrefix); err != nil {
		return nil, fmt.Errorf("create repository at %s: %w", store.URL(), err)
	}
	var id [16]byte
	rand.Read(id[:])
	h := header{Format: Format, ID: hex.EncodeToString(id[:]), Created: opts.Now.UTC(), Sealed: opts.Key != nil}
	r := newRepository(store, h, opts.Log)
	if err := r.refuseOrphans(ctx); err != nil {
		return nil, err
	}
	if opts.Key != nil {
		r.key, r.outer = seal.NewRepositoryKey(), opts.Key.KeyID()
		if _, err := r.addKey(ctx, opts.Key, opts.Reference, opts.Now, opts.By); err != nil {
			return nil, err
		}
	}
	r.header.Check = r.header.digest()
	data, err := json.Marshal(r.header)
	if err != nil {
		return nil, err
	}
	_, err = store.Put(ctx, repositoryKey, data, objstore.PutOptions{Condition: objstore.Condition{IfAbsent: true}, ContentType: "application/json"})
	if err != nil {
		// The answer to our own write may have been lost on the way.
		if stored, readErr := readSmall(ctx, store, repositoryKey, maxHeader); readErr == nil && string(stored) == string(data) {
			err = nil
		}
	}
	if errors.Is(err, objstore.ErrPrecondition) {
		return nil, fmt.Errorf("create repository at %s: %w (made at this moment by somebody else)", store.URL(), ErrExists)
	}
	if err != nil {
		return nil, fmt.Errorf("create repository at %s: %w", store.URL(), err)
	}
	return r, nil
}

func newRepository(store objstore.Store, h header, log *slog.Logger) *Repository {
	return &Repository{store: store, header: h, log: logger(log), pause: commitPause, patience: claimPatience, protections: &protections{}}
}

// refuseOrphans keeps a new repository, with another id and key, from being made
// over the points of one whose repository.json was lost.
func (r *Repository) refuseOrphans(ctx context.Context) error {
	for info, err := range r.store.List(ctx, manifestsPrefix) {
		if err != nil {
			return err
		}
		return fmt.Errorf("create repository at %s: there are recovery points (%s) but no %s: restore that file from a version or a replica instead of creating a new repository", r.store.URL(), info.Key, repositoryKey)
	}
	return nil
}

// OpenOptions of Open.
type OpenOptions struct {
	// Key finds the outer key, given the references that the repository itself
	// suggests (newest first). It is called only for a sealed repository, and again
	// with fewer references when the key it found can not be used at this moment
	// (seal.ErrUnavailable). Nil, or a nil result, opens without the key: listing
	// works, contents do not.
	Key func(ctx context.Context, references []string) (seal.Wrapper, error)
	// Sealed: who opens it knows that it is sealed. That must not be taken from
	// repository.json, whose digest anybody can make: one that says otherwise would
	// have forged points believed, and the next backups written in clear. ErrNotSealed.
	Sealed bool
	// Copy: the store replicates another one, object by object in no order. A point
	// whose data is not all there is ErrNotCopied then, and not damaged; it is passed
	// over as latest.
	Copy bool
	Log  *slog.Logger
}

// Open reads repository.json and, of a sealed repository, its key.
func Open(ctx context.Context, store objstore.Store, opts OpenOptions) (*Repository, error) {
	h, err := readHeader(ctx, store)
	if err != nil {
		return nil, err
	}
	if opts.Sealed && !h.Sealed {
		return nil, fmt.Errorf("open repository %s: %w, says its %s: if it was encrypted before, somebody replaced that file: restore it from a version or a replica, and trust nothing written since; if it never was, take the key away (--key, BACKUP_ENCRYPTION_KEY, key_ref of the job)", store.URL(), ErrNotSealed, repositoryKey)
	}
	r := newRepository(store, h, opts.Log)
	r.copied = opts.Copy
	if !h.Sealed || opts.Key == nil {
		return r, nil
	}
	stored, unreadable, err := r.storedKeys(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.openKey(ctx, stored, opts.Key); err != nil {
		return nil, fmt.Errorf("open repository %s: %w", store.URL(), errors.Join(append([]error{err}, unreadable...)...))
	}
	return r, nil
}

func readHeader(ctx context.Context, store objstore.Store) (header, error) {
	var h header
	data, err := readSmall(ctx, store, repositoryKey, maxHeader)
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
	case h.Check != h.digest():
		return h, fmt.Errorf("open repository %s: %s is %w: its check digest does not fit; restore it from a version or a replica", store.URL(), repositoryKey, ErrDamaged)
	}
	return h, nil
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
	return fmt.Errorf("%s in %s: %w; give --key REFERENCE, such as file:/etc/pgbackup/key", what, r.URL(), ErrNoKey)
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
