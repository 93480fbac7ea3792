package contents

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// blockSize of a tar in bytes. It ends with two blocks of zeros.
const blockSize = 512

// Read reads a tar of ours to its very end with Go's own reader, and hands every
// entry to each with its bytes; each need not read them. What each leaves is read
// for the hash. Everything that a tar of ours can not be is damage: entries of
// other types, a missing end, bytes after it.
func Read(r io.Reader, each func(h *tar.Header, body io.Reader) error) (*Digest, error) {
	return read(r, newContentHash, each)
}

// ReadBase is Read of the tar of a base backup, whose list has other checksums.
func ReadBase(r io.Reader, each func(h *tar.Header, body io.Reader) error) (*Digest, error) {
	return read(r, newPageSum, each)
}

func read(r io.Reader, newSum func() fileSum, each func(h *tar.Header, body io.Reader) error) (*Digest, error) {
	in := &counted{r: r}
	archive := tar.NewReader(in)
	list := NewDigest()
	var at int64 // where the last entry ends
	for {
		at = in.n
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return list, broken(err)
		}
		e, ok := entry(h)
		if !ok {
			return list, damaged("entry %q of the tar is of type %q, which is never stored", h.Name, h.Typeflag)
		}
		sum := newSum()
		from := in.n
		body := io.TeeReader(archive, sum)
		if each != nil {
			if err := each(h, body); err != nil {
				return list, err
			}
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			return list, broken(err)
		}
		if e.Type == TypeFile {
			sum.into(&e, from)
		}
		if _, err := list.Add(e); err != nil {
			return list, err
		}
	}
	// Go's reader is content where the bytes end, and with one zero block.
	end := (at+blockSize-1)/blockSize*blockSize + 2*blockSize
	whole := in.n == end
	extra, err := io.Copy(io.Discard, in)
	switch {
	case err != nil:
		return list, broken(err)
	case !whole:
		return list, damaged("the tar has no end: it was cut off after %d bytes", in.n)
	case extra > 0:
		return list, damaged("%d bytes follow the end of the tar", extra)
	}
	return list, nil
}

// broken makes what archive/tar says of bad bytes damage; trouble in reading them
// stays what it is.
func broken(err error) error {
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, tar.ErrFieldTooLong) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("the tar can not be read: %v", err)
	}
	return err
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// ReadPoint reads the tar of a point to its end, through each, and holds it
// against the list that travelled with it.
func ReadPoint(ctx context.Context, p *repo.Point, each func(h *tar.Header, body io.Reader) error) (*Digest, error) {
	body, err := p.Open(ctx, StreamArchive)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	read := Read
	if p.Kind == string(job.KindPhysical) {
		read = ReadBase
	}
	list, err := read(body, each)
	if err != nil {
		return nil, err
	}
	return list, CheckList(ctx, p, list)
}

// CheckList holds the list and the totals of a point against what was read of its
// tar.
func CheckList(ctx context.Context, p *repo.Point, list *Digest) error {
	stored, err := p.Open(ctx, StreamEntries)
	if err != nil {
		if errors.Is(err, repo.ErrNotFound) {
			return damaged("the manifest names no list of entries")
		}
		return err
	}
	defer stored.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, stored); err != nil {
		return err
	}
	switch {
	case hex.EncodeToString(sum.Sum(nil)) != list.String():
		return damaged("the list of entries is not that of the tar")
	case p.Totals.Files != list.Files || p.Totals.Bytes != list.Bytes:
		return damaged("the manifest counts %d files with %d bytes, the tar has %d with %d", p.Totals.Files, p.Totals.Bytes, list.Files, list.Bytes)
	}
	return nil
}
