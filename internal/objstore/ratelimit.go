package objstore

import (
	"context"
	"errors"
	"io"

	"golang.org/x/time/rate"
)

// RateLimit holds the bytes sent to s and read from it, together, at
// bytesPerSecond on average. A part is waited for and then sent at full speed.
// Zero or less means no limit.
func RateLimit(s Store, bytesPerSecond int64) Store {
	if bytesPerSecond <= 0 {
		return s
	}
	// A quarter of a second of burst keeps small requests from stuttering.
	burst := max(int(min(bytesPerSecond/4, 8<<20)), 4<<10)
	limited := &limitedStore{Store: s, limit: rate.NewLimiter(rate.Limit(bytesPerSecond), burst)}
	return offered(s).with(limited) // what is beside moves no bytes worth counting
}

type limitedStore struct {
	Store
	limit *rate.Limiter
}

// wait until n more bytes may pass.
func (l *limitedStore) wait(ctx context.Context, n int) error {
	for n > 0 {
		chunk := min(n, l.limit.Burst())
		if err := l.limit.WaitN(ctx, chunk); err != nil {
			// The limiter refuses at once when the deadline is too near to keep.
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return context.DeadlineExceeded
		}
		n -= chunk
	}
	return nil
}

func (l *limitedStore) Put(ctx context.Context, key string, data []byte, opts PutOptions) (Info, error) {
	if err := l.wait(ctx, len(data)); err != nil {
		return Info{}, err
	}
	return l.Store.Put(ctx, key, data, opts)
}

func (l *limitedStore) Create(ctx context.Context, key string, opts PutOptions) (Upload, error) {
	up, err := l.Store.Create(ctx, key, opts)
	if err != nil {
		return nil, err
	}
	return &limitedUpload{Upload: up, store: l}, nil
}

func (l *limitedStore) Get(ctx context.Context, key string, opts GetOptions) (io.ReadCloser, Info, error) {
	body, info, err := l.Store.Get(ctx, key, opts)
	if err != nil {
		return nil, Info{}, err
	}
	return &limitedReader{ReadCloser: body, ctx: ctx, store: l}, info, nil
}

type limitedUpload struct {
	Upload
	store *limitedStore
}

func (u *limitedUpload) Part(ctx context.Context, n int, data []byte) error {
	if err := u.store.wait(ctx, len(data)); err != nil {
		return err
	}
	return u.Upload.Part(ctx, n, data)
}

type limitedReader struct {
	io.ReadCloser
	ctx   context.Context
	store *limitedStore
}

func (r *limitedReader) Read(p []byte) (int, error) {
	// Small steps: a big buffer must not turn the limit into bursts and gaps.
	if b := r.store.limit.Burst(); len(p) > b {
		p = p[:b]
	}
	n, err := r.ReadCloser.Read(p)
	if n > 0 {
		if werr := r.store.wait(r.ctx, n); werr != nil && (err == nil || errors.Is(err, io.EOF)) {
			err = werr
		}
	}
	return n, err
}
