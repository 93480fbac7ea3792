// Package lifecycle compiles what policies and repositories declare into the
// lifecycle rules of a bucket, and merges these into the bucket's document
// without touching anybody else's rules.
//
// S3 knows one document per bucket and no conditional write of it: whoever wants
// a rule reads the document, puts the rule in and writes all of it back. So each
// owner (a policy of a repository, or the repository itself) has ids of its own,
// and everything that is not such a rule stays byte for byte, because what this
// program does not know must survive it too.
//
// It is pure. Reading and writing the document is package awsapi/bucket's.
//
// Rules here only move objects to cheaper classes, end non-current versions and
// drop unfinished uploads. None of them deletes a recovery point: a rule that
// deletes by age would take the last good backup of a database whose backups
// stopped.
package lifecycle

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// Tags of a recovery point's data objects, by which rules find them. The runner
// sets them when it stores a point and when the point's tier changes.
const (
	TagPolicy = "pgbackup-policy" // name of the policy the point obeys
	TagTier   = "pgbackup-tier"   // hourly, daily, weekly, monthly, yearly
)

// MaxRules is how many rules S3 takes in one bucket.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
const MaxRules = 1000

// Rule is one lifecycle rule, as far as pgbackup writes rules.
type Rule struct {
	ID     string
	Prefix string            // keys it is for; "" = the whole bucket
	Tags   map[string]string // all of which an object must carry
	// Transitions by age in days since the object was created.
	Transitions    []Transition
	NoncurrentDays int // versions go so many days after they were replaced or deleted; 0 = never
	AbortDays      int // unfinished uploads go so many days after they began; 0 = never

	// What only a rule that somebody else changed has.
	Disabled bool     // its status is not Enabled
	Other    []string // elements pgbackup never writes, such as Expiration; sorted
}

// Transition moves objects to another storage class.
type Transition struct {
	Days  int
	Class string // as S3 writes it: GLACIER
}

// Equal reports whether both rules mean the same: the order of transitions and
// the form a server gives the filter do not matter.
func (r Rule) Equal(other Rule) bool {
	return r.ID == other.ID && r.Prefix == other.Prefix && maps.Equal(r.Tags, other.Tags) &&
		slices.Equal(ordered(r.Transitions), ordered(other.Transitions)) &&
		r.NoncurrentDays == other.NoncurrentDays && r.AbortDays == other.AbortDays &&
		r.Disabled == other.Disabled && slices.Equal(r.Other, other.Other)
}

// String is the rule's id and what it does, for people.
func (r Rule) String() string {
	var does []string
	if len(r.Transitions) > 0 {
		does = append(does, "moves objects "+transitionText(r.Transitions))
	}
	if r.NoncurrentDays > 0 {
		does = append(does, "ends non-current versions "+daysText(r.NoncurrentDays))
	}
	if r.AbortDays > 0 {
		does = append(does, "drops unfinished uploads "+daysText(r.AbortDays))
	}
	return fmt.Sprintf("%s (%s)", r.ID, orElse(does, "does nothing"))
}

func ordered(ts []Transition) []Transition {
	return slices.SortedFunc(slices.Values(ts), func(a, b Transition) int {
		return cmp.Or(cmp.Compare(a.Days, b.Days), cmp.Compare(a.Class, b.Class))
	})
}
