package rotate

import (
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// WAL is what happens to the archived WAL of one server.
type WAL struct {
	Source string `json:"source"`
	System string `json:"system_identifier"`
	// Before and After are what can be recovered without a gap up to the newest archived
	// moment; nil for nothing.
	Before *Window `json:"before"`
	After  *Window `json:"after"`

	Keep   WALFiles `json:"keep"`
	Delete WALFiles `json:"delete"`
	// Doubt is why nothing of it is deleted, whatever the rules say; "" when they are
	// followed.
	Doubt string `json:"doubt,omitempty"`
}

// Window is the moments that can be recovered to.
type Window struct {
	Base string    `json:"base"` // id of the base backup that it begins with
	From time.Time `json:"from"`
	To   time.Time `json:"to"` // the newest archived commit
}

// WALFiles is part of an archive, in runs of files that share a fate.
type WALFiles struct {
	Files int      `json:"files"`
	Bytes int64    `json:"bytes"` // stored
	Runs  []WALRun `json:"runs"`
}

// WALRun is files of one timeline, next to each other in the listing.
type WALRun struct {
	First  string `json:"first"` // names, as PostgreSQL calls the files
	Last   string `json:"last"`
	Files  int    `json:"files"`
	Bytes  int64  `json:"bytes"`
	Reason string `json:"reason"`

	timeline pgwal.Timeline
}

// maxRuns bounds how many runs are told of: the newest.
const maxRuns = 1000

func (w *WALFiles) add(f repo.WALFile, reason string) {
	w.Files++
	w.Bytes += f.Stored
	if last := len(w.Runs) - 1; last >= 0 && w.Runs[last].timeline == f.Timeline && w.Runs[last].Reason == reason {
		r := &w.Runs[last]
		r.Last, r.Files, r.Bytes = f.Name, r.Files+1, r.Bytes+f.Stored
		return
	}
	w.Runs = append(w.Runs, WALRun{First: f.Name, Last: f.Name, Files: 1, Bytes: f.Stored, Reason: reason, timeline: f.Timeline})
	if len(w.Runs) > 2*maxRuns {
		w.Runs = slices.Delete(w.Runs, 0, maxRuns)
	}
}

// outcome tells of the files, in the order of the listing, what fate says of each.
func (w *walWork) outcome(fate func(i int) (keep bool, reason string)) WAL {
	out := WAL{Source: w.survey.Archive.Source, System: w.survey.Archive.System, Doubt: w.doubt, Keep: WALFiles{Runs: []WALRun{}}, Delete: WALFiles{Runs: []WALRun{}}}
	doomed := make([]bool, len(w.files))
	for i, f := range w.files {
		keep, reason := fate(i)
		if doomed[i] = !keep; keep {
			out.Keep.add(f, reason)
		} else {
			out.Delete.add(f, reason)
		}
	}
	out.Before = w.window(func(archive.Base) bool { return true })
	reach := w.reachOf(doomed)
	out.After = w.window(func(b archive.Base) bool { return w.stays[b.Ref] && reach(b) })
	return out
}

// window is what can be recovered on the current timeline up to the newest archived
// moment, by the base backups that count.
func (w *walWork) window(counts func(archive.Base) bool) *Window {
	var found *Window
	for _, b := range w.survey.Bases { // newest first
		on, has := b.Window(w.survey.Current)
		if !has || b.Problem != "" || on.Gap != nil || !counts(b) {
			continue
		}
		if found == nil {
			found = &Window{To: on.To.UTC()}
		}
		if found.From.IsZero() || on.From.Before(found.From) {
			found.Base, found.From = b.Ref.ID, on.From.UTC()
		}
		if on.To.After(found.To) {
			found.To = on.To.UTC()
		}
	}
	return found
}

// reachOf tells whether a base backup still leads to the end of the current timeline
// when the doomed files are gone.
func (w *walWork) reachOf(doomed []bool) func(archive.Base) bool {
	size := w.survey.SegmentSize
	var history pgwal.History
	if t, ok := w.survey.Timeline(w.survey.Current); ok && t.History != nil {
		history = *t.History
	} else {
		history.Timeline = w.survey.Current
	}
	// The last doomed segment on the way there: a base backup must begin behind it.
	last, any := uint64(0), false
	for i, f := range w.decided.Files {
		if !doomed[i] || f.Kind != pgwal.SegmentFile && f.Kind != pgwal.PieceFile || !history.Has(f.Timeline) {
			continue
		}
		if left, is := history.Left(f.Timeline); is && f.Number >= uint64(left)/size {
			continue // behind the switch, where the way is another
		}
		last, any = max(last, f.Number), true
	}
	return func(b archive.Base) bool {
		return !any || b.Manifest != nil && b.Manifest.Physical != nil && uint64(b.Manifest.Physical.StartLSN)/size > last
	}
}
