// Package drillreport is the record of a restore drill: what was restored, what
// was found, and how long it took. It lies in the repository, where the runner
// writes it once and runner and provider read it.
//
// It is pure: what a report says of a row of reports, and how it is shown. What
// must not live here: doing a drill (package drill) and storing its report
// (package repo).
package drillreport

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/strictjson"
)

// Format is the newest form of a report that this program reads and writes.
const Format = 1

// Outcome of a drill (V5).
type Outcome string

const (
	// Proven: the backup was restored, and everything that was checked is right.
	Proven Outcome = "proven"
	// BadBackup: the drill ran, and the backup is not what it should be.
	BadBackup Outcome = "bad_backup"
	// CouldNotRun: the drill says nothing about the backup.
	CouldNotRun Outcome = "could_not_run"
)

// Report of one drill of one recovery point. Times are UTC, sizes bytes,
// durations seconds.
type Report struct {
	Format int    `json:"format"`
	ID     string `json:"id"`    // of the drill: when it began and eight random characters, as ids of points
	Drill  string `json:"drill"` // name of the job, or "manual"
	// Repository is the id of the repository that the point is of.
	Repository     string `json:"repository"`
	Policy         string `json:"policy,omitempty"`
	PolicyRevision int    `json:"policy_revision,omitempty"`

	Point Point `json:"point"` // what was drilled; without an id where none could be chosen
	Into  Place `json:"into"`

	Start   time.Time `json:"start"`
	End     time.Time `json:"end"`
	Outcome Outcome   `json:"outcome"`
	// Reason says in a sentence why the outcome is not proven.
	Reason string `json:"reason,omitempty"`

	Phases []Phase `json:"phases"`
	RTO    RTO     `json:"rto"`
	// Recovery and RPO are of a server that was brought to a moment; nil for others.
	Recovery *Recovery `json:"recovery,omitempty"`
	RPO      *RPO      `json:"rpo,omitempty"`

	Contents Contents  `json:"contents"`
	Checks   []Check   `json:"checks,omitempty"`   // of the user
	AmCheck  *AmCheck  `json:"amcheck,omitempty"`  // nil when it was not asked for
	LeftOut  []LeftOut `json:"left_out,omitempty"` // what was not restored, so that nothing reaches production
	Warnings []string  `json:"warnings,omitempty"`

	Runner string `json:"runner"` // version of pgbackup-runner
	Host   string `json:"host,omitempty"`
	By     string `json:"by,omitempty"` // who, as in marks
}

// Point is the recovery point of a drill and how it was chosen.
type Point struct {
	Source string    `json:"source"`
	Kind   string    `json:"kind,omitempty"`
	ID     string    `json:"id,omitempty"`
	Start  time.Time `json:"start,omitzero"`
	Stored int64     `json:"stored_bytes,omitempty"`
	Chosen string    `json:"chosen"`         // latest, oldest, random, or named
	Seed   int64     `json:"seed,omitempty"` // of random: the same seed chooses the same of the same points
	Among  int       `json:"among,omitempty"`
	From   string    `json:"from"` // primary or replica
	// Lag is how far the replica was behind, in seconds, where that is known.
	Lag *float64 `json:"replica_lag,omitempty"`
}

// Place is where a point was restored to.
type Place struct {
	Kind    string `json:"kind"` // scratch_cluster, database or rds_instance
	Where   string `json:"where,omitempty"`
	Version string `json:"server_version,omitempty"` // of PostgreSQL
	// Isolation says what kept the restored database from reaching others.
	Isolation []string `json:"isolation,omitempty"`
}

// Names of phases that are the drill's own: no restore that is needed has them.
const (
	PhaseChoosing  = "choosing"
	PhaseComparing = "comparing"
	PhaseAmCheck   = "pg_amcheck"
	PhaseChecks    = "checks"
	PhaseRemoving  = "removing"
)

// Phase is a step and how long it took.
type Phase struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

// RTO is how long it took from the decision to restore until the database could
// be used: starting a server, restoring, building indexes. Comparing and checks
// are the drill's own and do not count.
type RTO struct {
	Seconds   float64 `json:"seconds"`
	Objective float64 `json:"objective,omitempty"` // 0 = none was declared
	Kept      *bool   `json:"kept,omitempty"`      // nil without an objective, or where nothing was restored
}

// Contents are what was held against the manifest (V2).
type Contents struct {
	Tables       int64        `json:"tables"`
	Rows         int64        `json:"rows"`
	Bytes        int64        `json:"bytes"`
	LargeObjects int64        `json:"large_objects,omitempty"`
	Sequences    int64        `json:"sequences,omitempty"`
	Differences  []Difference `json:"differences,omitempty"`
}

// Difference is one thing that is not what the backup says.
type Difference struct {
	Object  string `json:"object"` // such as "table public.orders"
	Problem string `json:"problem"`
}

// Check is a statement of the user and what it found.
type Check struct {
	Name    string  `json:"name"`
	Passed  bool    `json:"passed"`
	Expect  string  `json:"expect"`
	Got     string  `json:"got,omitempty"` // the first value, cut to a readable length
	Problem string  `json:"problem,omitempty"`
	Seconds float64 `json:"seconds"`
	// CouldNotRun: the statement said nothing about the backup, Problem says why.
	CouldNotRun bool `json:"could_not_run,omitempty"`
}

// Failed tells whether the check ran and found what it should not.
func (c Check) Failed() bool { return !c.Passed && !c.CouldNotRun }

// told says what a check that did not pass found.
func (c Check) told() string {
	if c.Problem != "" {
		return c.Problem
	}
	return fmt.Sprintf("expected %s, got %s", c.Expect, c.Got)
}

// AmCheck is what pg_amcheck found in tables and B-tree indexes.
type AmCheck struct {
	Passed   bool     `json:"passed"`
	Problems []string `json:"problems,omitempty"`
	// CouldNotRun: it said nothing about the backup, Problems say why.
	CouldNotRun bool `json:"could_not_run,omitempty"`
}

// LeftOut is something that a drill does not restore, and why.
type LeftOut struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// Parse reads a report. Unknown fields are ignored; a newer format is refused by
// name.
func Parse(data []byte) (Report, error) {
	if err := strictjson.CheckFormat("drill report", data, Format); err != nil {
		return Report{}, err
	}
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		return Report{}, fmt.Errorf("drill report: %w", err)
	}
	return r, nil
}
