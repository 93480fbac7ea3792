// Package objstore is the port through which pgbackup stores bytes: a flat name
// space of immutable-by-convention objects with conditional writes.
//
// What lives here: the Store interface and its contract, the typed errors, key
// validation, and decorators (retry, rate limit) that work over any Store.
// What must not: anything that knows what a backup is, and any SDK type.
//
// Two adapters implement it, objstore/s3 and objstore/dir; both pass the one
// conformance suite in objstore/storetest.
package objstore

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// Errors a caller may test for with errors.Is. Adapters wrap them with the
// operation, the key and the reason.
var (
	// ErrNotFound: the object (or the version asked for) does not exist.
	ErrNotFound = errors.New("object not found")
	// ErrPrecondition: the condition of a conditional write did not hold; the
	// store is unchanged by this call.
	ErrPrecondition = errors.New("precondition failed")
	// ErrNoBucket: the bucket or the root directory itself does not exist.
	ErrNoBucket = errors.New("no such bucket or directory")
	// ErrDenied: the store refused the credentials or the permission.
	ErrDenied = errors.New("access denied")
	// ErrNoSpace: the store is full or over quota.
	ErrNoSpace = errors.New("no space left in the store")
	// ErrInvalidKey: the key can not be stored by every adapter; see ValidKey.
	ErrInvalidKey = errors.New("invalid key")
	// ErrChecksum: the store reports other bytes than were sent.
	ErrChecksum = errors.New("checksum mismatch")
	// ErrArchived: the object is in an archive class; its bytes have to be brought
	// back before they can be read.
	ErrArchived = errors.New("archived")
	// ErrUnsupported: the store does not honour what the call needs.
	ErrUnsupported = errors.New("not supported by this store")
	// ErrLockUnknown: the store answered, and did not say whether the object is locked.
	ErrLockUnknown = errors.New("the store does not say whether it is locked")
	// ErrTransient: worth trying again (throttling, 5xx, reset connection,
	// stalled transfer). Set by adapters; acted on by Retry.
	ErrTransient = errors.New("temporary failure of the store")
)

// Info describes one stored object.
type Info struct {
	Key       string
	Size      int64     // bytes of the whole object, also of a ranged Get
	ETag      string    // opaque; only good for IfMatch; may be "" in listings
	Modified  time.Time // the store's clock, zero after writes: never orders recovery points
	VersionID string    // "" where the store keeps no versions
	// CRC64NVME is the store's own checksum over the whole object, or nil where
	// the store does not report one. Only Put and Complete always fill it.
	CRC64NVME *uint64
	// LockUntil is until when the store keeps the version from deletion, in LockMode,
	// as Head tells. Zero where it is not locked, the store has no locks, or this
	// identity may not see them.
	LockUntil time.Time
	LockMode  string
	// StorageClass is the class the object lies in, as S3 names it: "" for STANDARD
	// and where a store has no classes. Put and Complete do not fill it.
	StorageClass string
	// Archive says whether the bytes can be read, as Head tells.
	Archive Archive
}

// Condition makes a write conditional. The zero value writes always.
//
// Writers that race for a key write different bytes (a random id in them):
// after a lost answer, Retry takes an object with its own bytes for its own.
type Condition struct {
	IfAbsent bool   // only if no object has this key (S3 If-None-Match: *)
	IfMatch  string // only if the object is there with this ETag (S3 If-Match)
}

// PutOptions of Put and Create.
type PutOptions struct {
	Condition
	ContentType  string            // default application/octet-stream
	StorageClass string            // S3 storage class, "" = the bucket's default
	Tags         map[string]string // object tags; adapters without tags ignore them
	// LockUntil is until when the new version can not be deleted, in LockMode; zero
	// is not at all. A store that is no Locker fails with ErrUnsupported: it must
	// not look as if something were locked.
	LockUntil time.Time
	LockMode  string // Governance or Compliance
	// PartSize of an Upload in bytes, from MinPartSize to PartSize; 0 is PartSize.
	PartSize int
}

// GetOptions selects a part or a version. The zero value reads everything.
type GetOptions struct {
	Offset    int64  // first byte
	Length    int64  // number of bytes; 0 = to the end
	VersionID string // "" = the current version
}

// Store is a place that keeps objects. All methods are safe for concurrent use
// and honour the context. Every error names operation and key.
//
// Listings and reads see every write that returned before they began (strong
// consistency), which S3 and its serious imitators promise.
type Store interface {
	// Put writes a small object (up to 64 MiB) whole, atomically and durably:
	// after it returns the object survives a power cut, before it returns
	// nobody sees a part of it.
	Put(ctx context.Context, key string, data []byte, opts PutOptions) (Info, error)
	// Create begins a large object. Nothing is visible under key until Complete.
	Create(ctx context.Context, key string, opts PutOptions) (Upload, error)
	// Get opens an object, or a range of it, for reading. The reader fails
	// (never ends early with io.EOF) when the transfer breaks. An Offset at or
	// past the end gives an empty reader.
	Get(ctx context.Context, key string, opts GetOptions) (io.ReadCloser, Info, error)
	// Head describes an object without reading it.
	Head(ctx context.Context, key string, versionID string) (Info, error)
	// List yields every object whose key starts with prefix, in byte order of
	// keys. After an error the sequence ends.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
	// Delete removes the keys; a key that is not there is not an error. It goes
	// on after a failure and returns the joined errors of all keys that remain.
	Delete(ctx context.Context, keys ...string) error
	// AbortUploads discards every unfinished upload whose key starts with
	// prefix and returns how many there were: the litter of killed processes.
	// The caller makes sure that no live one is among them.
	AbortUploads(ctx context.Context, prefix string) (int, error)
	// PendingUploads counts the unfinished uploads under prefix.
	PendingUploads(ctx context.Context, prefix string) (int, error)
	// Above names the places above this one, nearest first, that have an object of
	// that key: shorter prefixes of the bucket, or the folders that the directory
	// lies in. Places that may not be looked at are passed over.
	Above(ctx context.Context, key string) ([]string, error)
	// URL names the store for people and messages (file:///backups,
	// s3://bucket/prefix). It holds no secret.
	URL() string
}

// PartSize is the size in bytes of every part of an Upload but the last, unless its
// options name a smaller one. MinPartSize is the least that S3 takes.
const (
	PartSize    = 8 << 20
	MinPartSize = 5 << 20
)

// MaxParts is how many parts one object may have (the S3 limit).
const MaxParts = 10_000

// Upload is one large object being written in parts.
type Upload interface {
	// Part sends part number n (1-based). Parts may be sent concurrently and in
	// any order; all but the last have the upload's PartSize. data may be used again
	// when Part returns. Sending the same number twice keeps the later one.
	Part(ctx context.Context, n int, data []byte) error
	// Complete makes the object visible, durably, if opts' condition holds. All
	// parts 1..n must have been sent. An object without parts is empty.
	Complete(ctx context.Context) (Info, error)
	// Abort discards the upload. Safe after Complete (does nothing) and twice.
	// It works with a context of its own: a cancelled caller still cleans up.
	Abort() error
}
