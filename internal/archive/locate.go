package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// ErrChanged: pieces that were listed had made place for whole segments when they were
// read. Looking again helps.
var ErrChanged = errors.New("the WAL archive changed while it was read")

// Locate looks for the transaction or restore point of a target in the archive, newest
// first, so that Choose can take a base backup from before it. Headers tell which
// segment it is in; for a transaction that segment is read. Other targets come back as
// they are. Each header is read once, back to the oldest base backup that can be
// recovered; progress, which may be nil, is told how many of how many were.
//
// *Unreachable when it is not found on the target's timeline: it names other timelines
// that have it, and restore points of nearly that name. The end of a transaction that was
// prepared first (two-phase commit) is not found.
func Locate(ctx context.Context, r *repo.Repository, s *Survey, t Target, progress func(read, all int)) (Target, error) {
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
	all := s.candidates(timeline)
	if len(all) == 0 {
		return t, &Unreachable{Target: t, Why: s.noBase(timeline)}
	}
	l := &locating{survey: s, seen: map[place]struct{}{}, headers: headers{repo: r, archive: s.Archive, known: map[string]repo.WALInfo{}, progress: progress, forgets: true}}
	found, err := l.along(ctx, timeline, t)
	if err == nil && found == 0 && t.Timeline == 0 {
		found, err = l.beside(ctx, timeline, t)
	}
	switch {
	case err != nil:
		return t, fmt.Errorf("look for %s in the WAL archive of %s: %w", t, s.Archive, err)
	case found != 0:
		t.found = found
		return t, nil
	case l.headers.gone:
		return t, fmt.Errorf("look for %s in the WAL archive of %s: %w", t, s.Archive, ErrChanged)
	}
	return t, &Unreachable{Target: t, Why: l.nowhere(t), Windows: merge(all)}
}

// candidates are the base backups that lead to a timeline, newest first.
func (s *Survey) candidates(timeline pgwal.Timeline) []candidate {
	var all []candidate
	for _, b := range s.Bases {
		if w, has := b.Window(timeline); has && b.Problem == "" {
			all = append(all, candidate{b, w})
		}
	}
	return all
}

// locating is one search.
type locating struct {
	survey  *Survey
	headers headers
	seen    map[place]struct{} // that were looked at
	names   []string           // of restore points that were come by, newest first
}

// maxNames is how many names of restore points are kept to find one that was meant.
const maxNames = 4096

// reach is the WAL that several base backups lead to without a gap, from the oldest on.
type reach struct {
	stretch
	first uint64
	from  pgwal.LSN // of the oldest of their windows
}

// along is the end of the record of a target on the way to a timeline, 0 for none. Where
// it is before the end of every base backup that leads there, Choose says so.
func (l *locating) along(ctx context.Context, timeline pgwal.Timeline, t Target) (early pgwal.LSN, err error) {
	s := l.survey
	legs := s.cover.route(timeline)
	var reaches []reach // newest first
	for _, c := range s.candidates(timeline) {
		next := reach{first: uint64(c.base.Manifest.Physical.StartLSN) / s.cover.size, from: c.window.FromLSN}
		next.stretch = s.cover.follow(legs, next.first)
		i := slices.IndexFunc(reaches, func(r reach) bool { return r.end == next.end })
		if i < 0 {
			reaches = append(reaches, next)
			continue
		}
		reaches[i].first, reaches[i].from = min(reaches[i].first, next.first), min(reaches[i].from, next.from)
	}
	for _, r := range reaches {
		places := slices.DeleteFunc(before(legs, r.leg, r.end, r.first, r.partial, math.MaxInt), func(p place) bool {
			_, is := l.seen[p]
			l.seen[p] = struct{}{}
			return is
		})
		found, err := l.locate(ctx, s.cover.size, places, t)
		if err != nil || found > r.from {
			return found, err
		}
		early = max(early, found)
	}
	return early, nil
}

// beside looks on the other timelines, and tells of one by *Unreachable.
func (l *locating) beside(ctx context.Context, timeline pgwal.Timeline, t Target) (pgwal.LSN, error) {
	for _, line := range slices.Backward(l.survey.Timelines) {
		if line.ID == timeline {
			continue
		}
		found, err := l.along(ctx, line.ID, t)
		if err != nil {
			return 0, err
		}
		if t.found = found; found == 0 {
			continue
		}
		if other := l.survey.elsewhere(t, timeline); other != "" {
			all := l.survey.candidates(timeline)
			return 0, &Unreachable{Target: t, Why: fmt.Sprintf("it is not in the archived WAL of timeline %s", timeline) + other, Windows: merge(all)}
		}
	}
	return 0, nil
}

// nowhere says that a target was not found.
func (l *locating) nowhere(t Target) string {
	why := "it is not in the archived WAL"
	if n := len(l.headers.problems); n > 0 {
		why += fmt.Sprintf(" as far as it can be read, which %s cannot", counted(uint64(n), "file"))
	}
	if t.XID != 0 {
		return why
	}
	if len(l.names) == 0 {
		return why + ", which has no restore points"
	}
	if near, is := nearest.Name(t.Name, l.names); is {
		return why + fmt.Sprintf("; did you mean %q?", near)
	}
	const most = 5 // that are named
	text := "; the newest restore points are"
	if len(l.names) <= most {
		text = "; its restore points are"
	}
	for _, name := range l.names[:min(len(l.names), most)] {
		text += fmt.Sprintf(" %q,", name)
	}
	return why + strings.TrimSuffix(text, ",")
}

// note keeps the names of restore points.
func (l *locating) note(i repo.WALInfo) {
	for _, p := range slices.Backward(i.RestorePoints) {
		if len(l.names) < maxNames && !slices.Contains(l.names, p.Name) {
			l.names = append(l.names, p.Name)
		}
	}
}

// locate is the end of the record of a target in the newest of some segments that has
// it, 0 for none.
func (l *locating) locate(ctx context.Context, size uint64, places []place, t Target) (found pgwal.LSN, err error) {
	h := &l.headers
	var failed error
	err = h.search(ctx, size, places, func(i repo.WALInfo) bool {
		if t.Name != "" {
			l.note(i)
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
		if errors.Is(err, repo.ErrNotFound) {
			h.gone = true
			return found, nil
		}
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
