package archive

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// headers reads headers, each once.
type headers struct {
	repo     *repo.Repository
	archive  repo.WALArchive
	known    map[string]repo.WALInfo // by key; zero for one that cannot be read
	problems []error
	gone     bool // a file was removed since it was listed
	// progress of a search, nil where nobody wants to know. One that forgets keeps no
	// header that it has looked at.
	progress func(read, all int)
	forgets  bool
}

const (
	// readers is how many headers are read at once.
	readers = 16
	// lookFor is how many segments in a row without a commit are looked at for one: days of
	// a server that does nothing.
	lookFor = 4096
)

// place is a segment of a strip.
type place struct {
	strip   *strip
	segment uint64
	tail    *tail // it is unfinished
}

// files are the objects that hold a segment: of one that is there in pieces, those.
func (h *headers) files(p place, size uint64) []repo.WALFile {
	if p.tail != nil {
		return p.tail.files
	}
	if pieces := p.strip.pieces[p.segment]; pieces != nil {
		return pieces
	}
	f, err := repo.NewWALFile(h.archive, pgwal.Segment{Timeline: p.strip.timeline, Number: p.segment}.Name(size), 0, 0)
	if err != nil {
		return nil
	}
	return []repo.WALFile{f}
}

// read reads headers side by side. One that cannot be read is a problem, and zero.
func (h *headers) read(ctx context.Context, files []repo.WALFile) error {
	files = slices.DeleteFunc(slices.Clone(files), func(f repo.WALFile) bool {
		_, known := h.known[f.Key()]
		return known
	})
	infos, bad := make([]repo.WALInfo, len(files)), make([]error, len(files))
	err := parallel.Each(ctx, readers, len(files), func(ctx context.Context, i int) error {
		info, err := h.repo.WALInfo(ctx, files[i])
		if err != nil && !passable(err) {
			return err
		}
		infos[i], bad[i] = info, err
		return nil
	})
	if err != nil {
		return err
	}
	for i, f := range files {
		h.known[f.Key()] = infos[i]
		switch {
		case errors.Is(bad[i], repo.ErrNotFound):
			h.gone = true
		case bad[i] != nil:
			h.problems = append(h.problems, bad[i])
		}
	}
	return nil
}

// search reads the headers of places in order, more and more at once, until found says
// that it has what it looks for.
func (h *headers) search(ctx context.Context, size uint64, places []place, found func(repo.WALInfo) bool) error {
	all := len(places)
	for batch := 1; len(places) > 0; batch = min(batch*4, 64) {
		n := min(batch, len(places))
		var files []repo.WALFile
		for _, p := range places[:n] {
			files = append(files, h.files(p, size)...)
		}
		if err := h.read(ctx, files); err != nil {
			return err
		}
		for _, p := range places[:n] {
			for _, f := range slices.Backward(h.files(p, size)) {
				if found(h.known[f.Key()]) {
					return nil
				}
			}
		}
		if h.forgets {
			for _, f := range files {
				delete(h.known, f.Key())
			}
		}
		if places = places[n:]; h.progress != nil {
			h.progress(all-len(places), all)
		}
	}
	return nil
}

// before are the segments before the end of a stretch, newest first, down to from.
func before(legs []leg, at int, end, from uint64, partial *tail, limit int) []place {
	var places []place
	if partial != nil {
		places = append(places, place{legs[at].strip, partial.segment, partial})
	}
	for i := at; i >= 0; i-- {
		l := legs[i]
		for n := min(end, l.to); n > max(l.from, from) && len(places) < limit; n-- {
			if _, is := l.strip.at(n - 1); !is {
				return places
			}
			places = append(places, place{l.strip, n - 1, nil})
		}
		end = min(end, l.from)
	}
	return places
}

// newestIn is the last commit, and the end of the last record, of what lies before the
// end of a stretch. The end is zero where the header does not tell.
func (h *headers) newestIn(ctx context.Context, size uint64, places []place) (commit time.Time, end pgwal.LSN, err error) {
	first := true
	err = h.search(ctx, size, places, func(i repo.WALInfo) bool {
		if first {
			end, first = i.Last, false
		}
		commit = i.LastCommit
		return !commit.IsZero()
	})
	return commit, end, err
}

// firstIn is the first commit of some segments in order.
func (h *headers) firstIn(ctx context.Context, size uint64, places []place) (commit time.Time, err error) {
	err = h.search(ctx, size, places, func(i repo.WALInfo) bool {
		commit = i.FirstCommit
		return !commit.IsZero()
	})
	return commit, err
}

// maxTimedGaps is of how many gaps of a timeline the times are looked up, from the newest.
const maxTimedGaps = 50

// times replaces the times of the store by those of the server, as headers tell.
func (l *look) times() error {
	s, c := l.survey, l.cover
	for i := range s.Timelines {
		t := &s.Timelines[i]
		legs := []leg{{c.timelines[t.ID], 0, 1 << 62}}
		for j := max(0, len(t.Gaps)-maxTimedGaps); j < len(t.Gaps); j++ {
			if err := l.timeGap(legs, &t.Gaps[j]); err != nil {
				return err
			}
		}
	}
	for i := range s.Bases {
		for j := range s.Bases[i].Windows {
			if err := l.timeWindow(&s.Bases[i], &s.Bases[i].Windows[j]); err != nil {
				return err
			}
		}
	}
	legs := c.route(s.Current)
	end, is := c.newest(legs)
	if !is {
		return nil
	}
	commit, last, err := l.headers.newestIn(l.ctx, c.size, before(legs, end.leg, end.end, 0, end.partial, lookFor))
	if err != nil {
		return err
	}
	s.NewestCommit = commit
	if last != 0 && last < s.Newest {
		s.Newest = last
	}
	return nil
}

func (l *look) timeWindow(b *Base, w *Window) error {
	c := l.cover
	legs := c.route(w.Timeline)
	first := uint64(b.Manifest.Physical.StartLSN) / c.size
	end := c.follow(legs, first)
	commit, last, err := l.headers.newestIn(l.ctx, c.size, before(legs, end.leg, end.end, first, end.partial, lookFor))
	if err != nil {
		return err
	}
	w.To = later(w.From, commit)
	if last > w.FromLSN && last < w.ToLSN {
		w.ToLSN = last
	}
	if w.Gap == nil {
		return nil
	}
	gap := *w.Gap
	if err := l.timeGap(legs, &gap); err != nil {
		return err
	}
	w.Gap = &gap
	return nil
}

// timeGap fills in the commits around a gap on a route.
func (l *look) timeGap(legs []leg, g *Gap) error {
	size := l.cover.size
	from, to := uint64(g.From)/size, uint64(g.To)/size
	at := len(legs) - 1
	for i, x := range legs {
		if from < x.to {
			at = i
			break
		}
	}
	commit, _, err := l.headers.newestIn(l.ctx, size, before(legs, at, from, 0, nil, lookFor))
	if err != nil {
		return err
	}
	after, err := l.headers.firstIn(l.ctx, size, onward(legs, to, lookFor))
	if err != nil {
		return err
	}
	if !commit.IsZero() {
		g.Before = commit
	}
	if !after.IsZero() {
		g.After = after
	}
	return nil
}

// onward are the segments from one on, in order, as long as they are there.
func onward(legs []leg, from uint64, limit int) []place {
	var places []place
	for _, l := range legs {
		for n := max(from, l.from); n < l.to && len(places) < limit; n++ {
			if _, is := l.strip.at(n); !is {
				if p := l.strip.partial; p != nil && p.segment == n {
					places = append(places, place{l.strip, n, p})
				}
				return places
			}
			places = append(places, place{l.strip, n, nil})
			from = n + 1
		}
	}
	return places
}
