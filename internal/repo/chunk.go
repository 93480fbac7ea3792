package repo

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// A data object is a sequence of chunks, each compressed and sealed on its own
// so that any of them can be read by range and decoded by another worker.
//
//	 0  4  magic "PGB1"
//	 4  1  flags: 1 = last chunk of the object, 2 = sealed
//	 5  3  zero
//	 8  4  ordinal of the object within the point   (big endian, as all)
//	12  4  ordinal of the chunk within the object
//	16  8  tag of the point: the first bytes of
//	       SHA-256(repository id "/" <source>/<kind>/<id> as in its keys)
//	24  4  bytes before compression
//	28  4  bytes of the payload that follows
//	32     payload: one zstd frame with its checksum, sealed where flag 2 is set
//
// The header says in clear where the chunk belongs, so that a chunk in the
// wrong place is reported as that; the seal covers the header, so that nobody
// can make it agree by editing.
const (
	chunkMagic  = "PGB1"
	chunkHeader = 32
	flagLast    = 1
	flagSealed  = 2

	// ChunkSize is the most plain bytes in one chunk. A chunk in work needs room
	// for its plain and its stored form, several are in work at once, and all of
	// it together stays well below 128 MiB.
	ChunkSize = 8 << 20
	// maxPayload bounds what a reader allocates on a header's word.
	maxPayload = ChunkSize + ChunkSize/128 + 4096

	// chunksPerObject keeps an object below 32 GiB even when nothing compresses.
	chunksPerObject = 4000
)

// frameRoom is the room in bytes that a stored chunk of size plain bytes needs at
// most: zstd adds three bytes to each 128 KiB that do not compress.
func frameRoom(size int) int { return chunkHeader + size + size/4096 + 1024 }

// What can be wrong with a chunk, each with its own words. All are ErrDamaged.
var (
	ErrTruncated  = fmt.Errorf("%w: it ends too early", ErrDamaged)
	ErrMisplaced  = fmt.Errorf("%w: a chunk is not where it belongs", ErrDamaged)
	ErrOtherPoint = fmt.Errorf("%w: a chunk of another recovery point", ErrDamaged)
	ErrFlipped    = fmt.Errorf("%w: its bytes changed", ErrDamaged)
)

// codec encodes and decodes the chunks of one point.
type codec struct {
	tag   [8]byte
	key   *seal.PointKey // nil: not sealed
	level zstd.EncoderLevel
}

func newCodec(repository string, ref Ref, key *seal.PointKey) *codec {
	c := &codec{key: key, level: zstd.SpeedFastest}
	sum := sha256.Sum256([]byte(repository + "/" + ref.path()))
	copy(c.tag[:], sum[:])
	return c
}

func (c *codec) header(pos seal.Position, plain, payload int) [chunkHeader]byte {
	var h [chunkHeader]byte
	copy(h[:], chunkMagic)
	if pos.Last {
		h[4] |= flagLast
	}
	if c.key != nil {
		h[4] |= flagSealed
	}
	binary.BigEndian.PutUint32(h[8:], pos.Object)
	binary.BigEndian.PutUint32(h[12:], pos.Chunk)
	copy(h[16:], c.tag[:])
	binary.BigEndian.PutUint32(h[24:], uint32(plain))
	binary.BigEndian.PutUint32(h[28:], uint32(payload))
	return h
}

// encode returns the stored form of one chunk in dst's memory where it fits.
func (c *codec) encode(enc *zstd.Encoder, dst, plain []byte, pos seal.Position) []byte {
	var room [chunkHeader]byte
	dst = append(dst[:0], room[:]...)
	dst = enc.EncodeAll(plain, dst)
	payload := len(dst) - chunkHeader
	if c.key == nil {
		h := c.header(pos, len(plain), payload)
		copy(dst, h[:])
		return dst
	}
	h := c.header(pos, len(plain), payload+seal.Overhead)
	copy(dst, h[:])
	sealed := c.key.Seal(dst[chunkHeader:chunkHeader], dst[chunkHeader:], pos, h[:])
	if &sealed[0] != &dst[chunkHeader] { // had to grow
		return append(dst[:chunkHeader], sealed...)
	}
	return dst[:chunkHeader+len(sealed)]
}

// readFrame reads the next stored chunk from r into buf and checks that it is
// the one that belongs at pos. io.EOF is returned as ErrTruncated: the caller
// knows from the last flag when to stop.
func (c *codec) readFrame(r io.Reader, buf []byte, object, chunk uint32) (frame []byte, last bool, plain int, err error) {
	if cap(buf) < chunkHeader {
		buf = make([]byte, chunkHeader, 1<<20)
	}
	buf = buf[:chunkHeader]
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil, false, 0, cut(err, object, chunk)
	}
	last, plain, payload, err := c.checkHeader(buf, object, chunk)
	if err != nil {
		return nil, false, 0, err
	}
	need := chunkHeader + payload
	if cap(buf) < need {
		buf = append(make([]byte, 0, need), buf...)
	}
	buf = buf[:need]
	if _, err := io.ReadFull(r, buf[chunkHeader:]); err != nil {
		return nil, false, 0, cut(err, object, chunk)
	}
	return buf, last, plain, nil
}

// cut makes an end ErrTruncated: of what is stored, and not of a connection, whose
// end says nothing about the object.
func cut(err error, object, chunk uint32) error {
	if errors.Is(err, objstore.ErrTransient) {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w, in chunk %d of object %d", ErrTruncated, chunk, object)
	}
	return err
}

func (c *codec) checkHeader(h []byte, object, chunk uint32) (last bool, plain, payload int, err error) {
	gotObject, gotChunk := binary.BigEndian.Uint32(h[8:]), binary.BigEndian.Uint32(h[12:])
	p, l := binary.BigEndian.Uint32(h[24:]), binary.BigEndian.Uint32(h[28:])
	where := fmt.Sprintf("chunk %d of object %d", chunk, object)
	switch {
	case string(h[:4]) != chunkMagic || h[5] != 0 || h[6] != 0 || h[7] != 0 || h[4]&^(flagLast|flagSealed) != 0:
		return false, 0, 0, fmt.Errorf("%w: %s does not begin like a chunk", ErrFlipped, where)
	case !bytes.Equal(h[16:24], c.tag[:]):
		return false, 0, 0, fmt.Errorf("%w stands at %s", ErrOtherPoint, where)
	case gotObject != object || gotChunk != chunk:
		return false, 0, 0, fmt.Errorf("%w: chunk %d of object %d stands at %s", ErrMisplaced, gotChunk, gotObject, where)
	case h[4]&flagSealed != 0 != (c.key != nil):
		return false, 0, 0, fmt.Errorf("%w: whether %s is sealed does not agree with the manifest", ErrFlipped, where)
	case p > ChunkSize || l > maxPayload:
		return false, 0, 0, fmt.Errorf("%w: %s claims impossible sizes", ErrFlipped, where)
	}
	return h[4]&flagLast != 0, int(p), int(l), nil
}

// open takes the seal off a frame (in place) and returns its zstd payload.
func (c *codec) open(frame []byte, pos seal.Position) ([]byte, error) {
	if c.key == nil {
		return frame[chunkHeader:], nil
	}
	payload, err := c.key.Open(frame[chunkHeader:chunkHeader], frame[chunkHeader:], pos, frame[:chunkHeader])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFlipped, err)
	}
	return payload, nil
}

// decode opens and decompresses a frame into dst's memory.
func (c *codec) decode(dec *zstd.Decoder, dst, frame []byte, pos seal.Position, plain int) ([]byte, error) {
	payload, err := c.open(frame, pos)
	if err != nil {
		return nil, err
	}
	out, err := dec.DecodeAll(payload, dst[:0])
	if err != nil {
		return nil, fmt.Errorf("%w: chunk %d of object %d: %w", ErrFlipped, pos.Chunk, pos.Object, err)
	}
	if len(out) != plain {
		return nil, fmt.Errorf("%w: chunk %d of object %d has %d plain bytes, its header says %d", ErrFlipped, pos.Chunk, pos.Object, len(out), plain)
	}
	return out, nil
}

func (c *codec) newEncoder() *zstd.Encoder {
	// One goroutine each: parallelism is over chunks. This level's hash table finds
	// nothing further back than half a MiB: on COPY text a window of 4 MiB gives
	// the same ratio (3.26) and speed with 3.5 MiB more memory, and one of 1 MiB
	// with lower memory copies so much that it is a quarter slower. The next level
	// gains 1.5 % of size for a third of the speed.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(c.level), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(true), zstd.WithWindowSize(512<<10), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err) // only for invalid options
	}
	return enc
}

func newDecoder() *zstd.Decoder {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(ChunkSize),
		zstd.WithDecodeAllCapLimit(false), zstd.WithDecoderLowmem(true))
	if err != nil {
		panic(err)
	}
	return dec
}
