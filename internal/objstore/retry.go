package objstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"time"
)

// RetryOptions of Retry. The zero value means the defaults.
type RetryOptions struct {
	Attempts int           // tries in a row without progress, default 6
	Base     time.Duration // pause after the first failure, doubled each time, default 200ms
	Max      time.Duration // longest pause, default 20s
	Log      *slog.Logger  // told of each failure that is tried again; nil = silent
}

// Retry tries again what failed with ErrTransient; every other error is final.
// Pauses grow exponentially with jitter and end early with the context.
//
// A conditional write whose answer was lost may have happened. When a later try
// then hears ErrPrecondition, the object is read back: holding exactly what was
// to be written means the write succeeded. Writers that race for a key must
// therefore write different content (a random id in it will do). When all
// attempts fail the outcome is unknown, and the error is ErrTransient.
//
// Reads resume where they broke, pinned to the version or ETag first seen.
// Listings go on after the last key delivered.
func Retry(s Store, opts RetryOptions) Store {
	if opts.Attempts <= 0 {
		opts.Attempts = 6
	}
	if opts.Base <= 0 {
		opts.Base = 200 * time.Millisecond
	}
	if opts.Max <= 0 {
		opts.Max = 20 * time.Second
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	r := &retryStore{Store: s, opts: opts}
	beside := offered(s)
	if beside.Tagger != nil {
		beside.Tagger = retriedTagger{r, beside.Tagger}
	}
	if beside.FolderLister != nil {
		beside.FolderLister = retriedFolders{r, beside.FolderLister}
	}
	if beside.Locker != nil {
		beside.Locker = retriedLocker{r, beside.Locker}
	}
	if beside.Thawer != nil {
		beside.Thawer = retriedThawer{r, beside.Thawer}
	}
	return beside.with(r)
}

type retryStore struct {
	Store // URL, and nothing else, is passed through
	opts  RetryOptions
}

// deleteBatch bounds what one failure makes Retry repeat; it is what S3 deletes
// in one request.
const deleteBatch = 1000

func (r *retryStore) Put(ctx context.Context, key string, data []byte, opts PutOptions) (Info, error) {
	var info Info
	unsure := false
	err := r.do(ctx, "put", key, func() (err error) {
		info, err = r.Store.Put(ctx, key, data, opts)
		if unsure && errors.Is(err, ErrPrecondition) {
			return r.settle(err, func() (err error) {
				info, err = r.readBack(ctx, key, data)
				return err
			})
		}
		unsure = unsure || errors.Is(err, ErrTransient)
		return err
	})
	return info, err
}

// errOther says that the object holds something else than what we wrote.
var errOther = errors.New("the object has other content")

// settle decides a conditional write that may have happened on an earlier try:
// look returns nil when the object is ours; refused is the answer otherwise.
func (r *retryStore) settle(refused error, look func() error) error {
	err := look()
	if errors.Is(err, errOther) || errors.Is(err, ErrNotFound) {
		return refused
	}
	return err
}

func (r *retryStore) readBack(ctx context.Context, key string, want []byte) (Info, error) {
	info, err := r.Store.Head(ctx, key, "")
	if err != nil {
		return Info{}, err
	}
	if info.Size != int64(len(want)) {
		return Info{}, errOther
	}
	body, _, err := r.Store.Get(ctx, key, GetOptions{VersionID: info.VersionID})
	if err != nil {
		return Info{}, err
	}
	defer func() { _ = body.Close() }()
	got, err := io.ReadAll(io.LimitReader(body, info.Size+1))
	if err != nil {
		return Info{}, err
	}
	if !bytes.Equal(got, want) {
		return Info{}, errOther
	}
	return info, nil
}

func (r *retryStore) Get(ctx context.Context, key string, opts GetOptions) (io.ReadCloser, Info, error) {
	var body io.ReadCloser
	var info Info
	err := r.do(ctx, "get", key, func() (err error) {
		body, info, err = r.Store.Get(ctx, key, opts)
		return err
	})
	if err != nil {
		return nil, Info{}, err
	}
	return &resumingReader{ctx: ctx, store: r, key: key, opts: opts, first: info, body: body}, info, nil
}

func (r *retryStore) Above(ctx context.Context, key string) (places []string, err error) {
	err = r.do(ctx, "look above for", key, func() (err error) {
		places, err = r.Store.Above(ctx, key)
		return err
	})
	return places, err
}

func (r *retryStore) Head(ctx context.Context, key, versionID string) (info Info, err error) {
	err = r.do(ctx, "head", key, func() (err error) {
		info, err = r.Store.Head(ctx, key, versionID)
		return err
	})
	return info, err
}

// listerAfter is what a Store offers that can begin a listing behind a key.
type listerAfter interface {
	ListAfter(ctx context.Context, prefix, after string) iter.Seq2[Info, error]
}

func (r *retryStore) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		last, failures := "", 0
		for {
			err := r.listOnce(ctx, prefix, &last, &failures, yield)
			if err == nil {
				return
			}
			failures++
			if err = r.pause(ctx, "list", prefix, failures, err); err != nil {
				yield(Info{}, err)
				return
			}
		}
	}
}

// listOnce lists from *last on; nil means that all is said, to the end or as far
// as the reader wanted.
func (r *retryStore) listOnce(ctx context.Context, prefix string, last *string, failures *int, yield func(Info, error) bool) error {
	seq := r.Store.List(ctx, prefix)
	if l, ok := r.Store.(listerAfter); ok && *last != "" {
		seq = l.ListAfter(ctx, prefix, *last)
	}
	for info, err := range seq {
		if err != nil {
			return err
		}
		if *last != "" && info.Key <= *last {
			continue
		}
		*last, *failures = info.Key, 0
		if !yield(info, nil) {
			return nil
		}
	}
	return nil
}

func (r *retryStore) Delete(ctx context.Context, keys ...string) error {
	var failed []error
	for len(keys) > 0 {
		batch := keys[:min(len(keys), deleteBatch)]
		keys = keys[len(batch):]
		if err := r.do(ctx, "delete", batch[0], func() error { return r.Store.Delete(ctx, batch...) }); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

func (r *retryStore) AbortUploads(ctx context.Context, prefix string) (total int, err error) {
	err = r.do(ctx, "abort uploads", prefix, func() error {
		n, err := r.Store.AbortUploads(ctx, prefix)
		total += n
		return err
	})
	return total, err
}

func (r *retryStore) PendingUploads(ctx context.Context, prefix string) (n int, err error) {
	err = r.do(ctx, "list uploads", prefix, func() (err error) {
		n, err = r.Store.PendingUploads(ctx, prefix)
		return err
	})
	return n, err
}

// do calls f until it succeeds, fails for good or has used its attempts up.
func (r *retryStore) do(ctx context.Context, op, key string, f func() error) error {
	for failures := 1; ; failures++ {
		err := f()
		if err == nil {
			return nil
		}
		if err = r.pause(ctx, op, key, failures, err); err != nil {
			return err
		}
	}
}

// pause waits before the next try, or returns the error that ends the trying.
func (r *retryStore) pause(ctx context.Context, op, key string, failures int, err error) error {
	if !errors.Is(err, ErrTransient) {
		return err
	}
	if failures >= r.opts.Attempts {
		return fmt.Errorf("%w (tried %d times)", err, failures)
	}
	wait := r.opts.Max
	if shift := failures - 1; shift < 30 && r.opts.Base<<shift < wait {
		wait = r.opts.Base << shift
	}
	wait = wait/2 + rand.N(wait/2+1) // jitter: many clients must not come back in step
	r.opts.Log.LogAttrs(ctx, slog.LevelWarn, "trying again", slog.String("operation", op), slog.String("key", key),
		slog.Int("failures", failures), slog.Duration("wait", wait), slog.Any("error", err))
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w; before that: %w", ctx.Err(), err)
	}
}
