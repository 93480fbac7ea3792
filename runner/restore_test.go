package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestATimeIsUTCUnlessItSaysOtherwise(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2026-03-01": "2026-03-01T00:00:00Z", "2026-03-01T02:30": "2026-03-01T02:30:00Z", "2026-03-01 02:30:15": "2026-03-01T02:30:15Z",
		"2026-03-01T02:30:00+02:00": "2026-03-01T00:30:00Z", "2026-03-01T02:30Z": "2026-03-01T02:30:00Z", "2026-02-31": "", "2026-03": "",
		"2026-03-01 02:30:15.123456+00": "2026-03-01T02:30:15Z", "2026-03-01 02:30:15+01": "2026-03-01T01:30:15Z", "2026-03-01 02:30-03": "2026-03-01T05:30:00Z", "2026-03-01 02:30:15.1 UTC": "2026-03-01T02:30:15Z",
		"2026-03-01 02:30:15 CET": "", "2026-03-01T25:00": "",
	} {
		got, err := parseMoment(text)
		if (err != nil) != (want == "") || err == nil && got.Format(time.RFC3339) != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
}

func TestAPathIsToldFromWhatNamesARecoveryPoint(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"latest": false, "2026-03-01": false, "20260301T020000Z-abcdefgh": false, "20260301T": false, "app@db/logical/20260301T020000Z-abcdefgh": false, "nonsense": false,
		"./latest": true, "/var/backups/app": true, "../x": true, "app.dump": true, "app.SQL.GZ": true, "s3://bucket/20260301T020000Z-abcdefgh": true, "https://example.org/x": true,
		"restore_test.go": true, // a file that is here
	} {
		if got := isForeign(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestHowLongARestoreTakesIsGuessedFromTheNewestDrillThatWasProven(t *testing.T) {
	t.Parallel()
	drill := func(source string, outcome drillreport.Outcome, seconds float64, bytes int64) drillreport.Report {
		return drillreport.Report{Outcome: outcome, Point: drillreport.Point{Source: source}, RTO: drillreport.RTO{Seconds: seconds}, Contents: drillreport.Contents{Bytes: bytes}}
	}
	const gib = 1 << 30
	reports := []drillreport.Report{
		drill("app", drillreport.CouldNotRun, 1, 0), drill("app", drillreport.BadBackup, 7, gib), drill("other", drillreport.Proven, 9, gib), drill("app", drillreport.Proven, 0, gib),
		drill("app", drillreport.Proven, 60, 2*gib), drill("app", drillreport.Proven, 600, gib),
	}
	if got := guessed(reports, "app", 6*gib); got == nil || got.seconds != 180 {
		t.Errorf("%+v", got)
	}
	if got := guessed(reports, "nobody", gib); got != nil {
		t.Errorf("%+v", got)
	}
	// Of something small it is not the bytes that take the time.
	if got := guessed([]drillreport.Report{drill("app", drillreport.Proven, 4, 0)}, "app", 10); got == nil || got.seconds != 4 {
		t.Errorf("%+v", got)
	}
}

func TestADryRunSaysHowLongTheLastDrillTook(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", "CREATE TABLE t AS SELECT generate_series(1, 100) id")
	place := "file://" + t.TempDir() + "/repo"
	invoke := func(args ...string) string {
		t.Helper()
		var out, log bytes.Buffer
		if code := run(t.Context(), streams{in: strings.NewReader(""), out: &out, err: &log}, append(args, "--repository", place)); code != 0 {
			t.Fatalf("%v: exit code %d: %s", args, code, log.String())
		}
		return out.String()
	}
	invoke("init")
	invoke("backup", "--database", pg.URL("app"), "--source", "app", "--no-globals")
	at, err := location.Parse(place)
	if err != nil {
		t.Fatal(err)
	}
	store, err := location.Open(t.Context(), at, location.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Open(t.Context(), store, repo.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC)
	report := drillreport.Report{
		Format: drillreport.Format, ID: repo.NewID(began), Drill: "weekly", Repository: r.ID(), Start: began, Outcome: drillreport.Proven,
		Point: drillreport.Point{Source: "app"}, RTO: drillreport.RTO{Seconds: 42}, Contents: drillreport.Contents{Bytes: 300},
	}
	if err := r.PutDrillReport(t.Context(), report); err != nil {
		t.Fatal(err)
	}
	args := []string{"restore", "latest", "--to-database", pg.URL("fresh"), "--dry-run"}
	if out := invoke(args...); !strings.Contains(out, "It takes about 42.0s, as drill weekly of 2026-03-01 04:00:00Z did: 300 B of tables in 42.0s.") {
		t.Error(out)
	}
	if out := invoke(append(args, "--json")...); !strings.Contains(out, `"estimated_seconds": 42`) || !strings.Contains(out, `"estimated_from": "20260301T040000Z-`) {
		t.Error(out)
	}
}

func TestRolesAreMappedOneToOne(t *testing.T) {
	t.Parallel()
	got, err := restoreFlags{roles: []string{"old=new", "a b=c=d"}}.roleMap()
	if err != nil || got["old"] != "new" || got["a b"] != "c=d" {
		t.Errorf("%v, %v", got, err)
	}
	for _, roles := range [][]string{{"old"}, {"=new"}, {"old="}, {"old=a", "old=b"}} {
		if _, err := (restoreFlags{roles: roles}).roleMap(); codeOf(err) != 2 {
			t.Errorf("%v: %v", roles, err)
		}
	}
}
