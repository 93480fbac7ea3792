package drillreport_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/strictjson"
)

var clock = time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC)

func proven() drillreport.Report {
	kept := true
	return drillreport.Report{
		Format: 1, ID: "20260301T040000Z-drilldrl", Drill: "weekly", Repository: "0a1b2c", Policy: "prod", PolicyRevision: 3,
		Point: drillreport.Point{Source: "app@db1", Kind: "logical", ID: "20260301T020000Z-abcdefgh", Start: clock.Add(-2 * time.Hour), Stored: 3 << 20, Chosen: "latest", Among: 12, From: "primary"},
		Into:  drillreport.Place{Kind: "scratch_cluster", Where: "db-host", Version: "15.6", Isolation: []string{"a socket only"}},
		Start: clock, End: clock.Add(95 * time.Second), Outcome: drillreport.Proven,
		Phases:   []drillreport.Phase{{Name: "starting a server", Seconds: 1.5}, {Name: "tables", Seconds: 60}, {Name: drillreport.PhaseComparing, Seconds: 20}},
		RTO:      drillreport.RTO{Seconds: 61.5, Objective: 14400, Kept: &kept},
		Contents: drillreport.Contents{Tables: 12, Rows: 34567, Bytes: 9 << 20, Sequences: 4},
		Checks:   []drillreport.Check{{Name: "recent orders", Passed: true, Expect: "true", Got: "t", Seconds: 0.1}},
		LeftOut:  []drillreport.LeftOut{{What: "SUBSCRIPTION s", Why: "it would connect"}},
		Runner:   "1.2.3", Host: "db-host", By: "ada@db-host",
	}
}

func bad() drillreport.Report {
	r := proven()
	broke := false
	r.ID, r.Outcome, r.Reason = "20260308T040000Z-drilldrl", drillreport.BadBackup, "table public.orders differs"
	r.Start, r.End = r.Start.AddDate(0, 0, 7), r.End.AddDate(0, 0, 7)
	r.Contents.Differences = []drillreport.Difference{{Object: `table public."a|b"`, Problem: "has 3 rows,\nthe backup 4 <b>"}}
	r.Checks = []drillreport.Check{{Name: "*all* | of it", Expect: "> 4", Got: "3", Seconds: 0.1}, {Name: "slow", Expect: "true", Problem: "it took longer than 1s", CouldNotRun: true}}
	r.AmCheck = &drillreport.AmCheck{Problems: []string{"heap table app.public.orders: xmin is in the future"}}
	r.RTO.Kept = &broke
	r.Warnings = []string{"slow\u202edisk\x1b[31m"}
	return r
}

func couldNot() drillreport.Report {
	r := proven()
	r.ID, r.Outcome, r.Reason = "20260315T040000Z-drilldrl", drillreport.CouldNotRun, "there is nothing to drill"
	r.Start, r.End = r.Start.AddDate(0, 0, 14), r.Start.AddDate(0, 0, 14).Add(time.Second)
	r.Point = drillreport.Point{Source: "app@db1", Chosen: "latest", From: "primary"}
	r.Into, r.Phases, r.Contents, r.Checks, r.LeftOut = drillreport.Place{Kind: "scratch_cluster"}, nil, drillreport.Contents{}, nil, nil
	r.RTO = drillreport.RTO{Objective: 14400}
	return r
}

// recovered is of a whole server that was brought to a moment.
func recovered() drillreport.Report {
	r := proven()
	broke := false
	r.ID, r.Point.Kind, r.Point.Chosen, r.Point.Seed, r.Contents = "20260322T040000Z-drilldrl", "physical", "random", 42, drillreport.Contents{}
	target := clock.Add(-time.Hour - 1500*time.Millisecond)
	r.Recovery = &drillreport.Recovery{
		Target: target, From: clock.AddDate(0, 0, -7), To: clock.Add(-20 * time.Second), Timeline: 2, LSN: "16/B374D848",
		Achieved: target.Add(-4 * time.Second), By: drillreport.ByHeartbeat, Behind: 4, Heartbeat: target.Add(-4 * time.Second), Every: 10, Commit: target.Add(-4 * time.Second), Files: 1200, Bytes: 9 << 20,
	}
	r.RPO = &drillreport.RPO{Seconds: 20, Objective: 10, Kept: &broke}
	return r
}

func TestAReportIsReadAsItWasWrittenAndANewerOneIsRefusedByName(t *testing.T) {
	t.Parallel()
	for _, r := range []drillreport.Report{proven(), bad(), couldNot(), recovered()} {
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		back, err := drillreport.Parse(data)
		if diff := cmp.Diff(r, back); err != nil || diff != "" {
			t.Errorf("%v: %s", err, diff)
		}
	}
	if _, err := drillreport.Parse([]byte(`{"format":2,"id":"x"}`)); !errors.Is(err, strictjson.ErrNewerFormat) {
		t.Errorf("a newer format: %v", err)
	}
	if _, err := drillreport.Parse([]byte(`{"format":1,"phases":{}}`)); err == nil {
		t.Error("what is no report was read")
	}
}

// golden compares with a file of testdata; UPDATE=1 writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") != "" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s:\n%s", name, diff)
	}
}

func TestReportsForPeopleAndForCISystems(t *testing.T) {
	t.Parallel()
	golden(t, "proven.md", proven().Markdown())
	golden(t, "bad.md", bad().Markdown())
	golden(t, "could_not_run.md", couldNot().Markdown())
	golden(t, "recovered.md", recovered().Markdown())
	golden(t, "junit.xml", drillreport.JUnit([]drillreport.Report{proven(), bad(), couldNot(), recovered()}))
}

func TestWhatNamesHoldBecomesNoMarkup(t *testing.T) {
	t.Parallel()
	r := bad()
	r.Drill, r.Point.Source, r.Reason = "x\n# owned", "<script>alert(1)</script>|`rm`", "[click](https://evil.example)\n\n## Proven"
	r.Checks[0].Got = "\x00]]></system-out>"
	page := string(r.Markdown())
	for _, never := range []string{"\n# owned", "<script>", "[click](", "\n## Proven", "\x1b", "\u202e", "|`rm`"} {
		if strings.Contains(page, never) {
			t.Errorf("%q is in the page", never)
		}
	}
	var back struct {
		Suites []struct {
			Name string `xml:"name,attr"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(drillreport.JUnit([]drillreport.Report{r}), &back); err != nil || len(back.Suites) != 1 || !strings.Contains(back.Suites[0].Name, "<script>") {
		t.Errorf("%v, %+v", err, back)
	}
}

func TestAJUnitReportIsValidXMLToOthers(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal("python3 is not on PATH: install it (apt-get install python3)")
	}
	cmd := exec.Command(python, "-c", `import sys, xml.etree.ElementTree as e
r = e.fromstring(sys.stdin.buffer.read())
print(r.get("tests"), r.get("failures"), r.get("errors"), len(r.findall(".//failure")), len(r.findall(".//error")), len(r.findall(".//testcase")))`)
	cmd.Stdin = strings.NewReader(string(drillreport.JUnit([]drillreport.Report{proven(), bad(), couldNot()})))
	out, err := cmd.CombinedOutput()
	if got := strings.Fields(string(out)); err != nil || len(got) != 6 || got[0] != got[5] || got[1] != got[3] || got[2] != got[4] {
		t.Errorf("%v: %s", err, out)
	}
}

func weekly(t *testing.T) func(string) schedule.Schedule {
	s, err := schedule.Parse("0 4 * * 0", "")
	if err != nil {
		t.Fatal(err)
	}
	return func(drill string) schedule.Schedule {
		if drill == "weekly" {
			return s
		}
		return schedule.Schedule{}
	}
}

func TestASummarySaysLastNextAndTrend(t *testing.T) {
	t.Parallel()
	other := proven()
	other.Drill, other.Point.Source = "manual", "crm@db1"
	reports := []drillreport.Report{bad(), other, couldNot(), proven()} // in any order
	now := clock.AddDate(0, 0, 15)
	list := drillreport.Summarize(reports, weekly(t), now)
	if len(list) != 2 || list[0].Drill != "manual" || list[1].Drill != "weekly" {
		t.Fatalf("%+v", list)
	}
	w := list[1]
	if w.Last.ID != couldNot().ID || w.Proven.ID != proven().ID || !w.Next.Equal(clock.AddDate(0, 0, 21)) || w.Overdue {
		t.Errorf("%+v", w)
	}
	var trend []drillreport.Outcome
	for _, b := range w.Trend {
		trend = append(trend, b.Outcome)
	}
	if !slices.Equal(trend, []drillreport.Outcome{drillreport.CouldNotRun, drillreport.BadBackup, drillreport.Proven}) {
		t.Errorf("%v", trend)
	}
	if m := list[0]; m.Next != nil || m.Overdue || m.Proven == nil {
		t.Errorf("%+v", m)
	}
	for late, overdue := range map[time.Duration]bool{7*24*time.Hour + drillreport.Late: false, 7*24*time.Hour + drillreport.Late + time.Second: true} {
		if got := drillreport.Summarize([]drillreport.Report{proven()}, weekly(t), clock.Add(late)); got[0].Overdue != overdue {
			t.Errorf("after %s: %+v", late, got[0])
		}
	}
	if got := drillreport.Summarize(nil, weekly(t), now); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestTheTrendIsBounded(t *testing.T) {
	t.Parallel()
	var reports []drillreport.Report
	for i := range 3 * drillreport.Trend {
		r := proven()
		r.Start = r.Start.AddDate(0, 0, -i)
		r.ID = r.Start.Format("20060102T150405Z") + "-drilldrl"
		reports = append(reports, r)
	}
	got := drillreport.Summarize(reports, weekly(t), clock)
	if len(got[0].Trend) != drillreport.Trend || got[0].Trend[0].ID != reports[0].ID {
		t.Errorf("%+v", got[0])
	}
}

func TestTheWorstOutcomeOutweighsTheOthers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		of   []drillreport.Report
		want drillreport.Outcome
	}{
		{nil, drillreport.CouldNotRun}, {[]drillreport.Report{proven()}, drillreport.Proven},
		{[]drillreport.Report{proven(), couldNot()}, drillreport.CouldNotRun}, {[]drillreport.Report{bad(), couldNot(), proven()}, drillreport.BadBackup},
	} {
		if got := drillreport.Worst(c.of); got != c.want {
			t.Errorf("%v: %s", c.of, got)
		}
	}
}

func TestTheSourceThatIsFurthestBehindCounts(t *testing.T) {
	t.Parallel()
	older := proven()
	older.Point.Source, older.ID, older.Start = "crm@db1", "20260201T040000Z-drilldrl", clock.AddDate(0, -1, 0)
	never := bad()
	never.Point.Source = "etl@db1"
	oldest, without := drillreport.Furthest(drillreport.Summarize([]drillreport.Report{proven(), older, never}, weekly(t), clock))
	if oldest == nil || oldest.ID != older.ID || !slices.Equal(without, []string{"etl@db1"}) {
		t.Errorf("%+v, %v", oldest, without)
	}
}
