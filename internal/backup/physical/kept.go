package physical

import (
	"bytes"
	"io"

	"github.com/klauspost/compress/zstd"
)

// kept holds the server's manifest in memory until its size is known, which a tar
// has to say first: compressed, since it names every file and is mostly the same words.
type kept struct {
	packed bytes.Buffer
	enc    *zstd.Encoder
	size   int64
}

func newKept() (*kept, error) {
	k := &kept{}
	var err error
	k.enc, err = zstd.NewWriter(&k.packed, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(512<<10), zstd.WithLowerEncoderMem(true))
	return k, err
}

// Write implements io.Writer.
func (k *kept) Write(b []byte) (int, error) {
	n, err := k.enc.Write(b)
	k.size += int64(n)
	return n, err
}

// Close ends writing.
func (k *kept) Close() error { return k.enc.Close() }

// open reads it from the beginning.
func (k *kept) open() (io.ReadCloser, error) {
	d, err := zstd.NewReader(bytes.NewReader(k.packed.Bytes()), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}
