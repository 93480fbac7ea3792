//go:build bench

package bench

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

var (
	megabytes = flag.Int("mb", 256, "size of the dump data in megabytes")
	rounds    = flag.Int("rounds", 3, "how often every way is run; the median counts")
	runnerBin = flag.String("runner", "", "path of pgbackup-runner")
	report    = flag.String("report", "", "file for the Markdown table")
)

// bench is one machine with everything on it.
type bench struct {
	t    *testing.T
	ctx  context.Context
	pg   *testenv.PostgresServer
	s3   *testenv.S3Server
	dir  string
	aws  string
	env  []string
	repo string
	rows map[string]*row
}

func TestBench(t *testing.T) {
	b := start(t)
	b.backups()
	b.decisions()
	b.listings()
	b.plans()
	b.write()
}

// start makes the machine: a server with the data in it, a store, and an empty
// repository.
func start(t *testing.T) *bench {
	t.Helper()
	if *runnerBin == "" {
		t.Fatal("give -runner; `make bench` does")
	}
	b := newBench(t)
	b.pg = testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{
		"shared_buffers": "'512MB'", "maintenance_work_mem": "'128MB'", "max_wal_size": "'4GB'"}})
	b.s3 = testenv.S3(t)
	b.aws = findAWS(t)
	b.env = append(b.s3.Env(), b.pg.Env()...)
	b.env = append(b.env, "PATH="+b.pg.Bin+":"+os.Getenv("PATH"), "PGDATABASE=bench", "DATABASE_URL="+b.pg.URL("bench"), "BENCH_KEY="+strings.Repeat("ab", 32))
	b.repo = fmt.Sprintf("s3://%s/bench?region=%s&endpoint=%s", b.s3.Bucket, b.s3.Region, b.s3.Endpoint)
	b.pg.CreateDatabase(t, "bench")
	t.Logf("making %d MB of data", *megabytes)
	makeData(b.ctx, t, b.pg, "bench", *megabytes)
	b.must(run(b.ctx, b.env, *runnerBin, "init", "--repository", b.repo, "--key", "env:BENCH_KEY"))
	return b
}

func newBench(t *testing.T) *bench {
	return &bench{t: t, ctx: context.Background(), dir: t.TempDir(), rows: map[string]*row{}}
}

func (b *bench) must(s sample, err error) sample {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *bench) measure(name string, s sample) *row {
	r := b.rows[name]
	if r == nil {
		r = &row{name: name}
		b.rows[name] = r
	}
	r.runs = append(r.runs, s)
	b.t.Logf("%-28s %8.2fs  cpu %7.2fs  rss %4d MiB", name, s.wall.Seconds(), s.cpu.Seconds(), s.rss>>20)
	return r
}

const (
	ours      = "backup"
	ourStored = "backup, verify = stored"
	oldWay    = "old way"
	limit     = "limit"
)

// backups runs ours, the old way and the limit in turn. All read the same warm
// database.
func (b *bench) backups() {
	dump := filepath.Join(b.dir, "old.dump")
	awsEnv := append([]string{"AWS_ENDPOINT_URL=" + b.s3.Endpoint}, b.env...)
	b.must(shell(b.ctx, b.env, "pg_dump -Fc -Z0 | cat >/dev/null")) // warm
	for range *rounds {
		b.measure(limit, b.must(shell(b.ctx, b.env, "pg_dump -Fc -Z0 | cat >/dev/null")))
		b.measure(ours, b.must(b.runner("backup", "--source", "bench", "--no-globals", "--quiet")))
		b.measure(ourStored, b.must(b.runner("backup", "--source", "stored", "--no-globals", "--quiet", "--verify", "stored")))
		b.measure(oldWay, b.must(shell(b.ctx, awsEnv, b.oldBackup(dump))))
	}
	info, err := os.Stat(dump)
	if err != nil {
		b.t.Fatal(err)
	}
	b.rows[oldWay].size = info.Size()
	b.rows[ours].size = b.storedBytes()
}

// oldBackup is the old way as a line of sh: dump to a file, list it, upload it.
func (b *bench) oldBackup(file string) string {
	return fmt.Sprintf("pg_dump -Fc -Z9 -f %[1]s && pg_restore --list %[1]s >/dev/null && %[2]s s3 cp --quiet %[1]s s3://%[3]s/old.dump", file, b.aws, b.s3.Bucket)
}

func (b *bench) runner(args ...string) (sample, error) {
	args = append(args, "--repository", b.repo, "--key", "env:BENCH_KEY")
	return run(b.ctx, b.env, *runnerBin, args...)
}

func (b *bench) storedBytes() int64 {
	cmd := exec.Command(*runnerBin, "list", "--json", "--source", "bench", "--repository", b.repo, "--key", "env:BENCH_KEY")
	cmd.Env = append(os.Environ(), b.env...)
	out, err := cmd.Output()
	if err != nil {
		b.t.Fatal(err)
	}
	var list struct{ Points []struct{ Bytes int64 } }
	if err := json.Unmarshal(out, &list); err != nil || len(list.Points) == 0 {
		b.t.Fatalf("list: %v, %d points", err, len(list.Points))
	}
	return list.Points[0].Bytes
}

// decisions measures the retention engine over a million points.
func (b *bench) decisions() {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	points := make([]retention.Point, 1_000_000)
	for i := range points {
		start := now.Add(-time.Duration(i) * 5 * time.Minute)
		points[i] = retention.Point{ID: start.Format("20060102T150405Z") + "-aaaaaaaa", Source: "app", Kind: "logical", Start: start, Verified: true}
	}
	rules := retention.Rules{Keep: retention.Keep{KeepLast: 3, KeepHourly: 48, KeepDaily: 30, KeepWeekly: 12, KeepMonthly: 12, KeepYearly: 7}}
	for range *rounds {
		begun := time.Now()
		plan := retention.Decide(retention.Input{Points: points, Rules: rules, Now: now})
		if len(plan.Keep)+len(plan.Delete) != len(points) {
			b.t.Fatal("the plan does not cover the points")
		}
		b.measure("retention", sample{wall: time.Since(begun)})
	}
}

// setenv sets NAME=value for this process: stores that it opens itself read it.
func (b *bench) setenv(assignment string) {
	name, value, _ := strings.Cut(assignment, "=")
	b.t.Setenv(name, value)
}

func findAWS(t *testing.T) string {
	if p, err := filepath.Abs("../../.venv/bin/aws"); err == nil {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	p, err := exec.LookPath("aws")
	if err != nil {
		t.Fatal("the AWS CLI, part of the old way, is missing: `make bench` installs it into .venv")
	}
	return p
}

// write prints the table of the README.
func (b *bench) write() {
	ratio := b.ratio
	var out strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	p("%d MB of dump data, %d cores, PostgreSQL %d, versitygw on loopback, sealed repository, median of %d:", *megabytes, runtime.NumCPU(), b.pg.Major, *rounds)
	p("")
	p("| work | against | ratio | wanted |")
	p("|---|---|---|---|")
	p("| logical backup to S3, verified while streaming | `pg_dump -Fc -Z9` to disk, `pg_restore --list`, `aws s3 cp` | **%.1fx faster**, output %.2fx the size, no scratch disk | 3x, no larger |", ratio(oldWay, ours), float64(b.rows[ours].size)/float64(b.rows[oldWay].size))
	p("| the same with `verify = \"stored\"` | the same | %.1fx faster | |", ratio(oldWay, ourStored))
	p("| logical backup to S3, verified while streaming | the limit: `pg_dump -Fc -Z0 \\| cat >/dev/null` | %.2fx its time | 1.6x |", ratio(ours, limit))
	p("| peak memory of the runner, backup | | %d MiB (stored: %d MiB) | 128 MiB |", b.rows[ours].rss()>>20, b.rows[ourStored].rss()>>20)
	p("| retention decision, 1,000,000 points | | %.2f s | 2 s |", b.rows["retention"].wall().Seconds())
	p("| listing of %s points of %d sources on S3 | one LIST of the same keys, page after page | %.2fx its time (%.1f s) | |", "1,000,000", manySources, ratio(ourListing, pageByPage), b.rows[ourListing].wall().Seconds())
	p("| decision about what was listed | | %.2f s | 2 s |", b.rows[ourDecision].wall().Seconds())
	p("| plan of %d resources, nothing changed | a plan of %d `terraform_data` | %.2fx its time | |", planned, planned, ratio(ourPlan, otherPlan))
	b.publish(strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n"))
}

// ratio is how many times the wall time of one way another takes.
func (b *bench) ratio(over, under string) float64 {
	return b.rows[over].wall().Seconds() / b.rows[under].wall().Seconds()
}

// publish prints lines of the table and puts them at the end of the report: every
// test of a run adds its rows.
func (b *bench) publish(lines []string) {
	text := strings.Join(lines, "\n") + "\n"
	fmt.Print("\n" + text)
	if *report == "" {
		return
	}
	f, err := os.OpenFile(*report, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		b.t.Fatal(err)
	}
}
