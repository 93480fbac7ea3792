package nearest_test

import (
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
)

func TestNameSuggestsWhatWasProbablyMeant(t *testing.T) {
	t.Parallel()
	valid := []string{"databases", "keep_daily", "keep_hourly", "policy", "s3", "user"}
	for got, want := range map[string]string{
		"databses": "databases", "database": "databases", "Databases": "databases", "keep-daily": "keep_daily",
		"keepdaily": "keep_daily", "keep_dialy": "keep_daily", "polcy": "policy", "usre": "user",
		"zebra": "", "": "", "x": "", strings.Repeat("a", 10000): "", "s4x": "",
	} {
		name, ok := nearest.Name(got, valid)
		if name != want || ok != (want != "") {
			t.Errorf("%.20q: got %q, %v; want %q", got, name, ok, want)
		}
	}
}

func TestSuggestionListsAFewValidNamesWhenNoneIsNear(t *testing.T) {
	t.Parallel()
	if got := nearest.Suggestion("zebra", []string{"streamed", "stored"}); got != "; valid are streamed, stored" {
		t.Error(got)
	}
	if got := nearest.Suggestion("stord", []string{"streamed", "stored"}); got != `; did you mean "stored"?` {
		t.Error(got)
	}
	if got := nearest.Suggestion("zebra", nil); got != "" {
		t.Error(got)
	}
}
