package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/standing"
)

// walStanding is an archive with the verdict on it.
type walStanding struct {
	standing.Input
	standing.Verdict
}

// walWindow is from when to when can be recovered.
type walWindow struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// archiveStatus is an archive in the document of `wal status --json`, which others rely on.
type archiveStatus struct {
	Source      string             `json:"source"`
	System      string             `json:"system_identifier"`
	SegmentSize uint64             `json:"segment_size"`
	Timeline    pgwal.Timeline     `json:"timeline"`   // the newest
	Newest      pgwal.LSN          `json:"newest_lsn"` // on it
	NewestAt    time.Time          `json:"newest_commit,omitzero"`
	StoredAt    time.Time          `json:"newest_stored,omitzero"`
	Lag         *float64           `json:"lag_seconds"`     // null: not known
	MaxLag      *float64           `json:"max_lag_seconds"` // null: nothing says it
	Window      *walWindow         `json:"window"`          // null: nothing can be recovered
	Files       int64              `json:"files"`
	Bytes       int64              `json:"bytes"` // stored
	Gaps        []archive.Gap      `json:"gaps"`  // inside of what should be recoverable
	Timelines   []archive.Timeline `json:"timelines"`
	Bases       []baseStatus       `json:"base_backups"`
	Server      *standing.Server   `json:"server,omitempty"`
	Warnings    []string           `json:"warnings"`
}

type baseStatus struct {
	ID      string           `json:"id"`
	Windows []archive.Window `json:"windows"`
	Problem string           `json:"problem,omitempty"`
}

func (s walStanding) document() archiveStatus {
	v := s.Survey
	d := archiveStatus{Source: v.Archive.Source, System: v.Archive.System, SegmentSize: v.SegmentSize, Timeline: v.Current, Newest: v.Newest,
		NewestAt: v.NewestCommit, StoredAt: v.NewestStored, Files: v.Files, Bytes: v.Bytes, Gaps: nonNil(s.Gaps), Timelines: nonNil(v.Timelines),
		Bases: []baseStatus{}, Server: s.Server, Warnings: nonNil(s.Warnings)}
	if s.Lag != nil {
		lag := s.Lag.Seconds()
		d.Lag = &lag
	}
	if s.MaxLag > 0 {
		limit := s.MaxLag.Seconds()
		d.MaxLag = &limit
	}
	if from, to, ok := v.Window(); ok {
		d.Window = &walWindow{from.UTC(), to.UTC()}
	}
	for i := range d.Timelines {
		d.Timelines[i].Ranges = nonNil(d.Timelines[i].Ranges)
	}
	for _, b := range v.Bases {
		d.Bases = append(d.Bases, baseStatus{b.Ref.ID, nonNil(b.Windows), b.Problem})
	}
	return d
}

// tellWAL prints what was found; the error says what is wrong with it.
func (a *app) tellWAL(seen []walStanding) error {
	if a.flags.json {
		documents := []archiveStatus{}
		for _, s := range seen {
			documents = append(documents, s.document())
		}
		good := !slices.ContainsFunc(seen, func(s walStanding) bool { return len(s.Gaps) > 0 || len(s.Warnings) > 0 })
		if err := a.printJSON(map[string]any{"archives": documents, "good": good}); err != nil {
			return err
		}
	}
	warned := false
	var gap error
	for i, s := range seen {
		if !a.flags.json && !a.flags.quiet {
			if i > 0 {
				a.say("")
			}
			if err := a.walTables(s); err != nil {
				return err
			}
		}
		for _, w := range s.Warnings {
			warned = true
			a.warn(s.Survey.Archive.Source + ": " + w)
		}
		if len(s.Gaps) > 0 && gap == nil {
			gap = s.gapError()
		}
	}
	switch {
	case gap != nil:
		return gap
	case warned || len(a.sofar().warnings) > 0:
		return errWarned
	}
	return nil
}

// gapError is about the newest gap.
func (s walStanding) gapError() error {
	g := s.Gaps[0]
	then := "Take a new base backup, so that the window begins after the gap"
	if s.Again != nil {
		then = fmt.Sprintf("From %s on recovery is possible again, by base backup %s; the gap goes when retention has moved the window beyond it, and is told of until then", stamp(s.Again.From), s.Again.Base)
	}
	return exitcode.Errorf(exitcode.BadBackup, "WAL of %s is missing: %s from %s to %s on timeline %s; what was committed between %s and %s cannot be recovered. %s; find out who removed or never archived it",
		s.Survey.Archive, plural(int64(g.Segments), "segment"), g.From, g.To, g.Timeline, stamp(g.Before), stamp(g.After), then)
}

// walTables prints an archive for people.
func (a *app) walTables(s walStanding) error {
	v := s.Survey
	a.say("WAL of %s: %s, %s", v.Archive, plural(v.Files, "file"), size(v.Bytes))
	if v.Current != 0 {
		newest := "no commit in it"
		if !v.NewestCommit.IsZero() {
			newest = "last commit " + stamp(v.NewestCommit)
		}
		if s.Lag != nil {
			newest += ", " + age(*s.Lag) + " behind"
		}
		a.say("Newest: %s on timeline %s (%s)", v.Newest, v.Current, newest)
	}
	if from, to, ok := v.Window(); ok {
		a.say("Recoverable now: from %s to %s", stamp(from), stamp(to))
	} else {
		a.say("Recoverable now: nothing")
	}
	if srv := s.Server; srv != nil {
		a.say("Server: at %s, %s", srv.At, archiverText(srv.Archiver))
		for _, slot := range srv.Slots {
			a.say("Replication slot %s: %s, %s behind", printable(slot.Name), slotText(slot), size(slot.Behind))
		}
	}
	a.say("")
	if err := a.table([]string{"TIMELINE", "", "FROM", "TO", "SEGMENTS", "SIZE", "TIMES"}, coverageRows(v)); err != nil {
		return err
	}
	if len(v.Bases) == 0 {
		return nil
	}
	a.say("")
	return a.table([]string{"BASE BACKUP", "TIMELINE", "RECOVERABLE FROM", "TO", "STATE"}, baseRows(v))
}

func archiverText(r standing.Archiver) string {
	switch {
	case r.Mode == "off":
		return "archive_mode is off"
	case r.Failing():
		return fmt.Sprintf("archive_command FAILED with %s at %s", r.LastFailed, stamp(r.LastFailedAt))
	case r.LastArchived == "":
		return "archive_command stored nothing yet"
	}
	return fmt.Sprintf("archive_command stored %s at %s", r.LastArchived, stamp(r.LastArchivedAt))
}

func slotText(s standing.Slot) string {
	state := "nobody receives"
	if s.Active {
		state = "receiving"
	}
	if s.State == "lost" || s.State == "unreserved" {
		state += ", WAL " + s.State
	}
	return state
}

// coverageRows are ranges and gaps in the order of the log.
func coverageRows(v *archive.Survey) [][]string {
	var rows [][]string
	row := func(t pgwal.Timeline, what string, from, to pgwal.LSN, segments, bytes, times string) {
		rows = append(rows, []string{t.String(), what, from.String(), to.String(), segments, bytes, times})
	}
	for _, t := range v.Timelines {
		gaps := t.Gaps
		gap := func(at pgwal.LSN) {
			if len(gaps) > 0 && gaps[0].To == at {
				g := gaps[0]
				row(t.ID, "GAP", g.From, g.To, fmt.Sprint(g.Segments), "-", "commits "+stamp(g.Before)+" to "+stamp(g.After))
				gaps = gaps[1:]
			}
		}
		for _, r := range t.Ranges {
			gap(r.From)
			row(t.ID, "archived", r.From, r.To, fmt.Sprint(r.Segments), size(r.Bytes), "stored "+stamp(r.FirstStored)+" to "+stamp(r.LastStored))
		}
		if p := t.Partial; p != nil {
			gap(p.From)
			row(t.ID, "unfinished", p.From, p.To, "-", size(p.Bytes), "stored "+stamp(p.LastStored))
		}
	}
	return rows
}

func baseRows(v *archive.Survey) [][]string {
	var rows [][]string
	for _, b := range v.Bases {
		if b.Problem != "" {
			rows = append(rows, []string{b.Ref.ID, "-", "-", "-", "CANNOT BE USED: " + oneLine(b.Problem)})
		}
		for _, w := range b.Windows {
			state := "to the end of the archive"
			if w.Gap != nil {
				state = "ENDS AT A GAP"
			}
			rows = append(rows, []string{b.Ref.ID, w.Timeline.String(), stamp(w.From), stamp(w.To), state})
		}
	}
	return rows
}
