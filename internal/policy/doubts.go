package policy

import (
	"fmt"
	"time"
)

// Doubts says what is allowed and hardly meant: a span of minutes, where months
// were. Sentences without a full stop.
func (d Document) Doubts() []string {
	var doubts []string
	for _, f := range d.Retention.Fields() {
		if f.Span == nil || f.Span.IsZero() {
			continue
		}
		if exact, ok := f.Span.Exact(); ok && exact < time.Hour {
			doubts = append(doubts, fmt.Sprintf("%s is %s, less than an hour: m is minutes, months are written mo", f.Name, f.Span))
		}
	}
	return doubts
}
