package repo

import (
	"cmp"
	"context"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// History is what is known, from keys and times of objects alone, of every
// recovery point there is or was: enough to say which points were there, held or
// condemned at any moment. It does not change; several goroutines may read it.
type History struct {
	points []entry // newest first
}

// entry is one point as of the listing, small: there may be a million.
type entry struct {
	Ref
	key       string // of the manifest, or of the tombstone of a deleted point
	problem   error
	start     int64 // seconds since 1970
	committed int64 // nanoseconds since 1970
	deleted   int64 // nanoseconds since 1970, noTime for a point that is there
	marks     *pointMarks
}

const noTime = math.MinInt64

// nanos are the nanoseconds since 1970, of a time they can not count to the
// nearest they can: an id may say any year.
func nanos(t time.Time) int64 {
	switch year := t.Year(); {
	case year < 1700:
		return noTime + 1
	case year > 2250:
		return math.MaxInt64
	}
	return t.UnixNano()
}

// pointMarks are the marks of one point, in the order of their keys.
type pointMarks struct{ holds, condemned, tiers []placedMark }

var noMarks = &pointMarks{}

// Moment is when something happened that a decision about the points of a source
// and kind may depend on: one was committed or deleted, or was held, released,
// condemned or cleared.
type Moment struct {
	At     time.Time
	Source string
	Kind   string
}

// History lists the points, the tombstones and the marks that the filter
// matches: nothing but LISTs, several at once.
//
// Of a deleted point the parent, the size and when it was committed are not known
// from its keys; its Tombstone has them. Until that is asked it counts from its start.
func (r *Repository) History(ctx context.Context, f Filter) (*History, error) {
	return r.history(ctx, f, manifestsPrefix, holdsPrefix, condemnedPrefix, tiersPrefix, tombstonesPrefix)
}

func (r *Repository) history(ctx context.Context, f Filter, families ...string) (*History, error) {
	found, err := scan(ctx, r, f, families, func(family string, infos iter.Seq[objstore.Info]) scanned {
		switch family {
		case manifestsPrefix:
			return scanned{points: readManifestKeys(infos, f)}
		case tombstonesPrefix:
			return scanned{deleted: readTombstoneKeys(infos, f)}
		}
		return scanned{family: family, marks: readMarkKeys(infos, family)}
	})
	if err != nil {
		return nil, err
	}
	return assemble(found), nil
}

// scanned is what one listing gave.
type scanned struct {
	points  []entry
	deleted []entry
	family  string
	marks   map[string][]placedMark // by path
}

// assemble puts the parts of a scan together.
func assemble(found []scanned) *History {
	marks := map[string]*pointMarks{} // by path
	total, tombstones := 0, false
	for _, s := range found {
		total += len(s.points) + len(s.deleted)
		tombstones = tombstones || len(s.deleted) > 0
		for path, list := range s.marks {
			if marks[path] == nil {
				marks[path] = &pointMarks{}
			}
			marks[path].set(s.family, list)
		}
	}
	points := make([]entry, 0, total)
	live := map[string]bool{}
	for _, s := range found {
		points = append(points, s.points...)
		for i := range s.points {
			if tombstones {
				live[s.points[i].path()] = true
			}
		}
	}
	for _, s := range found {
		for _, e := range s.deleted {
			// With its manifest there, a tombstone is only what a deletion left that
			// died before it removed anything.
			if !live[e.path()] {
				points = append(points, e)
			}
		}
	}
	for i := range points {
		if points[i].marks = noMarks; len(marks) > 0 {
			if m := marks[points[i].path()]; m != nil {
				points[i].marks = m
			}
		}
	}
	return &History{points: newestFirst(points)}
}

func (m *pointMarks) set(family string, list []placedMark) {
	switch family {
	case holdsPrefix:
		m.holds = list
	case condemnedPrefix:
		m.condemned = list
	case tiersPrefix:
		m.tiers = list
	}
}

// path is what the keys of the point's marks share, taken from its own key.
func (e *entry) path() string {
	_, path, _ := strings.Cut(e.key, "/")
	path, _, _ = strings.Cut(strings.TrimSuffix(path, ".json"), "~")
	return path
}

// newestFirst orders by start, equal starts by id and then key, without moving a
// million entries about more than once.
func newestFirst(points []entry) []entry {
	order := make([]int32, len(points))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(x, y int32) int {
		a, b := &points[x], &points[y]
		if a.start != b.start {
			return cmp.Compare(b.start, a.start)
		}
		return cmp.Or(cmp.Compare(b.ID, a.ID), cmp.Compare(a.key, b.key))
	})
	sorted := make([]entry, len(points))
	for i, at := range order {
		sorted[i] = points[at]
	}
	return sorted
}

// readManifestKeys makes points of the keys of manifests. A key that is not
// understood becomes a point with a Problem.
func readManifestKeys(infos iter.Seq[objstore.Info], f Filter) []entry {
	var points []entry
	var parser refParser
	for info := range infos {
		ref, start, err := parser.parse(info.Key, manifestsPrefix)
		if err == nil && (info.Size == 0 || f.Kind != "" && ref.Kind != f.Kind) {
			continue // of 0 bytes: abandoned and fenced, never was a point
		}
		e := entry{Ref: ref, key: info.Key, start: start.Unix(), committed: nanos(info.Modified), deleted: noTime}
		if err != nil {
			e.problem = damagedKey(err)
		} else {
			e.committed = nanos(committed(start, info.Modified))
		}
		points = append(points, e)
	}
	return points
}

func readTombstoneKeys(infos iter.Seq[objstore.Info], f Filter) []entry {
	var points []entry
	var parser refParser
	for info := range infos {
		ref, start, err := parser.parse(info.Key, tombstonesPrefix)
		if err != nil || f.Kind != "" && ref.Kind != f.Kind {
			continue // a stranger's file says nothing about a point
		}
		points = append(points, entry{Ref: ref, key: info.Key, start: start.Unix(), committed: nanos(start), deleted: nanos(info.Modified)})
	}
	return points
}

// commitWithin is how long after its start a point's manifest may be written. A
// later time of the object is that of a copy of the repository.
const commitWithin = 8 * 24 * time.Hour

// committed is the moment from which on a point was there. An object is never
// older than what is copied from it, so one from before the start tells of a
// clock that was ahead, and of a point that was there all the same.
func committed(start, modified time.Time) time.Time {
	if modified.After(start.Add(commitWithin)) {
		return start
	}
	return modified
}

// At gives the points that were there at t, newest first: those committed by
// then and not deleted yet, with the marks they had. A manifest key that is not
// understood is a point with its Problem.
//
// The time of a copied object is that of the copy: in a copied repository the
// marks and the deletions of before the copy seem to have happened at it.
func (h *History) At(t time.Time) []Listed {
	var points []Listed
	at := nanos(t)
	for i := range h.points {
		if e := &h.points[i]; e.committed <= at && (e.deleted == noTime || e.deleted > at) {
			points = append(points, e.asOf(func(m placedMark) bool { return !m.at.After(t) }))
		}
	}
	return points
}

// DeletedAfter gives the points whose deletion began after t, newest first.
func (h *History) DeletedAfter(t time.Time) []Listed {
	var points []Listed
	for i := range h.points {
		if e := &h.points[i]; e.deleted != noTime && e.deleted > nanos(t) {
			points = append(points, e.asOf(func(placedMark) bool { return true }))
		}
	}
	return points
}

// now gives the points that are there, as listed.
func (h *History) now() []Listed {
	points := make([]Listed, 0, len(h.points))
	for i := range h.points {
		if h.points[i].deleted == noTime {
			points = append(points, h.points[i].asOf(func(placedMark) bool { return true }))
		}
	}
	return points
}

// Lanes shares the history out over sources and kinds, one each: what a rule keeps
// of one never depends on another. Manifest keys that are not understood, which
// belong to none for certain, are in no lane.
func (h *History) Lanes() []*History {
	type name struct{ source, kind string }
	number := map[name]int{}
	var lanes []*History
	for i := range h.points {
		e := &h.points[i]
		if e.problem != nil {
			continue
		}
		n, seen := number[name{e.Source, e.Kind}]
		if !seen {
			n = len(lanes)
			number[name{e.Source, e.Kind}] = n
			lanes = append(lanes, &History{})
		}
		lanes[n].points = append(lanes[n].points, *e) // newest first, as they come
	}
	return lanes
}

// asOf is the point with the marks that counts accepts.
func (e *entry) asOf(counts func(placedMark) bool) Listed {
	l := Listed{Ref: e.Ref, Key: e.key, Problem: e.problem, Start: time.Unix(e.start, 0).UTC(), Committed: time.Unix(0, e.committed).UTC()}
	if e.deleted != noTime {
		l.Key, l.Deleted = e.ManifestKey(), time.Unix(0, e.deleted).UTC()
	}
	l.Held = foldMarks(e.marks.holds, markHeld, counts).state == markHeld
	l.Condemned = foldMarks(e.marks.condemned, markCondemned, counts).state == markCondemned
	l.Tier, l.TierPolicy = foldTiers(e.marks.tiers, counts)
	return l
}

// Moments gives what happened after from, up to and including to, in the order
// of time, once for each moment, source and kind.
func (h *History) Moments(from, to time.Time) []Moment {
	var moments []Moment
	for i := range h.points {
		e := &h.points[i]
		add := func(at time.Time) {
			if at.After(from) && !at.After(to) {
				moments = append(moments, Moment{at, e.Source, e.Kind})
			}
		}
		add(time.Unix(0, e.committed).UTC())
		if e.deleted != noTime {
			add(time.Unix(0, e.deleted).UTC())
		}
		for _, m := range slices.Concat(e.marks.holds, e.marks.condemned) {
			add(m.at.UTC())
		}
	}
	slices.SortFunc(moments, func(a, b Moment) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Kind, b.Kind))
	})
	return slices.CompactFunc(moments, func(a, b Moment) bool {
		return a.At.Equal(b.At) && a.Source == b.Source && a.Kind == b.Kind
	})
}

// refParser parses keys that come in order: most are of the same source and kind
// as the one before.
type refParser struct {
	dir string // what a key of the same source and kind begins with
	ref Ref    // its source and kind
}

// parse reads <family><source>/<kind>/<id>[~<parent>].json; start is zero with an
// error.
func (p *refParser) parse(key, family string) (ref Ref, start time.Time, err error) {
	end := strings.LastIndexByte(key, '/') + 1
	if base, isJSON := strings.CutSuffix(key[end:], ".json"); isJSON && key[:end] == p.dir {
		id, parent, _ := strings.Cut(base, "~")
		start, err = ParseID(id)
		if err == nil && parent != "" {
			_, err = ParseID(parent)
		}
		if err == nil {
			return Ref{Source: p.ref.Source, Kind: p.ref.Kind, ID: id, Parent: parent}, start, nil
		}
	}
	if ref, err = parseKey(key, family); err != nil {
		return ref, time.Time{}, err
	}
	p.dir, p.ref = key[:end], ref
	start, err = ParseID(ref.ID)
	return ref, start, err
}
