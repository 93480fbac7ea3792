package repo

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// checker decodes our own output again in line (verify = "stored"), piece by
// piece so that it needs no second chunk of memory.
type checker struct {
	codec   *codec
	dec     *zstd.Decoder
	scratch []byte
	piece   []byte
}

func newChecker(c *codec) *checker {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		panic(err) // only for invalid options
	}
	return &checker{codec: c, dec: dec, piece: make([]byte, 256<<10)}
}

func (k *checker) close() { k.dec.Close() }

// check fails when frame does not decode to exactly plain: broken memory, or a
// bug of ours, found before anybody relies on the backup.
func (k *checker) check(frame, plain []byte, pos seal.Position) error {
	bad := func(err error) error {
		return fmt.Errorf("chunk %d of object %d does not decode to what was read (broken memory?): %w: %w", pos.Chunk, pos.Object, ErrFlipped, err)
	}
	payload := frame[chunkHeader:]
	if k.codec.key != nil {
		var err error
		k.scratch, err = k.codec.key.Open(k.scratch[:0], payload, pos, frame[:chunkHeader])
		if err != nil {
			return bad(err)
		}
		payload = k.scratch
	}
	if err := k.dec.Reset(bytes.NewReader(payload)); err != nil {
		return bad(err)
	}
	for {
		n, err := io.ReadFull(k.dec, k.piece)
		if n > len(plain) || !bytes.Equal(k.piece[:n], plain[:n]) {
			return bad(errors.New("other bytes"))
		}
		plain = plain[n:]
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return bad(err)
		}
	}
	if len(plain) > 0 {
		return bad(io.ErrUnexpectedEOF)
	}
	return nil
}
