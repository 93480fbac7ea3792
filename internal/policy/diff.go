package policy

import (
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// Direction says what a change does to how much is kept.
type Direction int

const (
	Other   Direction = iota // neither, or not to be known from the rules alone
	Shorter                  // keeps no point that was not kept before
	Longer                   // keeps every point that was kept before
)

// String gives "shorter", "longer" or "other".
func (d Direction) String() string {
	switch d {
	case Shorter:
		return "shorter"
	case Longer:
		return "longer"
	}
	return "other"
}

// MarshalText gives String.
func (d Direction) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what String gives.
func (d *Direction) UnmarshalText(text []byte) error {
	for _, known := range []Direction{Other, Shorter, Longer} {
		if known.String() == string(text) {
			*d = known
			return nil
		}
	}
	return fmt.Errorf("direction %.20q: must be shorter, longer or other", text)
}

// Change is one difference between two documents.
type Change struct {
	Field     string    `json:"field"` // as in HCL: "keep_daily", "expire_after", "transitions"
	Label     string    `json:"label"` // in words: "daily points"
	Before    string    `json:"before"`
	After     string    `json:"after"` // "none" when not given, "all" for a count without limit
	Direction Direction `json:"direction"`
}

// String gives the change as a sentence: "daily points: 30 -> 14".
func (c Change) String() string { return c.Label + ": " + c.Before + " -> " + c.After }

// none stands for what is not given.
const none = "none"

// labels says each field in words.
var labels = map[string]string{
	"name":                "policy name",
	"environment":         "environment",
	"timezone":            "time zone",
	"rpo":                 "recovery point objective (RPO)",
	"rto":                 "recovery time objective (RTO)",
	"keep_last":           "newest points",
	"keep_hourly":         "hourly points",
	"keep_daily":          "daily points",
	"keep_weekly":         "weekly points",
	"keep_monthly":        "monthly points",
	"keep_yearly":         "yearly points",
	"keep_within":         "every point within",
	"keep_within_hourly":  "hourly points within",
	"keep_within_daily":   "daily points within",
	"keep_within_weekly":  "weekly points within",
	"keep_within_monthly": "monthly points within",
	"keep_within_yearly":  "yearly points within",
	"wal":                 "point-in-time recovery",
	"class":               "storage class at upload",
	"expire_after":        "age limit of every point",
}

// Diff lists what differs in meaning between two documents, in the order of the
// documentation: 24h and 1d are the same, so is a time zone not given and UTC,
// and a list of transitions in another order.
func Diff(a, b Document) []Change {
	d := differ{}
	d.text("name", a.Name, b.Name, none)
	d.text("environment", a.Environment, b.Environment, none)
	d.text("timezone", a.Timezone, b.Timezone, "UTC")
	d.span("rpo", a.Objectives.RPO, b.Objectives.RPO, Other, Other)
	d.span("rto", a.Objectives.RTO, b.Objectives.RTO, Other, Other)
	before, after := a.Retention.Fields(), b.Retention.Fields()
	for i := range before {
		if before[i].Span != nil {
			d.span(before[i].Name, *before[i].Span, *after[i].Span, Shorter, Longer)
			continue
		}
		d.count(before[i].Name, *before[i].Count, *after[i].Count)
	}
	d.storage(a.Storage, b.Storage)
	return d.changes
}

// differ collects changes.
type differ struct{ changes []Change }

func (d *differ) add(field, label, before, after string, direction Direction) {
	d.changes = append(d.changes, Change{Field: field, Label: label, Before: before, After: after, Direction: direction})
}

func (d *differ) text(field, before, after, unset string) {
	if before == "" {
		before = unset
	}
	if after == "" {
		after = unset
	}
	if before != after {
		d.add(field, labels[field], before, after, Other)
	}
}

// count compares two keep counts, 0 keeping nothing and All everything.
func (d *differ) count(field string, before, after int) {
	text := func(n int) string {
		switch n {
		case 0:
			return none
		case retention.All:
			return "all"
		}
		return fmt.Sprint(n)
	}
	if before == after {
		return
	}
	direction := Longer
	if before == retention.All || (after != retention.All && after < before) {
		direction = Shorter
	}
	d.add(field, labels[field], text(before), text(after), direction)
}

// span compares two lengths of time. down is the direction of a shorter one, and
// of one that goes away.
func (d *differ) span(field string, before, after duration.Duration, down, up Direction) {
	if before.Equal(after) {
		return
	}
	direction := Other // 30d and 1mo: sometimes the one is longer, sometimes the other
	switch after.Compare(before) {
	case -1:
		direction = down
	case 1:
		direction = up
	}
	d.add(field, labels[field], spanText(before), spanText(after), direction)
}

func spanText(d duration.Duration) string {
	if d.IsZero() {
		return none
	}
	return d.String()
}
