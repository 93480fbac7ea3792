package retention

import (
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// KindPhysical is the kind whose points are base backups: the rule wal applies
// to them alone.
const KindPhysical = "physical"

// Point is what a decision needs to know of one committed recovery point.
type Point struct {
	ID     string
	Source string
	Kind   string    // "logical", "physical", …
	Start  time.Time // orders points; see law 4
	End    time.Time // when the backup was complete; only the rule wal reads it
	Parent string    // id of the point an incremental builds on, of the same source and kind

	// Of a base backup, where they are known: the system identifier of its server, the
	// timeline it was taken on, where recovery begins and from where on it is consistent.
	System            string
	Timeline          pgwal.Timeline
	StartLSN, StopLSN pgwal.LSN

	Verified   bool // read end to end, not only written
	Held       bool // a person said: keep
	Locked     bool // the store would refuse to delete it
	Condemned  bool // found bad by a verification or a drill
	Unreadable bool // its manifest could not be read
}

// Input is everything a decision depends on.
type Input struct {
	Points []Point // of any number of sources and kinds, in any order; not modified
	Rules  Rules
	Now    time.Time
	// Archives tells of the archived WAL of servers, for the rule wal and for what stays
	// while it is still written to.
	Archives map[Server]Archive
}

// Decision is what happens to one point, and why.
type Decision struct {
	Point *Point // into Input.Points
	// Reasons are sentences without a full stop, at least one. Slices of
	// different decisions may share memory: read only.
	Reasons []string
	// By are the counting rules and spans, and wal, that keep the point; empty
	// for one that stays for another reason, and for one that goes.
	By RuleSet
	// Tier of a kept point: the longest period of the rules that keep it which is
	// over, or else Rules.UploadTier. "" for a point that goes, and for one that
	// no rule decides about (held, locked, condemned, unreadable, dated in the
	// future): such a one stays in the tier it has.
	Tier string
}

// Plan is the outcome for every point of the input: each is in exactly one of
// the two lists. Both are sorted by source, then kind, then newest first.
type Plan struct {
	Keep   []Decision
	Delete []Decision
	// Windows are, per server, the base backups that recovery to a moment begins with,
	// newest first: from the start of each on all WAL stays, see WAL.
	Windows map[Server][]*Point
}
