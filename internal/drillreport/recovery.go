package drillreport

import (
	"fmt"
	"time"
)

// How the moment that a recovered server was brought to is known.
const (
	ByHeartbeat = "heartbeat" // the row that the receiver of its WAL writes again and again
	ByCommit    = "commit"    // the time of the last transaction that was replayed
)

// Recovery is how far a base backup was recovered with the archived WAL, and what
// proves it.
type Recovery struct {
	// Target is the moment that was asked for; zero for the end of all WAL there was.
	Target time.Time `json:"target,omitzero"`
	// From and To are the moments that could be recovered to when the drill began: To is
	// the newest commit in the archive.
	From time.Time `json:"window_from"`
	To   time.Time `json:"window_to"`
	// Timeline that recovery followed, and the position in WAL that it ended at.
	Timeline uint32 `json:"timeline,omitempty"`
	LSN      string `json:"reached_lsn,omitempty"`
	// Achieved is the newest moment that the recovered server knows of: what was
	// committed until then is there. Zero where it was not reached, or nothing in it
	// tells.
	Achieved time.Time `json:"achieved,omitzero"`
	By       string    `json:"achieved_by,omitempty"` // heartbeat or commit
	// Behind is how many seconds Achieved is before Target, or before To without one.
	Behind float64 `json:"behind,omitempty"`
	// Heartbeat is the newest one there is, Every the seconds that lie between two of
	// them; zero without heartbeats. Commit is when the last transaction was committed
	// that was replayed.
	Heartbeat time.Time `json:"heartbeat,omitzero"`
	Every     float64   `json:"heartbeat_every,omitempty"`
	Commit    time.Time `json:"last_commit,omitzero"`
	Files     int64     `json:"files,omitempty"` // that were restored before WAL was replayed
	Bytes     int64     `json:"bytes,omitempty"`
}

// RPO is how many seconds of changes would have been lost if the server had been
// destroyed when the drill began: the time since the newest moment that its archive
// reaches.
type RPO struct {
	Seconds   float64 `json:"seconds"`
	Objective float64 `json:"objective,omitempty"` // 0 = none was declared
	// Kept is nil without an objective, and where Seconds may be no more than the time in
	// which nobody wrote anything: without a heartbeat an idle server looks the same.
	Kept *bool `json:"kept,omitempty"`
}

// BrokeRPO tells whether more would have been lost than the objective allows.
func (r *RPO) BrokeRPO() bool { return r != nil && r.Kept != nil && !*r.Kept }

// Words says in a line what would have been lost.
func (r *RPO) Words() string {
	switch {
	case r == nil:
		return ""
	case r.Kept == nil && r.Objective > 0:
		return fmt.Sprintf("at most %s; without a heartbeat that may be no more than a time in which nothing was written, and is not held against the objective of %s", seconds(r.Seconds), seconds(r.Objective))
	case r.Kept == nil:
		return seconds(r.Seconds)
	case *r.Kept:
		return seconds(r.Seconds) + ", within the objective of " + seconds(r.Objective)
	}
	return seconds(r.Seconds) + ", MORE than the objective of " + seconds(r.Objective)
}

// Words says in a line which moment was asked for and which was reached.
func (r *Recovery) Words() string {
	if r == nil {
		return ""
	}
	asked := "to the end of its WAL"
	if !r.Target.IsZero() {
		asked = "to " + exactly(r.Target)
	}
	if r.Achieved.IsZero() {
		return asked
	}
	proof := "a heartbeat of"
	if r.By == ByCommit {
		proof = "a commit of"
	}
	return fmt.Sprintf("%s, proven by %s %s, %s before", asked, proof, exactly(r.Achieved), seconds(r.Behind))
}

// exactly is a moment with its milliseconds.
func exactly(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000Z") }

func (r *Recovery) window() string {
	if r == nil {
		return ""
	}
	return moment(r.From) + " to " + moment(r.To)
}
