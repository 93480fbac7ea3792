package repo

import (
	"bufio"
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

// WALReader reads the plain bytes of a file of an archive. Only one that ends in
// io.EOF, or whose WriteTo has no error, delivered the file: the chunks are
// authenticated one by one, the hash of the whole at the end. It belongs to one
// goroutine.
type WALReader struct {
	file   WALFile
	header walHeader
	body   io.ReadCloser
	in     *bufio.Reader
	codec  *codec
	dec    *zstd.Decoder

	chunk uint32 // the next one
	last  bool   // it was read
	frame []byte
	buf   []byte
	rest  []byte
	sum   hash.Hash
	size  int64
	err   error // sticky
}

// OpenWAL opens a whole file by the name PostgreSQL calls it. ErrNotFound when it is
// not there.
func (r *Repository) OpenWAL(ctx context.Context, a WALArchive, name string) (*WALReader, error) {
	f, err := NewWALFile(a, name, 0, 0)
	if err != nil {
		return nil, err
	}
	return r.openWAL(ctx, f)
}

// OpenWALPiece opens a piece, or any other file of a listing.
func (r *Repository) OpenWALPiece(ctx context.Context, f WALFile) (*WALReader, error) {
	return r.openWAL(ctx, f)
}

func (r *Repository) openWAL(ctx context.Context, f WALFile) (*WALReader, error) {
	if err := r.needKey("read WAL"); err != nil {
		return nil, err
	}
	body, _, err := r.store.Get(ctx, f.Key(), objstore.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("open WAL file %s: %w", f.Key(), notFound(err))
	}
	w := &WALReader{file: f, body: body, in: bufio.NewReaderSize(body, 64<<10), sum: sha256.New()}
	if err := w.begin(r); err != nil {
		_ = body.Close()
		return nil, fmt.Errorf("open WAL file %s: %w", f.Key(), err)
	}
	w.dec = newDecoder()
	return w, nil
}

func (w *WALReader) begin(r *Repository) error {
	fixed := make([]byte, walFixed)
	if _, err := io.ReadFull(w.in, fixed); err != nil {
		return cut(err, 0, 0)
	}
	n, err := walHeaderSize(fixed)
	if err != nil {
		return err
	}
	header := make([]byte, n)
	if _, err := io.ReadFull(w.in, header); err != nil {
		return cut(err, 0, 0)
	}
	if w.header, err = r.decodeWALHeader(header, w.file); err != nil {
		return err
	}
	var key *seal.PointKey
	if s := w.header.Seal; s != nil {
		if s.RepositoryKey != r.key.ID() {
			return fmt.Errorf("%w: it was sealed with repository key %s, this repository has %s", seal.ErrWrongKey, s.RepositoryKey, r.key.ID())
		}
		if key, err = r.key.OpenPointKey(s.PointKey, walScope(r.header.ID, w.file)...); err != nil {
			return err
		}
	}
	w.codec = newWALCodec(r.header.ID, w.file, key)
	return nil
}

// Info is what the header says.
func (w *WALReader) Info() WALInfo { return w.header.WALInfo }

// Read implements io.Reader.
func (w *WALReader) Read(b []byte) (int, error) {
	for len(w.rest) == 0 {
		if err := w.advance(); err != nil {
			return 0, err
		}
	}
	n := copy(b, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

// WriteTo implements io.WriterTo: whole chunks go to out.
func (w *WALReader) WriteTo(out io.Writer) (int64, error) {
	var total int64
	for {
		n, err := out.Write(w.rest)
		total += int64(n)
		if w.rest = w.rest[n:]; err != nil {
			return total, err
		}
		if err := w.advance(); errors.Is(err, io.EOF) {
			return total, nil
		} else if err != nil {
			return total, err
		}
	}
}

// Close ends reading, early or late.
func (w *WALReader) Close() error {
	w.dec.Close()
	return w.body.Close()
}

// advance decodes the next chunk; io.EOF when all was, and is right.
func (w *WALReader) advance() error {
	if w.err == nil {
		if w.err = w.next(); w.err != nil && !errors.Is(w.err, io.EOF) {
			w.err = fmt.Errorf("read WAL file %s: %w", w.file.Key(), w.err)
		}
	}
	return w.err
}

func (w *WALReader) next() error {
	if w.last {
		return w.end()
	}
	frame, last, plain, err := w.codec.readFrame(w.in, w.frame, 0, w.chunk)
	if err != nil {
		return err
	}
	w.frame = frame
	if w.size+int64(plain) > w.header.Size {
		return fmt.Errorf("%w: it has more bytes than its header says", ErrFlipped)
	}
	if cap(w.buf) < plain {
		w.buf = make([]byte, 0, plain)
	}
	out, err := w.codec.decode(w.dec, w.buf, frame, seal.Position{Chunk: w.chunk, Last: last}, plain)
	if err != nil {
		return err
	}
	w.buf, w.rest = out, out
	w.sum.Write(out)
	w.size += int64(len(out))
	w.chunk++
	w.last = last
	return nil
}

func (w *WALReader) end() error {
	if w.size != w.header.Size || hex.EncodeToString(w.sum.Sum(nil)) != w.header.SHA256 {
		return fmt.Errorf("%w: its SHA-256 is not that of its header", ErrFlipped)
	}
	switch n, err := w.in.Read(make([]byte, 1)); {
	case n > 0:
		return fmt.Errorf("%w: something follows its last chunk", ErrFlipped)
	case err != nil && !errors.Is(err, io.EOF):
		return err
	}
	return io.EOF
}
