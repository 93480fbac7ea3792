package policy

import (
	"fmt"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
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
			doubts = append(doubts, fmt.Sprintf("%s is %s, less than an hour%s", f.Name, f.Span, ofMonths(*f.Span)))
		}
	}
	return doubts
}

// ofMonths is how as many months are written as a span has minutes; nothing of one that
// nobody can take for months.
func ofMonths(span duration.Duration) string {
	text := span.String()
	number, minutes := strings.CutSuffix(text, "m")
	if !minutes {
		return ""
	}
	return fmt.Sprintf(": %s are minutes, as many months would be %q", text, number+"mo")
}
