package job_test

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

func drillJob(change func(*job.Drill)) job.Job {
	d := job.Drill{Into: job.DrillInto{ScratchCluster: &job.ScratchCluster{}}}
	if change != nil {
		change(&d)
	}
	return job.Job{Format: job.Format, Name: "weekly", Kind: job.KindDrill, Repository: "file:///backups", Policy: "prod", Drill: &d}
}

func TestADrillSurvivesItsFile(t *testing.T) {
	t.Parallel()
	ref, err := secretref.Parse("env:URL")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*job.Drill){
		"nothing but where to": nil,
		"all of it": func(d *job.Drill) {
			*d = job.Drill{
				Of: []string{"app@db1", "crm@db1"}, Kind: "logical", Source: job.DrillRandom, Seed: 7, From: job.FromReplica,
				Into:    job.DrillInto{ScratchCluster: &job.ScratchCluster{Directory: "/scratch", Extensions: []string{"postgis"}, Settings: map[string]string{"shared_buffers": "1GB"}}},
				Checks:  []job.DrillCheck{{Name: "recent orders", SQL: "select true", Expect: "true", Timeout: duration.MustParse("1m")}},
				AmCheck: true, Archived: true, Jobs: 4,
			}
		},
		"a database": func(d *job.Drill) {
			d.Into = job.DrillInto{Database: &job.DrillDatabase{DatabaseURLRef: ref}}
		},
		"a whole server": func(d *job.Drill) {
			d.Kind, d.Seed, d.Database = "physical", 7, "app"
		},
		"an instance": func(d *job.Drill) {
			d.Kind, d.Into = "rds_snapshot", job.DrillInto{RDSInstance: &job.DrillInstance{Class: "db.t4g.small", PasswordRef: ref, SSLMode: "verify-full"}}
		},
	} {
		j := drillJob(change)
		data, err := j.Encode()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		back, err := job.Parse(data)
		if err != nil || back.Digest() != j.Digest() {
			t.Errorf("%s: %v\n%s", name, err, data)
		}
	}
}

func TestADrillThatCouldNotWorkIsRefusedNamingTheField(t *testing.T) {
	t.Parallel()
	check := func(c job.DrillCheck) func(*job.Drill) {
		return func(d *job.Drill) { d.Checks = []job.DrillCheck{c} }
	}
	for want, change := range map[string]func(*job.Drill){
		"drill.into: give exactly one":      func(d *job.Drill) { d.Into = job.DrillInto{} },
		"scratch_cluster, database and rds": func(d *job.Drill) { d.Into.RDSInstance = &job.DrillInstance{} },
		"drill.of[1]":                       func(d *job.Drill) { d.Of = []string{"a", "a"} },
		"longer than the 180":               func(d *job.Drill) { d.Of = []string{strings.Repeat("a", 181)} },
		"drill.kind":                        func(d *job.Drill) { d.Kind = "logcal" },
		"drill.source":                      func(d *job.Drill) { d.Source = "newest" },
		"drill.from":                        func(d *job.Drill) { d.From = "replcia" },
		"drill.seed":                        func(d *job.Drill) { d.Seed = 3 },
		"drill.jobs":                        func(d *job.Drill) { d.Jobs = 65 },
		"rds_instance, and nothing else is": func(d *job.Drill) { d.Kind = "rds_snapshot" },
		"restored into rds_instance": func(d *job.Drill) {
			d.Into = job.DrillInto{RDSInstance: &job.DrillInstance{}}
		},
		"drill.into.scratch_cluster.directory": func(d *job.Drill) { d.Into.ScratchCluster.Directory = "scratch" },
		"must never end up on the server that PGHOST": func(d *job.Drill) {
			d.Into = job.DrillInto{Database: &job.DrillDatabase{}}
		},
		"drill.into.rds_instance.sslmode": func(d *job.Drill) {
			d.Kind, d.Into = "rds_snapshot", job.DrillInto{RDSInstance: &job.DrillInstance{SSLMode: "maybe"}}
		},
		"drill.database: has a meaning for kind": func(d *job.Drill) { d.Database = "app" },
		"drill.into.database: has no place for a whole": func(d *job.Drill) {
			d.Kind, d.Into = "physical", job.DrillInto{Database: &job.DrillDatabase{Server: job.Server{Host: "db"}}}
		},
		"drill.checks[0].name":    check(job.DrillCheck{SQL: "select 1"}),
		"drill.checks[0].sql":     check(job.DrillCheck{Name: "a"}),
		"drill.checks[0].expect":  check(job.DrillCheck{Name: "a", SQL: "select 1", Expect: "> many"}),
		"drill.checks[0].timeout": check(job.DrillCheck{Name: "a", SQL: "select 1", Timeout: duration.MustParse("1mo")}),
		"drill.checks[1].name": func(d *job.Drill) {
			d.Checks = []job.DrillCheck{{Name: "a", SQL: "select 1"}, {Name: "a", SQL: "select 2"}}
		},
	} {
		if err := drillJob(change).Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestADrillOfAWholeServerTakesAMomentByChance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ kind, source, want string }{
		{"", "", "latest"}, {"logical", "", "latest"}, {"physical", "", "random"}, {"physical", "latest", "latest"}, {"logical", "oldest", "oldest"},
	} {
		if got := (job.Drill{Kind: c.kind, Source: c.source}).Chosen(); got != c.want {
			t.Errorf("kind %q, source %q: %s", c.kind, c.source, got)
		}
	}
}

func TestAnExpectationIsMetByWhatPeopleMean(t *testing.T) {
	t.Parallel()
	const null = "\x00"
	for _, c := range []struct {
		expect, got string
		rows        int
		met         bool
	}{
		{"", "t", 1, true}, {"", "true", 1, true}, {"", "f", 1, false}, {"", "1", 1, false}, {"", null, 1, false}, {"", "", 0, false},
		{"true", "t", 2, true}, {"false", "f", 1, true}, {"FALSE", "f", 1, true}, {"false", "t", 1, false},
		{"42", "42", 1, true}, {"42", "42.0", 1, true}, {"42.50", "42.5", 1, true}, {"42", "43", 1, false}, {"1e3", "1000", 1, true},
		{"ready", "ready", 1, true}, {"ready", "Ready", 1, false}, {"t", "true", 1, true},
		{"= 42", "42", 1, true}, {"== ready", "ready", 1, true}, {"=", "", 1, true},
		{"!= 0", "1", 1, true}, {"!= 0", "0", 1, false}, {"<> 0", "0.00", 1, false}, {"!= 0", null, 1, false}, {"!= 0", "", 0, false}, {"!= ready", "broken", 1, true},
		{"> 100", "101", 1, true}, {"> 100", "100", 1, false}, {"> 100", "1000", 1, true}, {">= 100", "100", 1, true}, {"<= 5", "5.0", 1, true}, {"< 5", "5", 1, false},
		{"< 5", "-1", 1, true}, {">-1", "0", 1, true}, {"> 100", "many", 1, false}, {"> 9007199254740992", "9007199254740993", 1, true},
		{"non-empty", "", 1, true}, {"non-empty", null, 1, true}, {"non-empty", "", 0, false},
		{" > 3 ", "4", 1, true},
	} {
		e, err := job.ParseExpectation(c.expect)
		if err != nil {
			t.Errorf("%q: %v", c.expect, err)
			continue
		}
		if met := e.Met(c.rows, c.got, c.got == null); met != c.met {
			t.Errorf("%q of %d rows with %q: %v", c.expect, c.rows, c.got, met)
		}
	}
}

func TestAComparisonWithWhatIsNoNumberIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{">", "> many", "<= ", ">= 1h", "< NaN", "> 1 2"} {
		if _, err := job.ParseExpectation(text); err == nil || !strings.Contains(err.Error(), "compares with a number") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Numbers compare as numbers whatever their length, and every value is equal to
// itself.
func TestExpectationsCompareNumbersExactly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		order := big.NewInt(a).Cmp(big.NewInt(b))
		for op, want := range map[string]bool{"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0, "=": order == 0, "!=": order != 0} {
			e, err := job.ParseExpectation(fmt.Sprintf("%s %d", op, b))
			if err != nil || e.Met(1, fmt.Sprint(a), false) != want {
				t.Fatalf("%d %s %d: %v", a, op, b, err)
			}
		}
		text := rapid.StringMatching(`[a-zA-Z0-9 _.:/-]{0,20}`).Draw(t, "text")
		if e, err := job.ParseExpectation("=" + text); err != nil || !e.Met(1, strings.TrimSpace(text), false) {
			t.Fatalf("%q is not equal to itself: %v", text, err)
		}
	})
}

func FuzzParseExpectation(f *testing.F) {
	for _, seed := range []string{"", "true", "> 1", "<=1e400000000", "= 1/3", "non-empty"} {
		f.Add(seed, "1")
	}
	f.Fuzz(func(_ *testing.T, expect, got string) {
		if e, err := job.ParseExpectation(expect); err == nil {
			e.Met(1, got, false)
		}
	})
}
