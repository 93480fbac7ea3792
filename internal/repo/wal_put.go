package repo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/minio/crc64nvme"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// PutWAL stores a file, or a piece of one, and returns when it is durable. info names
// it and says what was found in it (see WALInfo.Take); Size and SHA256 are filled in.
// What is there already with the same content is no error: already then. With another
// content it is ErrWALDiffers. No answer of the store is believed before what stands
// there was read back and is whole. It may be repeated after any error.
func (r *Repository) PutWAL(ctx context.Context, a WALArchive, info WALInfo, data []byte) (already bool, err error) {
	return r.putWAL(ctx, a, info, wholeWAL(data))
}

// PutWALFrom is PutWAL of size bytes that are not in memory: src is read a chunk at a
// time, twice where info does not have its hash, and must not change meanwhile.
func (r *Repository) PutWALFrom(ctx context.Context, a WALArchive, info WALInfo, src io.ReaderAt, size int64) (already bool, err error) {
	return r.putWAL(ctx, a, info, &storedWAL{src: src, length: size})
}

// walChunk is how much of a file is compressed and sealed at once: a server's machine
// has better uses for its memory, and nothing is found further back than 512 KiB anyway.
const walChunk = 1 << 20

// walSource is the plain bytes of a file, chunk by chunk.
type walSource interface {
	size() int64
	// chunk returns the bytes from an offset on, at most walChunk of them. They stay as
	// they are until the next call.
	chunk(from int64) ([]byte, error)
}

type wholeWAL []byte

func (w wholeWAL) size() int64 { return int64(len(w)) }
func (w wholeWAL) chunk(from int64) ([]byte, error) {
	return w[from:min(from+walChunk, int64(len(w)))], nil
}

type storedWAL struct {
	src    io.ReaderAt
	length int64
	buf    []byte
}

func (s *storedWAL) size() int64 { return s.length }
func (s *storedWAL) chunk(from int64) ([]byte, error) {
	n := min(s.length-from, walChunk)
	if s.buf == nil {
		s.buf = make([]byte, n)
	}
	read, err := s.src.ReadAt(s.buf[:n], from)
	switch {
	case int64(read) == n: // with or without io.EOF
		return s.buf[:n], nil
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("it has %d bytes, %d were expected: %w", from+int64(read), s.length, io.ErrUnexpectedEOF)
	}
	return nil, err
}

func (r *Repository) putWAL(ctx context.Context, a WALArchive, info WALInfo, src walSource) (already bool, err error) {
	f, err := NewWALFile(a, info.Name, info.PieceFrom, info.PieceTo)
	failed := func(err error) (bool, error) {
		return false, fmt.Errorf("store WAL file %s: %w", f.base(), err)
	}
	if err != nil {
		return failed(err)
	}
	if err := r.needKey("store WAL"); err != nil {
		return false, err
	}
	if err := fillWAL(&info, src); err != nil {
		return failed(err)
	}
	if err := info.checkSize(f.Kind()); err != nil {
		return failed(err)
	}
	w, err := r.newWALObject(f, info)
	if err != nil {
		return failed(err)
	}
	if w.opts, err = r.walOptions(ctx, f); err != nil {
		return failed(err)
	}
	var last error
	for attempt := range commitAttempts {
		if attempt > 0 {
			if err := pause(ctx, time.Duration(attempt)*r.pause); err != nil {
				return failed(errors.Join(last, err))
			}
		}
		err := w.put(ctx, src)
		if err == nil {
			return false, nil
		}
		if final(err) || ctx.Err() != nil {
			return failed(err)
		}
		there, readErr := r.sameWAL(ctx, f, info)
		switch {
		case readErr == nil:
			return !bytes.Equal(there, w.wrapped()), nil
		case errors.Is(readErr, ErrWALDiffers):
			return failed(readErr)
		case errors.Is(readErr, ErrDamaged), errors.Is(readErr, ErrNewerFormat), final(readErr):
			return failed(fmt.Errorf("it is there already and cannot be read; move %s away, then it is stored again: %w", f.Key(), readErr))
		case errors.Is(readErr, ErrNotFound):
			last = err
		default:
			last = errors.Join(err, readErr)
		}
	}
	return failed(last)
}

// fillWAL fills in size and hash, and holds them against what the caller says. The hash
// that the caller gives of a file is held against the file as it is stored.
func fillWAL(info *WALInfo, src walSource) error {
	hash := info.SHA256
	if _, fixed := src.(wholeWAL); fixed || hash == "" {
		sum := sha256.New()
		for at := int64(0); at < src.size(); at += walChunk {
			b, err := src.chunk(at)
			if err != nil {
				return err
			}
			sum.Write(b)
		}
		hash = hex.EncodeToString(sum.Sum(nil))
	}
	if info.SHA256 != "" && info.SHA256 != hash || info.Size != 0 && info.Size != src.size() {
		return fmt.Errorf("it has %d bytes and SHA-256 %s, but should have %d and %s: it changed while it was read", src.size(), hash, info.Size, info.SHA256)
	}
	if info.PieceTo != 0 && int64(info.PieceTo-info.PieceFrom) != src.size() {
		return fmt.Errorf("it has %d bytes", src.size())
	}
	info.SHA256, info.Size = hash, src.size()
	info.Archived = info.Archived.UTC()
	return nil
}

// walOptions: a piece goes as soon as the whole segment is there, so it is not locked.
func (r *Repository) walOptions(ctx context.Context, f WALFile) (objstore.PutOptions, error) {
	opts := objstore.PutOptions{Condition: objstore.Condition{IfAbsent: true}}
	if f.IsPiece() {
		return opts, nil
	}
	return r.locked(ctx, opts)
}

// sameWAL reads what stands under a name to its end and returns the wrapped key of it,
// or for want of one what tells it from others; ErrWALDiffers when it has another content.
func (r *Repository) sameWAL(ctx context.Context, f WALFile, info WALInfo) ([]byte, error) {
	in, err := r.openWAL(ctx, f)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	if there := in.Info(); there.SHA256 != info.SHA256 || there.Size != info.Size {
		return nil, fmt.Errorf("%w: it has SHA-256 %s (%d bytes, archived %s by %s), this one has %s (%d bytes): "+
			"two servers archive to one place, or this one was restored and not promoted to a timeline of its own; give one of them another --source",
			ErrWALDiffers, there.SHA256, there.Size, there.Archived.UTC().Format(time.RFC3339), there.Host, info.SHA256, info.Size)
	}
	if _, err := in.WriteTo(io.Discard); err != nil {
		return nil, err
	}
	return in.header.mark(), nil
}

// mark tells one writing of a file from another.
func (h walHeader) mark() []byte {
	if h.Seal != nil {
		return h.Seal.PointKey
	}
	return fmt.Append(nil, h.Archived.UTC().UnixNano(), h.Host)
}

// walObject is the stored form of a file in the making.
type walObject struct {
	repo   *Repository
	file   WALFile
	header walHeader
	head   []byte
	codec  *codec
	opts   objstore.PutOptions
}

func (r *Repository) newWALObject(f WALFile, info WALInfo) (*walObject, error) {
	w := &walObject{repo: r, file: f, header: walHeader{Format: WALFormat, Repository: r.header.ID, WALArchive: f.Archive, WALInfo: info}}
	var key *seal.PointKey
	if r.key != nil {
		var wrapped []byte
		key, wrapped = r.key.NewPointKey(walScope(r.header.ID, f)...)
		w.header.Seal = &SealHeader{Algorithm: "AES-256-GCM", RepositoryKey: r.key.ID(), PointKey: wrapped, OuterKey: r.outer}
	}
	w.codec = newWALCodec(r.header.ID, f, key)
	var err error
	w.head, err = w.header.encode(f, r.key)
	return w, err
}

// walScope is what the key of a file is bound to.
func walScope(repository string, f WALFile) []string { return []string{repository, f.Key()} }

func newWALCodec(repository string, f WALFile, key *seal.PointKey) *codec {
	c := newCodec(repository, Ref{}, key)
	sum := sha256.Sum256([]byte(repository + "/" + f.Key()))
	copy(c.tag[:], sum[:])
	return c
}

func (w *walObject) wrapped() []byte { return w.header.mark() }

// onePut is up to how many plain bytes a file is put in one request. Segments of the
// usual sizes are; larger ones are uploaded in parts, so that memory stays bounded.
const onePut = 32 << 20

// put stores the object if there is none.
func (w *walObject) put(ctx context.Context, src walSource) error {
	if src.size() > onePut {
		return w.upload(ctx, src)
	}
	out := append(make([]byte, 0, len(w.head)+chunkHeader+int(src.size()/2)), w.head...)
	err := w.encode(src, func(frame []byte) error {
		out = append(out, frame...)
		return nil
	})
	if err != nil {
		return err
	}
	sum := crc64nvme.New()
	_, _ = sum.Write(out)
	info, err := w.repo.store.Put(ctx, w.file.Key(), out, w.opts)
	return w.confirm(ctx, info, err, int64(len(out)), sum.Sum64())
}

// confirm compares what the store says it has with what was sent.
func (w *walObject) confirm(ctx context.Context, info objstore.Info, err error, size int64, sum uint64) error {
	if err != nil {
		return err
	}
	if info.Size == size && (info.CRC64NVME == nil || *info.CRC64NVME == sum) {
		return nil
	}
	// It was ours a moment ago, and left there it would keep the right one out.
	removed := w.repo.store.Delete(context.WithoutCancel(ctx), w.file.Key())
	return errors.Join(fmt.Errorf("%s: %w: the store computed another checksum over the object than we did", w.file.Key(), objstore.ErrChecksum), removed)
}

// encode gives the chunks of the file to write, in order.
func (w *walObject) encode(src walSource, write func(frame []byte) error) error {
	enc := w.codec.newEncoder()
	defer func() { _ = enc.Close() }()
	_, fixed := src.(wholeWAL) // else it may have changed since it was hashed
	plain := sha256.New()
	var frame []byte
	for at, n := int64(0), uint32(0); n == 0 || at < src.size(); n++ {
		b, err := src.chunk(at)
		if err != nil {
			return err
		}
		at += int64(len(b))
		if !fixed {
			plain.Write(b)
		}
		if frame == nil {
			frame = make([]byte, 0, chunkHeader+len(b)/2+1024)
		}
		frame = w.codec.encode(enc, frame, b, seal.Position{Chunk: n, Last: at == src.size()})
		if err := write(frame); err != nil {
			return err
		}
	}
	if !fixed && hex.EncodeToString(plain.Sum(nil)) != w.header.SHA256 {
		return errors.New("it changed while it was read")
	}
	return nil
}

// upload stores it in parts, one after the other.
func (w *walObject) upload(ctx context.Context, src walSource) error {
	up, err := w.repo.store.Create(ctx, w.file.Key(), w.opts)
	if err != nil {
		return err
	}
	defer func() {
		if err := up.Abort(); err != nil {
			w.repo.log.Warn("aborting an upload failed; the next rotation clears it", "key", w.file.Key(), "error", err)
		}
	}()
	sum := crc64nvme.New()
	part := append(make([]byte, 0, objstore.PartSize), w.head...)
	size, n := int64(0), 0
	send := func() error {
		n++
		size += int64(len(part))
		_, _ = sum.Write(part)
		err := up.Part(ctx, n, part)
		part = part[:0]
		return err
	}
	err = w.encode(src, func(frame []byte) error {
		for len(frame) > 0 {
			k := min(len(frame), objstore.PartSize-len(part))
			part = append(part, frame[:k]...)
			if frame = frame[k:]; len(part) == objstore.PartSize {
				if err := send(); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err == nil && len(part) > 0 {
		err = send()
	}
	if err != nil {
		return err
	}
	info, err := up.Complete(ctx)
	return w.confirm(ctx, info, err, size, sum.Sum64())
}

// DescribeWAL says what data is that a server calls name: for PutWAL. Of a whole segment
// that is not one to its end the error is told together with what was found; bytes of
// another segment are pgwal.ErrNotWAL. system is that of the server that wrote it, ""
// where the file does not say.
func DescribeWAL(name string, data []byte, now time.Time, host string) (info WALInfo, system string, err error) {
	return DescribeWALFrom(name, bytes.NewReader(data), now, host)
}

// DescribeWALFrom is DescribeWAL of a file that is not in memory.
func DescribeWALFrom(name string, src io.Reader, now time.Time, host string) (info WALInfo, system string, err error) {
	info = WALInfo{Name: name, Archived: now.UTC(), Host: host}
	kind, _ := pgwal.KindOfFile(name)
	switch kind {
	case pgwal.SegmentFile, pgwal.PartialFile:
	case pgwal.NoFile, pgwal.PieceFile:
		return info, "", fmt.Errorf("%.80q is no name of a file that a server archives", name)
	default:
		return info, "", nil
	}
	scan, err := pgwal.ReadSegment(src, nil)
	if err != nil {
		return info, "", fmt.Errorf("WAL file %s: %w", name, err)
	}
	seg, err := pgwal.ParseSegment(name[:24], scan.SegmentSize)
	if err == nil && (seg.Number != scan.Segment.Number || scan.Timeline > seg.Timeline) {
		err = fmt.Errorf("it says it is %s", scan.Segment.Name(scan.SegmentSize))
	}
	if err != nil {
		return info, "", fmt.Errorf("WAL file %s: %w: %w", name, pgwal.ErrNotWAL, err)
	}
	info.Take(scan)
	if kind == pgwal.SegmentFile {
		err = scan.CheckWhole()
	}
	return info, fmt.Sprint(scan.System), err
}
