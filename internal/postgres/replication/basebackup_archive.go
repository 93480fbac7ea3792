package replication

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Archive is the tar of one tablespace. It is read once, to its end, before the
// next one.
type Archive struct {
	Name     string // base.tar, 16385.tar.zst
	Location string // of the tablespace on the server; "" of the data directory

	from *BaseBackup
	done bool
}

// Main tells whether it is the data directory's.
func (a *Archive) Main() bool { return a.Location == "" }

// WriteTo writes the plain tar to w, in pieces of at most some ten KiB that are
// w's until it returns.
func (a *Archive) WriteTo(w io.Writer) (int64, error) {
	switch {
	case strings.HasSuffix(a.Name, ".tar"):
		return a.plain(w)
	case strings.HasSuffix(a.Name, ".zst"):
		d, err := zstd.NewReader(&compressed{archive: a}, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
		if err != nil {
			return 0, err
		}
		defer d.Close()
		return a.decoded(d.WriteTo(w))
	case strings.HasSuffix(a.Name, ".gz"):
		d, err := gzip.NewReader(&compressed{archive: a})
		if err != nil {
			return a.decoded(0, err)
		}
		return a.decoded(d.WriteTo(w))
	case strings.HasSuffix(a.Name, ".lz4"):
		return a.decoded(lz4.NewReader(&compressed{archive: a}).WriteTo(w))
	}
	return 0, fmt.Errorf("the server sent an archive %.80q, compressed in a way that is not known", a.Name)
}

func (a *Archive) plain(w io.Writer) (total int64, err error) {
	for {
		data, err := a.more()
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, err := w.Write(data)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
}

// decoded holds that nothing follows what was compressed.
func (a *Archive) decoded(n int64, err error) (int64, error) {
	if err != nil {
		return n, fmt.Errorf("decompress %s: %w", a.Name, err)
	}
	if data, err := a.more(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = fmt.Errorf("%d bytes follow the end of %s", len(data), a.Name)
		}
		return n, err
	}
	return n, nil
}

// more is the next piece as the server sent it; io.EOF after the last one.
func (a *Archive) more() ([]byte, error) {
	if a.done {
		return nil, io.EOF
	}
	b := a.from
	if err := b.advance(); err != nil {
		a.done = true
		return nil, err
	}
	if b.data == nil {
		a.done = true
		return nil, io.EOF
	}
	return b.data, nil
}

func (a *Archive) discard() error {
	for {
		if _, err := a.more(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// compressed reads the pieces of an archive for a decompressor.
type compressed struct {
	archive *Archive
	rest    []byte
}

// Read implements io.Reader.
func (c *compressed) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		var err error
		if c.rest, err = c.archive.more(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}
