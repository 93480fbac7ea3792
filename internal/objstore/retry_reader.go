package objstore

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// resumingReader goes on with a new request where the last one broke.
type resumingReader struct {
	ctx      context.Context
	store    *retryStore
	key      string
	opts     GetOptions
	first    Info          // what the first request described: the object we stay with
	body     io.ReadCloser // nil after a break
	read     int64         // bytes delivered so far
	failures int           // since the last byte
}

func (r *resumingReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if r.body == nil {
			if err := r.reopen(); err != nil {
				return 0, err
			}
		}
		n, err := r.body.Read(p)
		if n > 0 {
			r.read += int64(n)
			r.failures = 0
		}
		if err == nil || err == io.EOF || !errors.Is(err, ErrTransient) {
			return n, err
		}
		_ = r.body.Close()
		r.body = nil
		r.failures++
		if err := r.store.pause(r.ctx, "read", r.key, r.failures, err); err != nil {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
	}
}

// reopen asks for the rest, of the same version.
func (r *resumingReader) reopen() error {
	opts := r.opts
	opts.Offset += r.read
	if opts.Length > 0 {
		if opts.Length -= r.read; opts.Length <= 0 {
			r.body = io.NopCloser(eof{})
			return nil
		}
	}
	if opts.VersionID == "" {
		opts.VersionID = r.first.VersionID
	}
	return r.store.do(r.ctx, "go on reading", r.key, func() error {
		body, info, err := r.store.Store.Get(r.ctx, r.key, opts)
		if err != nil {
			return err
		}
		if info.ETag != r.first.ETag || info.Size != r.first.Size {
			_ = body.Close()
			return fmt.Errorf("read %s: the object was replaced while it was read; read it again", r.key)
		}
		r.body = body
		return nil
	})
}

func (r *resumingReader) Close() error {
	if r.body == nil {
		return nil
	}
	return r.body.Close()
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }
