package archive

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Locate looks for the transaction or restore point of a target in the archive, newest
// first, so that Choose can take a base backup from before it. Headers tell which
// segment it is in; for a transaction that segment is read. Other targets come back as
// they are. It goes back to the oldest base backup that can be recovered on the target's
// timeline: *Unreachable when it is not found up to there.
//
// The end of a transaction that was prepared first (two-phase commit) is not found.
func Locate(ctx context.Context, r *repo.Repository, s *Survey, t Target) (Target, error) {
	if err := t.Check(); err != nil {
		return t, err
	}
	if t.XID == 0 && t.Name == "" {
		return t, nil
	}
	timeline := t.Timeline
	if timeline == 0 {
		timeline = s.Current
	}
	var all []candidate
	for _, b := range s.Bases {
		if w, has := b.Window(timeline); has {
			all = append(all, candidate{b, w})
		}
	}
	not := func(why string) (Target, error) {
		return t, &Unreachable{Target: t, Why: why, Windows: merge(all)}
	}
	if len(all) == 0 {
		return not(s.noBase(timeline))
	}
	h := &headers{repo: r, archive: s.Archive, known: map[string]repo.WALInfo{}}
	legs := s.cover.route(timeline)
	for _, c := range all { // newest first: most of what is searched for older ones is known then
		first := uint64(c.base.Manifest.Physical.StartLSN) / s.SegmentSize
		end := s.cover.follow(legs, first)
		places := before(legs, end.leg, end.end, first, end.partial, int(end.end))
		found, err := h.locate(ctx, s.SegmentSize, places, t)
		if err != nil {
			return t, fmt.Errorf("look for %s in the WAL archive of %s: %w", t, s.Archive, err)
		}
		if found > c.window.FromLSN {
			t.found = found
			return t, nil
		}
	}
	return not("it is not in the archived WAL")
}

// locate is the end of the record of a target in the newest of some segments that has
// it, 0 for none.
func (h *headers) locate(ctx context.Context, size uint64, places []place, t Target) (found pgwal.LSN, err error) {
	var failed error
	err = h.search(ctx, size, places, func(i repo.WALInfo) bool {
		if t.Name != "" {
			for _, p := range i.RestorePoints {
				if p.Name == t.Name {
					found = p.At
				}
			}
			return found != 0
		}
		if i.MinXID == 0 || uint32(t.XID) < i.MinXID || uint32(t.XID) > i.MaxXID {
			return false
		}
		found, failed = h.findXID(ctx, size, places, i, uint32(t.XID))
		return found != 0 || failed != nil
	})
	if err == nil {
		err = failed
	}
	return found, err
}

// findXID reads the segment that a header describes.
func (h *headers) findXID(ctx context.Context, size uint64, places []place, info repo.WALInfo, xid uint32) (found pgwal.LSN, err error) {
	for _, p := range places {
		for _, f := range h.files(p, size) {
			if f.Name != info.Name || f.PieceFrom != info.PieceFrom || f.PieceTo != info.PieceTo {
				continue
			}
			return h.scan(ctx, h.files(p, size), xid)
		}
	}
	return 0, nil
}

// scan reads a segment, whole or in pieces, for the end of a transaction.
func (h *headers) scan(ctx context.Context, files []repo.WALFile, xid uint32) (found pgwal.LSN, err error) {
	scanner := pgwal.NewScanner(nil)
	scanner.Ended = func(e pgwal.End) {
		if e.XID == xid {
			found = e.LSN
		}
	}
	at := int64(0)
	for _, f := range files {
		err := func() error {
			in, err := h.repo.OpenWALPiece(ctx, f)
			if err != nil {
				return err
			}
			defer func() { _ = in.Close() }()
			// Pieces may overlap.
			if _, err := io.CopyN(io.Discard, in, at-int64(f.PieceFrom)); err != nil {
				return err
			}
			n, err := io.Copy(scanner, in)
			at += n
			return err
		}()
		if passable(err) {
			h.problems = append(h.problems, err)
			return found, nil
		}
		if err != nil {
			return 0, err
		}
	}
	if _, err := scanner.Scan(); err != nil && !errors.Is(err, pgwal.ErrNotWAL) {
		return 0, err
	}
	return found, nil
}
