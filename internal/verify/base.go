package verify

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/basemanifest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// baseInspector reads the tar of a base backup as tarInspector does, and holds every
// file against the server's own manifest.
type baseInspector struct {
	tarInspector
	seen     *basemanifest.Seen
	inTar    hash.Hash // of the manifest that is the last file of the tar
	manifest basemanifest.Manifest
	stored   hash.Hash // of the stream of it
}

func newBaseInspector() *baseInspector {
	return &baseInspector{seen: basemanifest.NewSeen(), inTar: sha256.New()}
}

func (b *baseInspector) reader(stream string) io.WriteCloser {
	switch stream {
	case contents.StreamArchive:
		return aside(func(r io.Reader) (err error) {
			b.list, err = contents.ReadBase(r, b.entry)
			return err
		})
	case contents.StreamManifest:
		b.stored = sha256.New()
		return aside(func(r io.Reader) (err error) {
			b.manifest, err = basemanifest.Read(io.TeeReader(r, b.stored), b.seen.Check)
			return broken(err)
		})
	}
	return ignored{}
}

// entry notes one entry of the tar.
func (b *baseInspector) entry(h *tar.Header, body io.Reader) error {
	switch {
	case h.Typeflag == tar.TypeDir:
		return nil
	case h.Typeflag != tar.TypeReg:
		return fmt.Errorf("%w: entry %q of the tar is of type %q, and a data directory has files and directories", repo.ErrDamaged, h.Name, h.Typeflag)
	case h.Name == basemanifest.Name:
		b.inTar.Reset()
		_, err := io.Copy(b.inTar, body)
		return err
	}
	var sum sum32
	n, err := io.Copy(&sum, body)
	b.seen.Add(h.Name, n, uint32(sum))
	return err
}

// sum32 is a CRC-32C that is written to.
type sum32 uint32

// Write implements io.Writer.
func (s *sum32) Write(p []byte) (int, error) {
	*s = sum32(basemanifest.Sum(uint32(*s), p))
	return len(p), nil
}

// broken makes a manifest that is not right damage of the point, as is what it says of
// files that are there with another size or sum.
func broken(err error) error {
	if err == nil || errors.Is(err, io.ErrClosedPipe) {
		return err
	}
	return fmt.Errorf("%w: %w", repo.ErrDamaged, err)
}

func (b *baseInspector) compare(ctx context.Context, p *repo.Point) (stream string, err error) {
	if stream, err := b.tarInspector.compare(ctx, p); err != nil {
		return stream, err
	}
	switch {
	case b.stored == nil:
		return contents.StreamManifest, fmt.Errorf("%w: the manifest names no manifest of the server", repo.ErrDamaged)
	case !bytes.Equal(b.stored.Sum(nil), b.inTar.Sum(nil)):
		return contents.StreamManifest, fmt.Errorf("%w: the server's manifest is not the one in the tar", repo.ErrDamaged)
	}
	if err := b.seen.Complete(); err != nil {
		return contents.StreamArchive, fmt.Errorf("%w: %w", repo.ErrDamaged, err)
	}
	first, last := b.manifest.Ranges[0], b.manifest.Ranges[len(b.manifest.Ranges)-1]
	if x := p.Physical; first.Start != x.StartLSN || first.Timeline != x.Timeline || last.End != x.StopLSN {
		return contents.StreamManifest, fmt.Errorf("%w: the manifest says that the backup lies from %s to %s, the server's from %s to %s", repo.ErrDamaged, x.StartLSN, x.StopLSN, first.Start, last.End)
	}
	index, err := p.Index(ctx)
	if err == nil && index.Stream != contents.StreamArchive {
		err = fmt.Errorf("%w: the index is of %q", repo.ErrDamaged, index.Stream)
	}
	if err == nil {
		err = logical.IndexFits(p.Manifest, index)
	}
	return repo.StreamIndex, err
}
