package policy

import "github.com/pgbackup/terraform-provider-pgbackup/internal/duration"

// Change is one difference between two documents.
type Change struct {
	Field  string // as in HCL: "keep_daily", "expire_after", "rpo"
	Before string // "off" or "none" when not given
	After  string
}

// String gives the change as a sentence: "keep_daily: 30 -> 14".
func (c Change) String() string { return c.Field + ": " + c.Before + " -> " + c.After }

// Diff lists what differs in meaning between two documents, in the order of the
// documentation: 24h and 1d are the same, so is a time zone not given and UTC.
func Diff(a, b Document) []Change {
	var changes []Change
	text := func(field, before, after, unset string) {
		if before == "" {
			before = unset
		}
		if after == "" {
			after = unset
		}
		if before != after {
			changes = append(changes, Change{field, before, after})
		}
	}
	span := func(field string, before, after duration.Duration) {
		if !before.Equal(after) {
			changes = append(changes, Change{field, spanText(before), spanText(after)})
		}
	}
	text("name", a.Name, b.Name, "none")
	text("environment", a.Environment, b.Environment, "none")
	text("timezone", a.Timezone, b.Timezone, "UTC")
	span("rpo", a.Objectives.RPO, b.Objectives.RPO)
	span("rto", a.Objectives.RTO, b.Objectives.RTO)
	before, after := a.Retention.Fields(), b.Retention.Fields()
	for i := range before {
		if before[i].Span != nil {
			span(before[i].Name, *before[i].Span, *after[i].Span)
			continue
		}
		text(before[i].Name, before[i].Value(), after[i].Value(), "")
	}
	span("expire_after", a.Storage.ExpireAfter, b.Storage.ExpireAfter)
	return changes
}

func spanText(d duration.Duration) string {
	if d.IsZero() {
		return "off"
	}
	return d.String()
}
