package impact_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/cost"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/impact"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

var update = flag.Bool("update", false, "write the golden files from what Story says now")

// TestTheStoryOfALossIsPinned holds the text a person sees when a plan is
// stopped in files. After a wanted change: go test -update, then read the
// difference.
func TestTheStoryOfALossIsPinned(t *testing.T) {
	t.Parallel()
	thirty, fourteen := document(retention.Keep{KeepDaily: 30}), document(retention.Keep{KeepDaily: 14})
	var many []impact.Point
	for s := range 23 {
		many = append(many, nightly(fmt.Sprintf("app%02d@db.example.org", s), 16+s, int64(s+1)*1_000_000)...)
	}
	unknown := nightly("app", 30, 256_000_000)
	for i := 20; i < len(unknown); i++ {
		unknown[i].Bytes = 0
	}
	spared := append(nightly("app", 30, 256_000_000), nightly("shop", 20, 5_000_000)...)
	for i := range spared {
		if spared[i].Source == "shop" {
			spared[i].Spared = "manifests/shop/logical/20261101T020000Z-aaaaa020.json can not be read"
		}
	}
	for name, f := range map[string]impact.Facts{
		"one group":     {Points: nightly("app", 30, 256_000_000), Old: &thirty, New: fourteen, Prices: cost.Prices("us-east-1")},
		"many groups":   {Points: many, Old: &thirty, New: fourteen, Prices: cost.Prices("us-east-1")},
		"unknown bytes": {Points: unknown, Old: &thirty, New: fourteen},
		"no cost":       {Points: nightly("app", 30, 256_000_000), Old: &thirty, New: document(retention.Keep{KeepWeekly: 4, KeepLast: 1})},
		"spared":        {Points: spared, Old: &thirty, New: fourteen},
		"no old policy": {Points: nightly("app", 5, 1_000), New: document(retention.Keep{KeepLast: 1}, zone("Europe/Berlin"))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f = decided(t, f)
			i := of(t, f)
			if !i.Loses() {
				t.Fatal("it loses nothing")
			}
			after, err := f.New.Rules()
			if err != nil {
				t.Fatal(err)
			}
			var before *retention.Rules
			if f.Old != nil {
				rules, err := f.Old.Rules()
				if err != nil {
					t.Fatal(err)
				}
				before = &rules
			}
			code := impact.Code("0123456789abcdef", "prod", before, after, lostSet(f))
			golden(t, strings.ReplaceAll(name, " ", "_"), impact.Story("s3://acme-pg-backups/prod?region=us-east-1&endpoint=https%3A%2F%2Fs3.example.org", "prod", i, code))
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-pinned +now):\n%s", path, diff)
	}
}

func TestALossIsToldInAFewWords(t *testing.T) {
	t.Parallel()
	for want, i := range map[string]impact.Impact{
		"16 recovery points (3.8 GiB)":                                {Points: 16, Bytes: 4.1e9},
		"1 recovery point (size unknown)":                             {Points: 1, Unsized: 1},
		"2 recovery points (at least 999 B)":                          {Points: 2, Bytes: 999, Unsized: 1},
		"3 recovery points (as soon as what keeps them is put right)": {Waiting: 3},
		"1 recovery point (as soon as what keeps it is put right)":    {Waiting: 1},
		"5 recovery points (931.3 GiB)":                               {Points: 5, Bytes: 999_990_000_000, Waiting: 2},
	} {
		if got := i.Total(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAStoryFitsOnAScreenHoweverMuchIsLost(t *testing.T) {
	t.Parallel()
	var many []impact.Point
	for s := range 500 {
		many = append(many, nightly(fmt.Sprintf("app%03d", s), 16, 1_000)...)
	}
	old := document(retention.Keep{KeepDaily: 30})
	i := of(t, impact.Facts{Points: many, Old: &old, New: document(retention.Keep{KeepDaily: 14})})
	if lines := strings.Count(impact.Story("s3://acme-pg-backups/prod?region=us-east-1&endpoint=https%3A%2F%2Fs3.example.org", "prod", i, "EXPIRE-1000-9c41d2"), "\n"); i.Points != 1000 || lines > 70 {
		t.Errorf("%d lines about %d points", lines, i.Points)
	}
}

func TestAnImpactDoesNotDependOnTheOrderOfThePoints(t *testing.T) {
	t.Parallel()
	old := document(retention.Keep{KeepDaily: 30})
	f := decided(t, impact.Facts{Points: append(nightly("a", 30, 7), nightly("b", 30, 11)...), Old: &old, New: document(retention.Keep{KeepWeekly: 2}), Prices: cost.Prices("")})
	forward := of(t, f)
	reversed := f
	reversed.Points = nil
	for i := len(f.Points) - 1; i >= 0; i-- {
		reversed.Points = append(reversed.Points, f.Points[i])
	}
	if diff := cmp.Diff(forward, of(t, reversed)); diff != "" {
		t.Error(diff)
	}
}

func TestAnUnknownTimeZoneIsAnErrorAndNotUTC(t *testing.T) {
	t.Parallel()
	if _, err := impact.Of(impact.Facts{AsOf: asOf, New: policy.Document{Timezone: "Mars/Olympus"}}); err == nil {
		t.Error("no error")
	}
}
