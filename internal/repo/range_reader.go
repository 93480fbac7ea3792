package repo

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// Range reads the plain bytes [from,to) of the stream that x indexes, fetching
// only the chunks that hold them. Chunks are authenticated (or checked by their
// checksum) one by one; the SHA-256 of whole objects is left to Open.
func (p *Point) Range(ctx context.Context, x *Index, from, to int64) (io.ReadCloser, error) {
	if from < 0 || to < from || to > x.Size() {
		return nil, fmt.Errorf("read %s: bytes %d to %d are outside the %d of its %s", p.Ref(), from, to, x.Size(), x.Stream)
	}
	objects := map[uint32]Object{}
	for _, o := range p.Stream(x.Stream) {
		objects[o.Ordinal] = o
	}
	return &rangeReader{point: p, ctx: ctx, index: x, objects: objects, at: from, to: to, next: x.chunkAt(from), dec: newDecoder()}, nil
}

type rangeReader struct {
	point   *Point
	ctx     context.Context
	index   *Index
	objects map[uint32]Object
	at, to  int64 // plain bytes still to deliver
	next    int   // position in index.Chunks
	dec     *zstd.Decoder

	body   io.ReadCloser // of consecutive chunks of one object
	in     *bufio.Reader
	object uint32
	frame  []byte
	buf    []byte
	rest   []byte
	err    error // sticky: after a failure nothing more is delivered
}

// Read implements io.Reader.
func (r *rangeReader) Read(b []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.at >= r.to {
			return 0, io.EOF
		}
		if r.err != nil {
			return 0, r.err
		}
		if err := r.advance(); err != nil {
			r.err = fmt.Errorf("read %s: %w", r.point.Ref(), err)
			return 0, r.err
		}
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	r.at += int64(n)
	return n, nil
}

// Close implements io.Closer.
func (r *rangeReader) Close() error {
	r.dec.Close()
	if r.body != nil {
		return r.body.Close()
	}
	return nil
}

func (r *rangeReader) advance() error {
	if r.next >= len(r.index.Chunks) {
		return ErrTruncated
	}
	c := r.index.Chunks[r.next]
	if r.body == nil || r.object != c.Object {
		if err := r.open(c.Object); err != nil {
			return err
		}
	}
	o := r.objects[c.Object]
	frame, last, plain, err := r.point.codec.readFrame(r.in, r.frame, c.Object, c.Number)
	if err != nil {
		return fmt.Errorf("object %s: %w", o.Name, err)
	}
	r.frame = frame
	if last != (c.Number == o.Chunks-1) || int64(plain) != c.Plain || int64(len(frame)) != c.Stored {
		return fmt.Errorf("object %s: %w: chunk %d is not as the index says", o.Name, ErrMisplaced, c.Number)
	}
	r.buf, err = r.point.codec.decode(r.dec, r.buf, frame, seal.Position{Object: c.Object, Chunk: c.Number, Last: last}, plain)
	if err != nil {
		return fmt.Errorf("object %s: %w", o.Name, err)
	}
	lo, hi := max(r.at-c.From, 0), min(r.to-c.From, c.Plain)
	r.rest = r.buf[lo:hi]
	r.next++
	return nil
}

// open asks for the run of chunks of one object, in one request.
func (r *rangeReader) open(ordinal uint32) error {
	o, ok := r.objects[ordinal]
	if !ok {
		return fmt.Errorf("%w: the index names object %d, the manifest does not", ErrDamaged, ordinal)
	}
	if r.body != nil {
		r.body.Close()
		r.body = nil
	}
	first := r.index.Chunks[r.next]
	length := int64(0)
	for _, c := range r.index.Chunks[r.next:] {
		if c.Object != ordinal || c.From >= r.to {
			break
		}
		if c.Offset != first.Offset+length {
			return fmt.Errorf("%w: the index does not follow object %s", ErrDamaged, o.Name)
		}
		length += c.Stored
	}
	body, info, err := r.point.repo.getObject(r.ctx, r.point.Ref(), o, objstore.GetOptions{Offset: first.Offset, Length: length})
	if err != nil {
		return fmt.Errorf("object %s: %w", o.Name, r.point.repo.missing(err))
	}
	if info.Size != o.Size {
		body.Close()
		return fmt.Errorf("object %s: %w: %d bytes are stored, the manifest says %d", o.Name, ErrDamaged, info.Size, o.Size)
	}
	r.body, r.object = body, ordinal
	r.in = bufio.NewReaderSize(body, 256<<10)
	return nil
}
