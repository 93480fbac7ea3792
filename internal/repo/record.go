package repo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// A record is a document about what was done, written once: the report of a drill,
// an entry of the audit log. Like a manifest it lies beside its digests, so that in
// a sealed repository nobody without the key can write that a backup was proven.

// record is one as stored.
type record struct {
	Record json.RawMessage `json:"record"`
	SHA256 []byte          `json:"sha256"`
	HMAC   []byte          `json:"hmac,omitempty"`
}

// maxRecord bounds a record in bytes: a drill of a bad backup lists differences.
const maxRecord = 16 << 20

func (r *Repository) putRecord(ctx context.Context, key string, document any) error {
	doc, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	sum := sha256.Sum256(doc)
	stored := record{Record: doc, SHA256: sum[:]}
	if r.header.Sealed {
		if err := r.needKey("write " + key); err != nil {
			return err
		}
		stored.HMAC = r.key.MAC(key, doc)
	}
	data, err := json.Marshal(stored)
	if err == nil && len(data) > maxRecord {
		err = fmt.Errorf("it has %d bytes, at most %d can be read back", len(data), maxRecord)
	}
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	_, err = r.store.Put(ctx, key, data, objstore.PutOptions{Condition: objstore.Condition{IfAbsent: true}, ContentType: "application/json"})
	return err
}

// readRecord reads one and holds it against its digests. Without the key of a
// sealed repository it is read and not authenticated, as manifests are.
func (r *Repository) readRecord(ctx context.Context, key string) ([]byte, error) {
	data, err := readSmall(ctx, r.store, key, maxRecord)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, notFound(err))
	}
	damaged := func(err error) error { return fmt.Errorf("read %s: %w: %w", key, ErrDamaged, err) }
	var stored record
	if err := decodeOne(data, &stored); err != nil {
		return nil, damaged(err)
	}
	sum := sha256.Sum256(stored.Record)
	if !bytes.Equal(sum[:], stored.SHA256) {
		return nil, damaged(errors.New("its SHA-256 is not that of its content"))
	}
	if r.header.Sealed && r.key != nil {
		if err := r.key.CheckMAC(key, stored.Record, stored.HMAC); err != nil {
			return nil, damaged(err)
		}
	}
	return stored.Record, nil
}
