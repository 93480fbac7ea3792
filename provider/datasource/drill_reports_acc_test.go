package datasource_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

// report stores one of a drill of a source.
func (f *fixture) report(drill, source string, at time.Time, change func(*drillreport.Report)) drillreport.Report {
	f.t.Helper()
	r := drillreport.Report{
		Format: drillreport.Format, ID: repo.NewID(at), Drill: drill, Repository: f.ID(), Start: at, End: at.Add(90 * time.Second), Outcome: drillreport.Proven,
		Point: drillreport.Point{Source: source, Kind: "logical", ID: repo.NewID(at.Add(-time.Hour)), Chosen: "latest", From: "primary"},
		Into:  drillreport.Place{Kind: "scratch_cluster"}, RTO: drillreport.RTO{Seconds: 61.5}, Contents: drillreport.Contents{Tables: 3, Rows: 1000, Bytes: 65536},
	}
	if change != nil {
		change(&r)
	}
	if err := f.PutDrillReport(f.t.Context(), r); err != nil {
		f.t.Fatal(err)
	}
	return r
}

func TestAccDrillReports_listsThemNewestFirst(t *testing.T) {
	t.Parallel()
	const name = "pgbackup_drill_reports"
	f := newFixture(t)
	first := f.report("weekly", "shop", day(1), nil)
	kept := false
	bad := f.report("weekly", "shop", day(8), func(r *drillreport.Report) {
		r.Outcome, r.Reason, r.RTO.Kept = drillreport.BadBackup, "table public.orders has 999 rows, the backup has 1000", &kept
		r.Checks = []drillreport.Check{{Name: "fresh", Passed: false}, {Name: "filled", Passed: true}}
	})
	monthly := f.report("monthly", "blog", day(3), func(r *drillreport.Report) { r.RTO = drillreport.RTO{}; r.Outcome = drillreport.CouldNotRun })
	is := func(r drillreport.Report, rto, keptRTO, failed, reason knownvalue.Check) knownvalue.Check {
		return knownvalue.ObjectPartial(map[string]knownvalue.Check{
			"id": knownvalue.StringExact(r.ID), "drill": knownvalue.StringExact(r.Drill), "source": knownvalue.StringExact(r.Point.Source), "point": knownvalue.StringExact(r.Point.ID),
			"outcome": knownvalue.StringExact(string(r.Outcome)), "seconds": knownvalue.Float64Exact(90), "rto_seconds": rto, "rto_kept": keptRTO, "failed_checks": failed,
			"reason": reason, "rows": number(1000), "problem": knownvalue.Null(),
		})
	}
	none := knownvalue.ListExact([]knownvalue.Check{})
	wantBad := is(bad, knownvalue.Float64Exact(61.5), knownvalue.Bool(false), knownvalue.ListExact([]knownvalue.Check{knownvalue.StringExact("fresh")}), knownvalue.StringExact(bad.Reason))
	wantMonthly := is(monthly, knownvalue.Null(), knownvalue.Null(), none, knownvalue.Null())
	wantFirst := is(first, knownvalue.Float64Exact(61.5), knownvalue.Null(), none, knownvalue.Null())
	providertest.Run(t,
		resource.TestStep{
			Config: data(name, fmt.Sprintf("repository = %q", f.url())),
			ConfigStateChecks: expect(name, map[string]knownvalue.Check{
				"reports":    knownvalue.ListExact([]knownvalue.Check{wantBad, wantMonthly, wantFirst}),
				"latest":     knownvalue.ListExact([]knownvalue.Check{wantBad, wantMonthly}),
				"all_proven": knownvalue.Bool(false),
			}),
		},
		resource.TestStep{
			PreConfig: func() { f.report("weekly", "shop", day(15), nil) },
			Config:    data(name, fmt.Sprintf("repository = %q\n drill = \"weekly\"\n limit = 1", f.url())),
			ConfigStateChecks: expect(name, map[string]knownvalue.Check{
				"reports": knownvalue.ListSizeExact(1), "all_proven": knownvalue.Bool(true),
			}),
		},
		// No report proves nothing.
		resource.TestStep{
			Config:            data(name, fmt.Sprintf("repository = %q\n drill = \"yearly\"", f.url())),
			ConfigStateChecks: expect(name, map[string]knownvalue.Check{"reports": none, "all_proven": knownvalue.Bool(false)}),
		},
		resource.TestStep{
			PreConfig: func() {
				files, err := filepath.Glob(filepath.Join(f.dir, "drills", "weekly", "shop", "20250315*"))
				if err != nil || len(files) != 1 {
					t.Fatal(files, err)
				}
				if err := os.WriteFile(files[0], []byte("{}"), 0o600); err != nil {
					t.Fatal(err)
				}
			},
			Config:            data(name, fmt.Sprintf("repository = %q\n drill = \"weekly\"", f.url())),
			ConfigStateChecks: expect(name, map[string]knownvalue.Check{"reports": knownvalue.ListSizeExact(3), "all_proven": knownvalue.Bool(false)}),
		},
	)
}

func TestAccRunbook_namesTodaysPoints(t *testing.T) {
	t.Parallel()
	const name = "pgbackup_runbook"
	f := newFixture(t)
	document, err := policy.Parse([]byte(`{"format":1,"name":"prod","environment":"production","objectives":{"rpo":"24h","rto":"4h"},"retention":{"keep_last":3}}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.PutPolicyRevision(t.Context(), 0, document, policy.Envelope{At: day(1), By: "a test", Loss: &policy.Loss{To: document.Digest()}}); err != nil {
		t.Fatal(err)
	}
	f.add("shop", day(1), repo.Manifest{Policy: "prod", PolicyRevision: 1})
	newest := f.add("shop", day(2), repo.Manifest{Policy: "prod", PolicyRevision: 1})
	f.add("blog", day(3), repo.Manifest{Policy: "other", PolicyRevision: 1})
	lines := fmt.Sprintf("policy = %q\n  title = \"the shop\"\n  contacts = [{ name = \"On call\", reach = \"#dba\" }]", f.url()+"#prod")
	providertest.Run(t,
		resource.TestStep{
			Config: data(name, lines),
			ConfigStateChecks: expect(name, map[string]knownvalue.Check{
				"markdown": knownvalue.StringRegexp(regexp.MustCompile(`(?s)# Recovering the shop.*On call.*#dba.*` + newest.ID + `.*--approval "\$APPROVAL"`)),
			}),
		},
		resource.TestStep{Config: data(name, fmt.Sprintf("policy = %q", f.url()+"#nobody")), ExpectError: regexp.MustCompile(`reading pgbackup_runbook`)},
	)
}
