package repo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// Point is an opened recovery point. Safe for concurrent use.
type Point struct {
	*Manifest
	repo  *Repository
	codec *codec
}

// Manifest reads and authenticates the manifest of a point. Without the key of
// a sealed repository it is read but not authenticated.
func (r *Repository) Manifest(ctx context.Context, ref Ref) (*Manifest, error) {
	data, err := readSmall(ctx, r.store, ref.ManifestKey(), maxManifest)
	if err != nil {
		return nil, fmt.Errorf("read manifest of %s: %w", ref, notFound(err))
	}
	if len(data) == 0 {
		return nil, fmt.Errorf("recovery point %s: %w: it was abandoned and never became one", ref, ErrNotFound)
	}
	return decodeManifest(data, ref, r.header.ID, r.header.Sealed, r.key)
}

// OpenPoint opens a point for reading its streams.
func (r *Repository) OpenPoint(ctx context.Context, ref Ref) (*Point, error) {
	if err := r.needKey("read a recovery point"); err != nil {
		return nil, err
	}
	m, err := r.Manifest(ctx, ref)
	if err != nil {
		return nil, err
	}
	p := &Point{Manifest: m, repo: r}
	var key *seal.PointKey
	if m.Seal != nil {
		if m.Seal.RepositoryKey != r.key.ID() {
			return nil, fmt.Errorf("open %s: %w: it was sealed with repository key %s, this repository has %s", ref, seal.ErrWrongKey, m.Seal.RepositoryKey, r.key.ID())
		}
		if key, err = r.key.OpenPointKey(m.Seal.PointKey, r.header.ID, ref.String()); err != nil {
			return nil, err
		}
	}
	p.codec = newCodec(r.header.ID, ref, key)
	return p, nil
}

// Index reads the point's index.
func (p *Point) Index(ctx context.Context) (*Index, error) {
	if len(p.Stream(StreamIndex)) == 0 {
		return nil, fmt.Errorf("read index of %s: %w: the manifest names none", p.Ref(), ErrDamaged)
	}
	body, err := p.Open(ctx, StreamIndex)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	x, err := decodeIndex(body)
	if err != nil {
		return nil, fmt.Errorf("read index of %s: %w", p.Ref(), err)
	}
	return x, nil
}

// Open reads a whole stream's plain bytes, checking everything there is to
// check: order, seals, checksums, sizes and both SHA-256 of every object. A
// reader that does not end in io.EOF did not deliver the stream.
func (p *Point) Open(ctx context.Context, stream string) (io.ReadCloser, error) {
	objects := p.Stream(stream)
	if len(objects) == 0 {
		return nil, fmt.Errorf("%s has no %s: %w", p.Ref(), stream, ErrNotFound)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	s := &streamReader{point: p, ctx: ctx, cancel: cancel, objects: objects, dec: newDecoder(), plain: sha256.New()}
	return s, nil
}

// streamReader decodes chunk after chunk, fetching the next one meanwhile.
type streamReader struct {
	point   *Point
	ctx     context.Context
	cancel  context.CancelCauseFunc
	objects []Object
	dec     *zstd.Decoder

	frames chan frame  // of the open object
	free   chan []byte // frame memory to use again
	plain  hash.Hash   // of the open object
	size   int64       // plain bytes of the open object so far
	buf    []byte      // decoded chunk
	rest   []byte      // of buf, not yet read
	err    error
}

type frame struct {
	data  []byte
	pos   seal.Position
	plain int
	err   error // io.EOF after the object's last frame
}

// Read implements io.Reader.
func (s *streamReader) Read(b []byte) (int, error) {
	for len(s.rest) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		if s.err = s.advance(); s.err != nil && !errors.Is(s.err, io.EOF) {
			s.err = fmt.Errorf("read %s: %w", s.point.Ref(), s.err)
		}
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// WriteTo spares io.Copy's buffer: whole chunks go to w.
func (s *streamReader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		n, err := w.Write(s.rest)
		total += int64(n)
		s.rest = s.rest[n:]
		if err != nil {
			return total, err
		}
		if s.err == nil {
			if s.err = s.advance(); s.err != nil && !errors.Is(s.err, io.EOF) {
				s.err = fmt.Errorf("read %s: %w", s.point.Ref(), s.err)
			}
		}
		if errors.Is(s.err, io.EOF) {
			return total, nil
		}
		if s.err != nil {
			return total, s.err
		}
	}
}

// Close ends reading early or late.
func (s *streamReader) Close() error {
	s.cancel(io.ErrClosedPipe)
	s.drain()
	s.dec.Close()
	return nil
}

func (s *streamReader) drain() {
	if s.frames != nil {
		for range s.frames { // until the fetcher has gone
		}
		s.frames = nil
	}
}

func (s *streamReader) advance() error {
	if s.frames == nil {
		if len(s.objects) == 0 {
			return io.EOF
		}
		s.frames, s.free = make(chan frame, 1), make(chan []byte, 3)
		s.plain.Reset()
		s.size = 0
		go s.point.fetch(s.ctx, s.objects[0], s.frames, s.free)
	}
	f, open := <-s.frames
	if !open {
		return context.Cause(s.ctx)
	}
	if errors.Is(f.err, io.EOF) {
		o := s.objects[0]
		s.objects, s.frames = s.objects[1:], nil
		if s.size != o.PlainSize || hex.EncodeToString(s.plain.Sum(nil)) != o.PlainSHA256 {
			return fmt.Errorf("object %s: %w: its plain SHA-256 is not that of the manifest", o.Name, ErrFlipped)
		}
		return nil
	}
	if f.err != nil {
		return f.err
	}
	out, err := s.point.codec.decode(s.dec, s.buf, f.data, f.pos, f.plain)
	if err != nil {
		return err
	}
	s.buf, s.rest = out, out
	s.plain.Write(out)
	s.size += int64(len(out))
	select {
	case s.free <- f.data:
	default:
	}
	return nil
}

// fetch reads an object's frames in order and its stored SHA-256 with them.
func (p *Point) fetch(ctx context.Context, o Object, frames chan<- frame, free <-chan []byte) {
	defer close(frames)
	send := func(f frame) bool {
		select {
		case frames <- f:
			return true
		case <-ctx.Done():
			return false
		}
	}
	err := p.eachFrame(ctx, o, func() []byte {
		select {
		case b := <-free:
			return b
		default:
			return nil
		}
	}, send)
	if err == nil {
		err = io.EOF
	}
	send(frame{err: err})
}

func (p *Point) eachFrame(ctx context.Context, o Object, room func() []byte, send func(frame) bool) error {
	body, info, err := p.repo.getObject(ctx, p.Ref(), o, objstore.GetOptions{})
	if err != nil {
		return fmt.Errorf("object %s: %w", o.Name, p.repo.missing(err))
	}
	defer body.Close()
	if info.Size != o.Size {
		why := ErrTruncated
		if info.Size > o.Size {
			why = fmt.Errorf("%w: it is longer than it was", ErrDamaged)
		}
		return fmt.Errorf("object %s: %w: %d bytes are stored, the manifest says %d", o.Name, why, info.Size, o.Size)
	}
	stored := sha256.New()
	in := io.TeeReader(body, stored)
	for n := range o.Chunks {
		data, last, plain, err := p.codec.readFrame(in, room(), o.Ordinal, n)
		if err != nil {
			return fmt.Errorf("object %s: %w", o.Name, err)
		}
		if last != (n == o.Chunks-1) {
			return fmt.Errorf("object %s: %w: chunk %d of %d is marked last=%v", o.Name, ErrMisplaced, n, o.Chunks, last)
		}
		if !send(frame{data: data, plain: plain, pos: seal.Position{Object: o.Ordinal, Chunk: n, Last: last}}) {
			return context.Cause(ctx)
		}
	}
	if extra, err := io.Copy(io.Discard, in); err != nil || extra > 0 {
		if err != nil {
			return fmt.Errorf("object %s: %w", o.Name, err)
		}
		return fmt.Errorf("object %s: %w: %d bytes follow its last chunk", o.Name, ErrDamaged, extra)
	}
	if hex.EncodeToString(stored.Sum(nil)) != o.SHA256 {
		return fmt.Errorf("object %s: %w: its stored SHA-256 is not that of the manifest", o.Name, ErrFlipped)
	}
	return nil
}
