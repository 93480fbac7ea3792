// Package tarstream stores a tar and the list of its entries as the two streams
// of a point, and reads the tar back from the very bytes that are stored.
//
// What lives here: the tee between writer, reader and repository. What must not:
// where files come from (packages files and config), what the list looks like
// (package contents).
package tarstream

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Reference names the reader that read the whole tar back.
const Reference = "archive/tar"

// Writer adds entries to the tar of a point. Its methods belong to one goroutine.
//
//	Add ─> tar ─┬─> stream archive: compress, seal, store
//	            └─> Go's reader ─> its own list ─┐
//	Add ─> list ─┬─> stream entries              ├─ equal, or no backup
//	             └─> digest ─────────────────────┘
type Writer struct {
	tar  *tar.Writer
	list *contents.Digest
	into io.Writer // the stream of the list
}

// Store writes the tar that fill adds to, and returns its totals. The tar is good
// when Go's reader found in it what was added, to the last byte, and nothing else.
func Store(ctx context.Context, w *point.Writing, fill func(ctx context.Context, t *Writer) error) (repo.Totals, error) {
	archive := w.NewStream(ctx, contents.StreamArchive)
	ctx = archive.Context()
	entries := w.Stream(ctx, contents.StreamEntries, 1)

	read, feed := io.Pipe()
	type verdict struct {
		list *contents.Digest
		err  error
	}
	verdicts := make(chan verdict, 1)
	go func() {
		list, err := contents.Read(read, nil)
		if err != nil {
			err = fmt.Errorf("read the tar back: %w", err)
		}
		read.CloseWithError(err)
		verdicts <- verdict{list, err}
	}()

	t := &Writer{tar: tar.NewWriter(io.MultiWriter(archive, feed)), list: contents.NewDigest(), into: entries}
	err := fill(ctx, t)
	if err == nil {
		err = t.tar.Close()
	}
	feed.CloseWithError(err)
	back := <-verdicts
	if err == nil {
		err = back.err
	}
	if err == nil && back.list.String() != t.list.String() {
		err = errors.New("the tar that was read back is not the one that was written: nothing is stored; look at the memory of this machine")
	}
	if err == nil && t.list.Count == 0 {
		err = point.ErrEmpty
	}
	if err != nil {
		entries.Fail(err)
	}
	_, listErr := entries.Close()
	if err == nil {
		err = listErr
	}
	if err = archive.Close(err); err != nil {
		return repo.Totals{}, err
	}
	return repo.Totals{Files: t.list.Files, Bytes: t.list.Bytes}, nil
}

// Add adds one entry. Of a file exactly h.Size bytes are taken from body, whose
// failure ends everything: the tar can not go on in the middle of a file.
func (t *Writer) Add(h *tar.Header, body io.Reader) error {
	h.Format = tar.FormatPAX
	if h.ModTime.IsZero() {
		h.ModTime = time.Unix(0, 0) // as tar writes it, so that the lists agree
	}
	if err := t.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	sum := ""
	if h.Typeflag == tar.TypeReg {
		hash := sha256.New()
		if _, err := io.CopyN(t.tar, io.TeeReader(body, hash), h.Size); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
		sum = hex.EncodeToString(hash.Sum(nil))
	}
	line, err := t.list.Add(contents.Of(h, sum))
	if err != nil {
		return err
	}
	_, err = t.into.Write(line)
	return err
}

// AddBytes adds a file that is in memory.
func (t *Writer) AddBytes(name string, data []byte, modified time.Time) error {
	return t.Add(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: int64(len(data)), ModTime: modified}, bytes.NewReader(data))
}
