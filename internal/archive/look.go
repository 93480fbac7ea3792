package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// Options of Look.
type Options struct {
	// Headers: the headers of the segments at the edges are read too, a few small requests
	// each. Without them the times of windows and gaps are those at which segments were
	// stored, by the store's clock, which is good for showing and not for choosing.
	Headers bool
}

// Look surveys an archive and the base backups of its source: the listings of both, the
// manifests, the history files and, where asked for, some headers. Of an archive with
// nothing in it the survey is empty. Memory does not grow with the number of segments.
func Look(ctx context.Context, r *repo.Repository, a repo.WALArchive, opts Options) (*Survey, error) {
	for looks := 1; ; looks++ {
		s, gone, err := once(ctx, r, a, opts)
		if err != nil {
			return nil, fmt.Errorf("look at the WAL archive of %s: %w", a, err)
		}
		// Pieces make place for the whole segment at any time.
		if !gone || looks == maxLooks {
			return s, nil
		}
	}
}

// maxLooks is how often an archive is looked at whose files went while it was.
const maxLooks = 3

// once is one look, and whether files that were listed had gone when they were read.
func once(ctx context.Context, r *repo.Repository, a repo.WALArchive, opts Options) (*Survey, bool, error) {
	s := &Survey{Archive: a}
	listed, err := r.List(ctx, repo.Filter{Source: a.Source, Kind: retention.KindPhysical})
	if err != nil {
		return nil, false, err
	}
	if err := r.LoadManifests(ctx, listed); err != nil {
		return nil, false, err
	}
	l := &look{ctx: ctx, repo: r, survey: s, headers: headers{repo: r, archive: a, known: map[string]repo.WALInfo{}}}
	if s.SegmentSize = segmentSize(a, listed); s.SegmentSize != 0 {
		l.cover = newCover(s.SegmentSize)
	}
	if err := l.list(); err != nil {
		return nil, false, err
	}
	if l.cover == nil {
		l.cover = newCover(pgwal.DefaultSegmentSize)
	}
	if err := l.histories(); err != nil {
		return nil, false, err
	}
	s.cover = l.cover
	s.draw(listed)
	if opts.Headers {
		if err := l.times(); err != nil {
			return nil, false, err
		}
	}
	s.Problems = append(s.Problems, l.headers.problems...)
	return s, l.headers.gone, nil
}

// segmentSize is what the newest base backup of a server says.
func segmentSize(a repo.WALArchive, listed []repo.Listed) uint64 {
	for _, b := range listed {
		if m := b.Manifest; m != nil && m.Physical != nil && m.Server.SystemIdentifier == a.System && pgwal.CheckSegmentSize(m.Physical.SegmentSize) == nil {
			return m.Physical.SegmentSize
		}
	}
	return 0
}

// look is one survey in the making.
type look struct {
	ctx     context.Context
	repo    *repo.Repository
	survey  *Survey
	cover   *cover // nil until the size of segments is known
	waiting []repo.WALFile
	history []pgwal.Timeline // of which there are history files
	headers headers
}

// maxUnreadable is how many headers in a row may be unreadable until the size of the
// server's segments is known.
const maxUnreadable = 100

func (l *look) list() error {
	for f, err := range l.repo.EachWAL(l.ctx, l.survey.Archive, 0) {
		if err != nil {
			return err
		}
		l.survey.Files++
		l.survey.Bytes += f.Stored
		switch f.Kind() {
		case pgwal.HistoryFile:
			l.history = append(l.history, f.Timeline)
		case pgwal.SegmentFile, pgwal.PieceFile:
			if err := l.add(f); err != nil {
				return err
			}
		}
	}
	if l.cover == nil && len(l.waiting) > 0 {
		return fmt.Errorf("the size of its segments cannot be told: %w", errors.Join(l.headers.problems...))
	}
	if l.cover != nil {
		l.cover.done()
	}
	return nil
}

// add counts a file, once the size of segments is known: of the first whose header can
// be read.
func (l *look) add(f repo.WALFile) error {
	if l.cover != nil {
		l.cover.add(f)
		return nil
	}
	l.waiting = append(l.waiting, f)
	info, err := l.repo.WALInfo(l.ctx, f)
	switch {
	case err == nil:
		l.survey.SegmentSize = info.SegmentSize
		l.cover = newCover(info.SegmentSize)
		for _, w := range l.waiting {
			l.cover.add(w)
		}
		l.waiting = nil
		return nil
	case passable(err) && len(l.waiting) < maxUnreadable:
		l.headers.known[f.Key()] = repo.WALInfo{}
		if errors.Is(err, repo.ErrNotFound) {
			l.headers.gone = true
		}
		l.headers.problems = append(l.headers.problems, err)
		return nil
	}
	return err
}

// passable tells the errors that say something of one file alone.
func passable(err error) bool {
	return errors.Is(err, repo.ErrDamaged) || errors.Is(err, repo.ErrNewerFormat) || errors.Is(err, repo.ErrNotFound)
}

// histories reads the history files.
func (l *look) histories() error {
	for _, t := range l.history {
		strip := l.cover.strip(t)
		h, err := ReadHistory(l.ctx, l.repo, l.survey.Archive, t)
		switch {
		case err == nil:
			strip.history = &h
		case passable(err), errors.Is(err, repo.ErrNoKey), errors.Is(err, errHistory):
			l.survey.Problems = append(l.survey.Problems, err)
		default:
			return err
		}
	}
	return nil
}

var errHistory = errors.New("it is no history file")

// maxHistory bounds what is read of a history file, in bytes.
const maxHistory = 1 << 20

// ReadHistory reads the history file of a timeline. repo.ErrNotFound when it is not there.
func ReadHistory(ctx context.Context, r *repo.Repository, a repo.WALArchive, t pgwal.Timeline) (pgwal.History, error) {
	name := pgwal.HistoryName(t)
	in, err := r.OpenWAL(ctx, a, name)
	if err != nil {
		return pgwal.History{}, err
	}
	defer func() { _ = in.Close() }()
	data, err := io.ReadAll(io.LimitReader(in, maxHistory))
	if err != nil {
		return pgwal.History{}, err
	}
	h, err := pgwal.ParseHistory(t, data)
	if err != nil {
		return h, fmt.Errorf("%s in the archive of %s: %w: %w", name, a, errHistory, err)
	}
	return h, nil
}

// draw makes of what is covered what a survey shows.
func (s *Survey) draw(listed []repo.Listed) {
	for _, strip := range s.cover.sorted() {
		t := s.cover.timelineOf(strip)
		s.Timelines = append(s.Timelines, t)
		s.Current = t.ID
	}
	s.Bases = bases(s.Archive, listed)
	for i := range s.Bases {
		if s.Bases[i].Problem == "" {
			s.cover.windows(&s.Bases[i], s.Current)
		}
	}
	if end, is := s.cover.newest(s.cover.route(s.Current)); is {
		s.Newest = end.reach
		s.NewestStored = end.stored()
	}
}

// bases are the base backups of the archive's server, with what is wrong with their data.
func bases(a repo.WALArchive, listed []repo.Listed) []Base {
	var all []Base
	at := map[string]int{}
	for _, l := range listed {
		b := Base{Ref: l.Ref, Manifest: l.Manifest}
		switch m := l.Manifest; {
		case l.Problem != nil:
			b.Problem = l.Problem.Error()
		case m != nil && m.Server.SystemIdentifier != a.System:
			continue // of a server that went by the same name
		case m == nil || m.Physical == nil:
			b.Problem = "its manifest does not say where in WAL it lies"
		case l.Condemned:
			b.Problem = "it was found bad by a verification"
		case m.Physical.StopLSN == 0 || m.Physical.StartLSN > m.Physical.StopLSN || m.Physical.Timeline == 0:
			b.Problem = fmt.Sprintf("its manifest says it lies in WAL from %s to %s", m.Physical.StartLSN, m.Physical.StopLSN)
		}
		at[l.ID] = len(all)
		all = append(all, b)
	}
	for i := range all {
		all[i].Problem = chainProblem(all, at, i)
	}
	return all
}

// chainProblem is what is wrong with a base backup or one that it builds on.
func chainProblem(all []Base, at map[string]int, i int) string {
	if all[i].Problem != "" {
		return all[i].Problem
	}
	child := all[i]
	for range all {
		if child.Ref.Parent == "" {
			return ""
		}
		p, is := at[child.Ref.Parent]
		if !is {
			return "it builds on " + child.Ref.Parent + ", which is gone"
		}
		if all[p].Problem != "" {
			return "it builds on " + all[p].Ref.ID + ": " + all[p].Problem
		}
		child = all[p]
	}
	return "what it builds on builds on itself"
}

// windows fills in what can be recovered from a base backup, or its problem.
func (c *cover) windows(b *Base, current pgwal.Timeline) {
	p := b.Manifest.Physical
	first := uint64(p.StartLSN) / c.size
	for _, strip := range c.sorted() {
		if !c.leads(p.Timeline, p.StopLSN, strip.timeline) {
			continue
		}
		legs := c.route(strip.timeline)
		end := c.follow(legs, first)
		arrives := end.leg == len(legs)-1
		if end.reach < p.StopLSN || !arrives && strip.timeline != current && strip.timeline != p.Timeline {
			continue
		}
		b.Windows = append(b.Windows, Window{Timeline: strip.timeline, From: p.Stopped, FromLSN: p.StopLSN,
			To: later(p.Stopped, end.storedTime(legs)), ToLSN: end.reach, Gap: end.missing})
	}
	if len(b.Windows) == 0 {
		end := c.follow(append(c.route(p.Timeline), leg{&strip{timeline: p.Timeline}, 0, 1 << 63}), first)
		b.Problem = fmt.Sprintf("WAL that it needs to be consistent is not archived: it goes from %s to %s on timeline %s, and the archive has it up to %s", p.StartLSN, p.StopLSN, p.Timeline, end.reach)
		if end.reach <= p.StartLSN {
			b.Problem = fmt.Sprintf("WAL that it needs to be consistent is not archived: it goes from %s to %s on timeline %s", p.StartLSN, p.StopLSN, p.Timeline)
		}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
