// Package archive tells what an archive of WAL covers: the ranges and gaps of each
// timeline, from when to when each base backup can be recovered, and which base backup
// a target is recovered from.
//
// Look reads (one listing, a few headers); what is made of it is pure. What must not
// live here: how WAL is stored (package repo), what it says inside (package pgwal), and
// anything that changes an archive.
package archive

import (
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Range is a part of a timeline that is archived without a gap.
type Range struct {
	Timeline pgwal.Timeline `json:"timeline"`
	From     pgwal.LSN      `json:"from_lsn"`
	To       pgwal.LSN      `json:"to_lsn"` // the first byte that is not in it
	Segments uint64         `json:"segments"`
	Bytes    int64          `json:"bytes"` // stored
	// FirstStored and LastStored are when its first and last segment were, by the store's clock.
	FirstStored time.Time `json:"first_stored"`
	LastStored  time.Time `json:"last_stored"`
}

// Gap is a part of a timeline that is missing between two that are archived.
type Gap struct {
	Timeline pgwal.Timeline `json:"timeline"`
	From     pgwal.LSN      `json:"from_lsn"`
	To       pgwal.LSN      `json:"to_lsn"`
	Segments uint64         `json:"segments"`
	// Before is the last commit before it, After the first one after, by the server's
	// clock: what was committed between them cannot be recovered. Where headers were not
	// read they are when the segments at its edges were stored.
	Before time.Time `json:"before,omitzero"`
	After  time.Time `json:"after,omitzero"`
	// Stored is when the segment behind it was, by the store's clock: files are stored
	// several at once, so what is missing before a fresh one may be on its way.
	Stored time.Time `json:"stored,omitzero"`
}

// Timeline is what is archived of one.
type Timeline struct {
	ID      pgwal.Timeline `json:"timeline"`
	History *pgwal.History `json:"-"` // nil where it has none, or none that can be read
	Ranges  []Range        `json:"ranges"`
	Gaps    []Gap          `json:"gaps,omitempty"`
	// Partial is what a receiver has of the segment after the last whole one.
	Partial *Range `json:"partial,omitempty"`
}

// Window is what can be recovered from a base backup on one timeline, ancestors
// included.
type Window struct {
	Timeline pgwal.Timeline `json:"timeline"`
	// From is the end of the base backup.
	From    time.Time `json:"from"`
	FromLSN pgwal.LSN `json:"from_lsn"`
	// To is the end of the newest transaction in it, by the server's clock: a recovery to
	// that moment, or a later one, has all there is. ToLSN is where the last record ends.
	To    time.Time `json:"to"`
	ToLSN pgwal.LSN `json:"to_lsn"`
	// Gap ends it early; nil where it goes to the end of the archive.
	Gap *Gap `json:"gap,omitempty"`
}

// Base is a base backup of the archive's server.
type Base struct {
	Ref      repo.Ref
	Manifest *repo.Manifest // nil where it cannot be read
	// Problem is why it cannot be recovered; it has no windows then.
	Problem string
	Windows []Window // by timeline, ascending
}

// Window of a timeline.
func (b Base) Window(t pgwal.Timeline) (Window, bool) {
	for _, w := range b.Windows {
		if w.Timeline == t {
			return w, true
		}
	}
	return Window{}, false
}

// Survey is what Look found.
type Survey struct {
	Archive     repo.WALArchive
	SegmentSize uint64     // in bytes; 0 where there is no segment yet
	Timelines   []Timeline // ascending
	Bases       []Base     // newest first

	// Current is the newest timeline, and Newest how far it is archived.
	Current pgwal.Timeline
	Newest  pgwal.LSN
	// NewestCommit is by the server's clock, zero where headers were not read;
	// NewestStored by the store's.
	NewestCommit time.Time
	NewestStored time.Time
	// Files and Bytes of all of the archive, as stored.
	Files int64
	Bytes int64
	// Problems of single files that could be passed over, such as a damaged header.
	Problems []error

	cover *cover
}

// Window is what can be recovered now: on the current timeline, from the oldest base
// backup on that reaches the newest archived position without a gap.
func (s *Survey) Window() (from, to time.Time, ok bool) {
	for _, b := range s.Bases {
		if w, has := b.Window(s.Current); has && b.Problem == "" && w.Gap == nil {
			if !ok || w.From.Before(from) {
				from = w.From
			}
			if !ok || w.To.After(to) {
				to = w.To
			}
			ok = true
		}
	}
	return from, to, ok
}

// Gaps are those inside of what should be recoverable on the current timeline: each
// ends the window of a base backup.
func (s *Survey) Gaps() []Gap {
	var gaps []Gap
	seen := map[pgwal.LSN]bool{}
	for _, b := range s.Bases {
		if w, has := b.Window(s.Current); has && w.Gap != nil && !seen[w.Gap.From] {
			seen[w.Gap.From] = true
			gaps = append(gaps, *w.Gap)
		}
	}
	return gaps
}

// Timeline of a survey.
func (s *Survey) Timeline(id pgwal.Timeline) (Timeline, bool) {
	for _, t := range s.Timelines {
		if t.ID == id {
			return t, true
		}
	}
	return Timeline{}, false
}
