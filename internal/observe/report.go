package observe

import (
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// ReportFormat is the version of the document that webhooks are sent. Fields are
// added under the same number.
const ReportFormat = 1

// Report is a run as others are told of it: the JSON document of a webhook. At the
// start of a run it holds nothing of its end. Times are UTC.
type Report struct {
	Format int       `json:"format"`
	Event  job.Event `json:"event"`
	// Run is a random name of this run: the messages of its start and of its end
	// have the same, and so has one that was sent twice.
	Run string `json:"run"`

	Job        string   `json:"job"`
	Kind       job.Kind `json:"kind"`
	Command    string   `json:"command"`
	Repository string   `json:"repository"`
	Policy     string   `json:"policy,omitempty"`
	Host       string   `json:"host"`
	Runner     string   `json:"runner"` // version of pgbackup-runner

	Start time.Time `json:"start"`
	// End is missing at the start, as is all that follows.
	End           time.Time      `json:"end,omitzero"`
	Seconds       float64        `json:"duration_seconds,omitempty"`
	ExitCode      *exitcode.Code `json:"exit_code,omitempty"`
	Outcome       string         `json:"outcome,omitempty"` // name of the exit code
	Error         string         `json:"error,omitempty"`   // one line
	Warnings      []string       `json:"warnings,omitempty"`
	Points        []Point        `json:"points,omitempty"`
	Drills        []Drill        `json:"drills,omitempty"`
	DeletedPoints int            `json:"deleted_points,omitempty"`
	DeletedBytes  int64          `json:"deleted_bytes,omitempty"` // stored
}

// Point is a recovery point that a run committed.
type Point struct {
	Source string `json:"source"`
	Kind   string `json:"kind"`
	ID     string `json:"id"`
	Stored int64  `json:"stored_bytes"`
	Plain  int64  `json:"plain_bytes"`      // before compression
	Rows   int64  `json:"rows,omitempty"`   // of dumps
	Tables int64  `json:"tables,omitempty"` // of dumps
}

// Drill is a restore drill that a run made, of one source.
type Drill struct {
	Source     string  `json:"source"`
	Point      string  `json:"point,omitempty"` // id of what was restored
	Report     string  `json:"report"`          // id of the report in the repository
	Outcome    string  `json:"outcome"`         // proven, bad_backup or could_not_run
	Reason     string  `json:"reason,omitempty"`
	RTOSeconds float64 `json:"rto_seconds,omitempty"` // how long the restore took
	RTOKept    *bool   `json:"rto_kept,omitempty"`    // nil without an objective
}

// EventOf is what an exit code is to those who are told.
func EventOf(code exitcode.Code) job.Event {
	switch code {
	case exitcode.Done:
		return job.OnSuccess
	case exitcode.Warnings:
		return job.OnWarning
	}
	return job.OnFailure
}

// Bounds of a report. Receivers limit what they take; a run over ten thousand
// databases must still reach them.
const (
	maxText   = 2000 // runes of an error or a warning
	maxListed = 100  // points, and warnings
)

// bounded is the report as it is sent.
func (r Report) bounded() Report {
	r.Format = ReportFormat
	r.Error = shortened(r.Error, maxText)
	if len(r.Points) > maxListed {
		r.Points = r.Points[:maxListed]
	}
	drills := make([]Drill, 0, min(len(r.Drills), maxListed))
	for _, d := range r.Drills[:min(len(r.Drills), maxListed)] {
		d.Reason = shortened(d.Reason, maxText)
		drills = append(drills, d)
	}
	r.Drills = drills
	warnings := make([]string, 0, min(len(r.Warnings), maxListed))
	for _, w := range r.Warnings[:min(len(r.Warnings), maxListed)] {
		warnings = append(warnings, shortened(w, maxText))
	}
	r.Warnings = warnings
	return r
}

// shortened cuts the end off a text that is longer than n runes.
func shortened(text string, n int) string {
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return text
}
