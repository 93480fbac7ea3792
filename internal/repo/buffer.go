package repo

import (
	"context"
	"sync/atomic"
)

// Buffer is room for one chunk of plain bytes. Its readers (compression, the
// reference reader beside it) share it and each Release it once.
type Buffer struct {
	// Bytes has the capacity of one chunk of the point; the filler sets its length.
	Bytes []byte
	size  int // of one chunk
	refs  atomic.Int32
	pool  chan *Buffer
}

// Retain adds a reader.
func (b *Buffer) Retain() { b.refs.Add(1) }

// Release ends the use of one reader; the last puts the buffer back.
func (b *Buffer) Release() {
	if b.refs.Add(-1) == 0 {
		b.Bytes = b.Bytes[:0]
		b.pool <- b // never blocks: the pool has room for every buffer
	}
}

// pool bounds the plain bytes in flight: with n buffers of size bytes, memory
// does not depend on the size of the database.
func newPool(n, size int) chan *Buffer {
	pool := make(chan *Buffer, n)
	for range n {
		pool <- &Buffer{pool: pool, size: size}
	}
	return pool
}

// take waits for a free buffer.
func take(ctx context.Context, pool chan *Buffer) (*Buffer, error) {
	select {
	case b := <-pool:
		if b.Bytes == nil { // allocated at first use: small backups stay small
			b.Bytes = make([]byte, 0, b.size)
		}
		b.refs.Store(1)
		return b, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
