package dir

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/checksum"
)

// Create begins a file that is written in parts.
func (s *Store) Create(ctx context.Context, key string, opts objstore.PutOptions) (objstore.Upload, error) {
	if err := s.check(ctx, "create", key); err != nil {
		return nil, err
	}
	if !opts.LockUntil.IsZero() {
		return nil, s.fail("create", key, errNoLock)
	}
	t, err := s.newTemp(key)
	if err != nil {
		return nil, s.fail("create", key, err)
	}
	return &upload{store: s, key: key, cond: opts.Condition, parts: objstore.Parts{Size: opts.PartSize}, temp: t}, nil
}

// upload writes its parts in place into one temporary file.
type upload struct {
	store *Store
	key   string
	cond  objstore.Condition
	parts objstore.Parts

	mu   sync.RWMutex // parts share it, the end takes it alone
	temp *temp        // nil after Complete or Abort
}

var errEnded = errors.New("the upload has been completed or aborted")

func (u *upload) Part(ctx context.Context, n int, data []byte) error {
	fail := func(err error) error { return u.store.fail(fmt.Sprintf("write part %d of", n), u.key, err) }
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	if err := u.parts.Check(n, data); err != nil {
		return fail(err)
	}
	u.mu.RLock()
	defer u.mu.RUnlock()
	if u.temp == nil {
		return fail(errEnded)
	}
	offset := int64(n-1) * int64(u.parts.Each())
	if _, err := u.temp.file.WriteAt(data, offset); err != nil {
		return fail(err)
	}
	writeback(u.temp.file, offset, int64(len(data)))
	u.parts.Sent(n, len(data), checksum.CRC64NVME(data))
	return nil
}

func (u *upload) Complete(ctx context.Context) (objstore.Info, error) {
	fail := func(err error) (objstore.Info, error) { return objstore.Info{}, u.store.fail("complete", u.key, err) }
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.temp == nil {
		return fail(errEnded)
	}
	_, size, crc, err := u.parts.Whole()
	if err != nil {
		return fail(err)
	}
	// A last part that was sent again, shorter, leaves bytes behind.
	if err := u.temp.file.Truncate(size); err != nil {
		return fail(err)
	}
	info, err := u.store.publish(ctx, u.temp, u.key, u.cond)
	if err != nil {
		return fail(err)
	}
	_ = u.temp.discard() // the object stands; a left-over name is AbortUploads' litter
	u.temp = nil
	info.CRC64NVME = &crc
	return info, nil
}

func (u *upload) Abort() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.temp == nil {
		return nil
	}
	if err := u.temp.discard(); err != nil {
		return u.store.fail("abort the upload of", u.key, err)
	}
	u.temp = nil
	return nil
}
