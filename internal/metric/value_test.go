package metric_test

import (
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
)

func TestANameBecomesAValueThatCloudWatchTakes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"app@db1":                 "app@db1",
		"Straße & Co@db1":         "Stra?e & Co@db1",
		":memory:":                "?memory:",
		"tab\there":               "tab?here",
		strings.Repeat("x", 2000): strings.Repeat("x", 1024),
		"":                        "",
	} {
		if got := metric.Value(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
