package policy

import (
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

func TestMinutesWhereMonthsWereMeantAreDoubted(t *testing.T) {
	t.Parallel()
	for text, doubted := range map[string]bool{"3m": true, "59m59s": true, "1h": false, "3mo": false, "1y": false, "14d": false} {
		span, err := duration.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		got := Document{Retention: retention.Keep{KeepDaily: 7, KeepWithin: span}}.Doubts()
		if (len(got) == 1) != doubted {
			t.Errorf("%s: %q", text, got)
		}
	}
}
