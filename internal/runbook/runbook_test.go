package runbook_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runbook"
)

// night is when somebody needs the page.
var night = time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC)

func repository(t *testing.T) *repo.Repository {
	t.Helper()
	store, err := dir.Create(filepath.Join(t.TempDir(), "repo"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	r, err := repo.Create(t.Context(), store, repo.CreateOptions{Now: night.AddDate(-1, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func commit(t *testing.T, r *repo.Repository, source, kind string, ago time.Duration, m repo.Manifest) repo.Ref {
	t.Helper()
	start := night.Add(-ago)
	w, err := r.NewPoint(source, kind, start, repo.WriterOptions{})
	if err == nil {
		err = w.WriteStream(t.Context(), "archive", []byte("what was backed up"))
	}
	if err == nil {
		m.End = start.Add(time.Minute)
		err = w.Commit(t.Context(), &m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return w.Ref()
}

func declare(t *testing.T, r *repo.Repository, document string) {
	t.Helper()
	d, err := policy.Parse([]byte(document))
	if err == nil {
		_, err = r.PutPolicyRevision(t.Context(), 0, d, policy.Envelope{At: night, By: "a test", Loss: &policy.Loss{To: d.Digest()}})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func page(t *testing.T, r *repo.Repository, policyName string, d runbook.Declared) string {
	t.Helper()
	facts, err := runbook.Gather(t.Context(), r, policyName, d, night)
	if err != nil {
		t.Fatal(err)
	}
	return string(facts.Markdown())
}

// M8
func TestThePageNamesRealPointsObjectivesAndTheLastProvenRestore(t *testing.T) {
	t.Parallel()
	r := repository(t)
	declare(t, r, `{"format":1,"name":"prod","environment":"production","objectives":{"rpo":"24h","rto":"4h"},"retention":{"keep_last":3}}`)
	m := repo.Manifest{Policy: "prod", PolicyRevision: 1, Server: repo.Server{Major: 15, Database: "app", Extensions: []string{"postgis"}}, Totals: repo.Totals{Bytes: 3 << 30}}
	commit(t, r, "app@db1", "logical", 50*time.Hour, m)
	good := commit(t, r, "app@db1", "logical", 26*time.Hour, m)
	bad := commit(t, r, "app@db1", "logical", 2*time.Hour, m)
	if err := r.Condemn(t.Context(), bad, repo.Mark{At: night}); err != nil {
		t.Fatal(err)
	}
	commit(t, r, "etc@db1", "config", time.Hour, repo.Manifest{Policy: "prod", PolicyRevision: 1})
	commit(t, r, "crm@db2", "logical", time.Hour, repo.Manifest{Policy: "other", PolicyRevision: 1})
	for _, d := range []struct {
		ago     time.Duration
		outcome drillreport.Outcome
	}{{200 * time.Hour, drillreport.Proven}, {time.Hour, drillreport.BadBackup}} {
		at := night.Add(-d.ago)
		err := r.PutDrillReport(t.Context(), drillreport.Report{
			Format: 1, ID: repo.NewID(at), Drill: "weekly", Start: at, End: at.Add(time.Hour), Outcome: d.outcome, Reason: "rows are missing",
			Point: drillreport.Point{Source: "app@db1", Kind: "logical"}, RTO: drillreport.RTO{Seconds: 4000}, Contents: drillreport.Contents{Bytes: 2 << 30},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	got := page(t, r, "prod", runbook.Declared{Title: "the shop", Repository: "s3://acme/prod", Replica: "s3://acme-dr/prod?region=eu-west-1", Contacts: []runbook.Contact{{"Ada", "decides", "+49 30 1"}}})
	for _, want := range []string{
		"# Recovering the shop", "prod, revision 1", "| 24h |", "| 4h |", "| Ada | decides | +49 30 1 |",
		good.ID, "2, and 1 bad", "1 h 6 min", "did not prove its backup (bad_backup):** rows are missing", "RESTORE-PROD-20260302",
		"It needs PostgreSQL 15 or newer, with the extensions postgis.",
		"took 1 h 6 min for 2.0 GiB of rows; there are 3.0 GiB now",
		"--replace --dry-run", "--repository 's3://acme-dr/prod?region=eu-west-1'", "--kind config --to-directory",
		"## Rows were deleted", "## A table was dropped", "## The database is corrupt", "## The server is lost", "## The region is lost", "## The key is lost",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not on the page", want)
		}
	}
	for _, not := range []string{bad.ID, "crm@db2", "%!"} {
		if strings.Contains(got, not) {
			t.Errorf("%q is on the page", not)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

const segment = 1 << 20

// logged puts segments of the log of a server, numbered from 1, into the repository, and a
// base backup that begins with one of them.
func logged(t *testing.T, r *repo.Repository, source string, ago map[int]time.Duration, bases map[int]time.Duration) {
	t.Helper()
	const system = "7300000000000000001"
	for n, when := range ago {
		s := pgwal.Segment{Timeline: 1, Number: uint64(n)}
		if _, err := r.PutWAL(t.Context(), repo.WALArchive{Source: source, System: system}, repo.WALInfo{
			Name: s.Name(segment), SegmentSize: segment, Major: 15, First: s.Start(segment), Last: s.End(segment),
			FirstCommit: night.Add(-when), LastCommit: night.Add(-when), Archived: night.Add(-when),
		}, make([]byte, segment)); err != nil {
			t.Fatal(err)
		}
	}
	for n, when := range bases {
		start := (pgwal.Segment{Timeline: 1, Number: uint64(n)}).Start(segment) + 40
		commit(t, r, source, "physical", when, repo.Manifest{Policy: "prod", PolicyRevision: 1, Server: repo.Server{Major: 15, SystemIdentifier: system}, Totals: repo.Totals{Bytes: 1},
			Physical: &repo.Physical{StartLSN: start, StopLSN: start + 100, Timeline: 1, SegmentSize: segment, BlockSize: 8192, Stopped: night.Add(-when)}})
	}
}

// M8
func TestAServerWhoseLogIsArchivedComesBackToAnyMomentOfItsWindow(t *testing.T) {
	t.Parallel()
	const hour = time.Hour
	for _, c := range []struct {
		name       string
		log, bases map[int]time.Duration
		says       []string
		not        []string
	}{
		{"all of it", map[int]time.Duration{1: 30 * hour, 2: 20 * hour, 3: 90 * time.Minute}, map[int]time.Duration{1: 30 * hour, 3: 2 * hour},
			[]string{"from **2026-02-28 21:00:00 UTC** to **2026-03-02 01:30:00 UTC**", "--target-time 2026-03-02T01:30:00Z"}, []string{"gap"}},
		{"a gap that a base backup is behind", map[int]time.Duration{1: 30 * hour, 3: 90 * time.Minute}, map[int]time.Duration{1: 30 * hour, 3: 2 * hour},
			[]string{"from **2026-03-02 01:00:00 UTC** to **2026-03-02 01:30:00 UTC**", "between 2026-02-28 21:00:00 UTC and 2026-03-02 01:30:00 UTC can not be recovered"}, []string{"a gap after that"}},
		{"a gap that nothing is behind", map[int]time.Duration{1: 30 * hour, 2: 20 * hour, 4: 90 * time.Minute}, map[int]time.Duration{1: 30 * hour},
			[]string{"from **2026-02-28 21:00:00 UTC** to **2026-03-01 07:00:00 UTC** can be recovered. **The log has a gap after that:**", "--target-time 2026-03-01T07:00:00Z"}, nil},
		{"no log", map[int]time.Duration{}, map[int]time.Duration{1: 30 * hour}, []string{"**No base backup leads to a moment"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := repository(t)
			declare(t, r, `{"format":1,"name":"prod","environment":"production","retention":{"keep_last":3}}`)
			logged(t, r, "db1", c.log, c.bases)
			got := page(t, r, "prod", runbook.Declared{Repository: "s3://acme/prod", Replica: "s3://acme-dr/prod"})
			says := slices.Concat(c.says, []string{"## The server is gone, and its log is archived", "It needs PostgreSQL 15 or newer.", "export DATA=/var/lib/postgresql/15/main",
				"\npgbackup-runner wal status --source db1 --repository s3://acme/prod\n",
				"\npgbackup-runner restore --target latest --source db1 --to-directory \"$DATA\" --start --dry-run --repository s3://acme/prod\n",
				"\npgbackup-runner restore --target latest --source db1 --to-directory \"$DATA\" --start --repository s3://acme/prod --approval \"$APPROVAL\"\n",
				"--to-directory \"$DATA\" --start --repository s3://acme-dr/prod"})
			for _, want := range says {
				if !strings.Contains(got, want) {
					t.Errorf("%q is not on the page", want)
				}
			}
			for _, not := range append(c.not, "%!", "## The server is lost") {
				if strings.Contains(got, not) {
					t.Errorf("%q is on the page", not)
				}
			}
			if t.Failed() {
				t.Log(got)
			}
		})
	}
}

// Names come from databases, and whoever reads the page pastes it into a shell.
func TestHostileNamesStayNames(t *testing.T) {
	t.Parallel()
	r := repository(t)
	source, database := "$(touch owned);`touch owned`'\"|#", "a\"; touch owned; $(touch owned) `touch owned`"
	commit(t, r, source, "logical", time.Hour, repo.Manifest{Server: repo.Server{Major: 15, Database: database}})
	logged(t, r, source, map[int]time.Duration{1: time.Hour}, map[int]time.Duration{1: time.Hour})
	got := page(t, r, "", runbook.Declared{Repository: "file:///tmp/$(touch owned)'s"})
	var script strings.Builder
	inside := false
	for line := range strings.Lines(got) {
		if strings.HasPrefix(line, "```") {
			inside = strings.HasPrefix(line, "```sh")
			continue
		}
		if inside && !strings.HasPrefix(line, "aws ") {
			script.WriteString(line)
		}
	}
	if !strings.Contains(script.String(), "restore latest") || !strings.Contains(script.String(), "restore --target latest") {
		t.Fatal(got)
	}
	tools, here := t.TempDir(), t.TempDir()
	for _, name := range []string{"pgbackup-runner", "psql", "dropdb"} {
		if err := os.WriteFile(filepath.Join(tools, name), []byte("#!/bin/sh\ncat >/dev/null 2>&1 </dev/null\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("bash", "-c", script.String())
	cmd.Dir, cmd.Env = here, []string{"PATH=" + tools + ":/usr/bin:/bin"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s\n%s", err, out, script.String())
	}
	if files, err := os.ReadDir(here); err != nil || len(files) > 0 {
		t.Errorf("the commands of the page ran what was in a name: %v %v\n%s", files, err, script.String())
	}
}

func TestAnEmptyRepositoryIsSaidToBeEmpty(t *testing.T) {
	t.Parallel()
	if got := page(t, repository(t), "", runbook.Declared{}); !strings.Contains(got, "**Nothing.**") || !strings.Contains(got, "no second copy") {
		t.Error(got)
	}
}
