package objstore

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/checksum"
)

func (r *retryStore) Create(ctx context.Context, key string, opts PutOptions) (Upload, error) {
	var up Upload
	err := r.do(ctx, "create", key, func() (err error) {
		up, err = r.Store.Create(ctx, key, opts)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &retryUpload{Upload: up, store: r, key: key, parts: Parts{Size: opts.PartSize}}, nil
}

// retryUpload keeps size and checksum of what was sent, to know its own object
// when the answer to Complete was lost.
type retryUpload struct {
	Upload
	store *retryStore
	key   string
	parts Parts
}

func (u *retryUpload) Part(ctx context.Context, n int, data []byte) error {
	err := u.store.do(ctx, "upload part of", u.key, func() error { return u.Upload.Part(ctx, n, data) })
	if err == nil {
		u.parts.Sent(n, len(data), checksum.CRC64NVME(data))
	}
	return err
}

func (u *retryUpload) Complete(ctx context.Context) (Info, error) {
	var info Info
	unsure := false
	err := u.store.do(ctx, "complete", u.key, func() (err error) {
		info, err = u.Upload.Complete(ctx)
		// Not found: the upload itself is gone, because completing it succeeded.
		if unsure && (errors.Is(err, ErrPrecondition) || errors.Is(err, ErrNotFound)) {
			return u.store.settle(err, func() (err error) {
				info, err = u.readBack(ctx)
				return err
			})
		}
		unsure = unsure || errors.Is(err, ErrTransient)
		return err
	})
	return info, err
}

// readBack compares what is stored with what was sent: by the store's own
// checksum, or where it keeps none by reading the object once.
func (u *retryUpload) readBack(ctx context.Context) (Info, error) {
	_, size, crc, err := u.parts.Whole()
	if err != nil {
		return Info{}, err
	}
	info, err := u.store.Store.Head(ctx, u.key, "")
	if err != nil {
		return Info{}, err
	}
	if info.Size != size {
		return Info{}, errOther
	}
	stored := info.CRC64NVME
	if stored == nil {
		sum, err := u.sum(ctx, info)
		if err != nil {
			return Info{}, err
		}
		stored = &sum
	}
	if *stored != crc {
		return Info{}, errOther
	}
	return info, nil
}

func (u *retryUpload) sum(ctx context.Context, info Info) (uint64, error) {
	body, _, err := u.store.Get(ctx, u.key, GetOptions{VersionID: info.VersionID})
	if err != nil {
		return 0, err
	}
	defer func() { _ = body.Close() }()
	var crc uint64
	buf := make([]byte, 256<<10)
	for {
		n, err := body.Read(buf)
		crc = checksum.Update(crc, buf[:n])
		if err == io.EOF {
			return crc, nil
		}
		if err != nil {
			return 0, fmt.Errorf("read %s back: %w", u.key, err)
		}
	}
}
