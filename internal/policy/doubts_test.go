package policy

import (
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

func TestMinutesWhereMonthsWereMeantAreDoubted(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"3m":     `keep_within is 3m, less than an hour: 3m are minutes, as many months would be "3mo"`,
		"59m59s": "keep_within is 59m59s, less than an hour",
		"30s":    "keep_within is 30s, less than an hour",
		"1h":     "", "3mo": "", "1y": "", "14d": "",
	} {
		span, err := duration.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		got := Document{Retention: retention.Keep{KeepDaily: 7, KeepWithin: span}}.Doubts()
		if strings.Join(got, "; ") != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
