package fetch

import (
	"context"
	"io"
	"slices"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// pieces places what a receiver stored of the last segment, which is not finished, with
// zeros after it: recovery ends there as it does at the end of any log. ErrNotFound when
// there is nothing of it.
func (f *fetcher) pieces(ctx context.Context) error {
	if kind, _ := pgwal.KindOfFile(f.Name); kind != pgwal.SegmentFile {
		return repo.ErrNotFound
	}
	found, err := f.repo.WALNamed(ctx, f.archive, f.Name)
	if err != nil {
		return err
	}
	parts := contiguous(slices.DeleteFunc(found, func(file repo.WALFile) bool { return !file.IsPiece() }))
	if len(parts) == 0 {
		return repo.ErrNotFound
	}
	all, err := f.cover(ctx, parts)
	if err != nil {
		return err
	}
	later := ""
	if !all {
		if later, err = f.laterThan(ctx); err != nil {
			return err
		}
	}
	if later != "" {
		f.Log.Warn("a segment was never finished, and the log goes on after it: there is a gap, in which recovery ends", "segment", f.Name, "next", later)
		return repo.ErrNotFound
	}
	err = place(f.to, func(out io.Writer) error { return f.join(ctx, parts, out) })
	if err == nil {
		f.result.Pieces = len(parts)
	}
	return err
}

// cover tells whether pieces are all of a segment: a receiver that was killed may not have
// put the whole file in their place. The log then goes on after them.
func (f *fetcher) cover(ctx context.Context, parts []repo.WALFile) (bool, error) {
	info, err := f.repo.WALInfo(ctx, parts[len(parts)-1])
	return err == nil && uint64(info.PieceTo) == info.SegmentSize, err
}

// contiguous picks the pieces that cover the segment from its beginning on, as far as
// they do. They may overlap: a receiver that was started again may store a part of what
// it had.
func contiguous(pieces []repo.WALFile) []repo.WALFile {
	slices.SortFunc(pieces, func(a, b repo.WALFile) int {
		if a.PieceFrom != b.PieceFrom {
			return int(int64(a.PieceFrom) - int64(b.PieceFrom))
		}
		return int(int64(b.PieceTo) - int64(a.PieceTo)) // of those that begin alike the longest
	})
	var chosen []repo.WALFile
	end := uint32(0)
	for i := 0; i < len(pieces); {
		best := -1
		for ; i < len(pieces) && pieces[i].PieceFrom <= end; i++ {
			if best < 0 || pieces[i].PieceTo > pieces[best].PieceTo {
				best = i
			}
		}
		if best < 0 || pieces[best].PieceTo <= end {
			break
		}
		chosen = append(chosen, pieces[best])
		end = pieces[best].PieceTo
	}
	return chosen
}

// laterThan names a segment of the same timeline after the one that is asked for; "" for
// none.
func (f *fetcher) laterThan(ctx context.Context) (string, error) {
	for file, err := range f.repo.EachWAL(ctx, f.archive, f.file(f.Name).Timeline) {
		if err != nil {
			return "", err
		}
		switch file.Kind() {
		case pgwal.SegmentFile, pgwal.PieceFile:
			if file.Name > f.Name {
				return file.Name, nil
			}
		}
	}
	return "", nil
}

// join writes the pieces, and zeros up to the size of the segment.
func (f *fetcher) join(ctx context.Context, parts []repo.WALFile, out io.Writer) error {
	var at, size uint64
	for _, p := range parts {
		n, err := f.part(ctx, p, at, out)
		if err != nil {
			return err
		}
		at, size = uint64(p.PieceTo), n
	}
	zeros := make([]byte, min(64<<10, size-at))
	for at < size {
		n, err := out.Write(zeros[:min(uint64(len(zeros)), size-at)])
		if err != nil {
			return err
		}
		at += uint64(n)
	}
	return nil
}

// part writes a piece from a position in the segment on, and tells the segment's size.
func (f *fetcher) part(ctx context.Context, p repo.WALFile, at uint64, out io.Writer) (uint64, error) {
	in, err := f.repo.OpenWALPiece(ctx, p)
	if err != nil {
		return 0, err
	}
	defer func() { _ = in.Close() }()
	if _, err := io.CopyN(io.Discard, in, int64(at)-int64(p.PieceFrom)); err != nil {
		return 0, err
	}
	_, err = in.WriteTo(out)
	return in.Info().SegmentSize, err
}
