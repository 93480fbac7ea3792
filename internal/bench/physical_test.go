//go:build bench

package bench

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// The rows against pgBackRest: same server, same store over HTTPS, both encrypted, both
// zstd.
const (
	ourBase     = "base backup"
	rivalBase   = "pgBackRest backup"
	ourFill     = "base restore"
	rivalFill   = "pgBackRest restore"
	ourPush     = "wal push"
	rivalPush   = "pgBackRest archive-push"
	rivalAsync  = "pgBackRest archive-push, async"
	pushed      = 200 // segments
	ourPrefix   = "bench"
	rivalPrefix = "rival"
)

func two(name string) string { return name + ", 2 processes" }

// TestPhysical measures base backup, restore and archiving.
func TestPhysical(t *testing.T) {
	b, r := startPhysical(t)
	b.fillArchive(pushed)
	for range *rounds {
		b.physicalRound(r, 1)
	}
	for range *rounds {
		b.physicalRound(r, 2)
	}
	b.writePhysical()
}

// startPhysical makes a server that archives into both repositories.
func startPhysical(t *testing.T) (*bench, *rival) {
	t.Helper()
	if *runnerBin == "" {
		t.Fatal("give -runner; `make bench` does")
	}
	b := newBench(t)
	b.s3 = testenv.S3(t, testenv.S3TLS())
	archive := filepath.Join(b.dir, "pgbackrest-and-ours.sh")
	b.pg = testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{
		"shared_buffers": "'512MB'", "maintenance_work_mem": "'128MB'", "max_wal_size": "'4GB'", "wal_level": "replica", "max_wal_senders": "8",
		"archive_mode": "on", "archive_command": fmt.Sprintf("'sh %s %%p'", archive)}})
	b.env = append(b.s3.Env(), b.pg.Env()...)
	b.env = append(b.env, "PATH="+b.pg.Bin+":"+os.Getenv("PATH"), "BENCH_KEY="+strings.Repeat("ab", 32), "LD_LIBRARY_PATH=")
	b.repo = fmt.Sprintf("s3://%s/%s?region=%s&endpoint=%s&path_style=true", b.s3.Bucket, ourPrefix, b.s3.Region, b.s3.Endpoint)
	r := newRival(t, b, b.s3.CA)
	b.must(run(b.ctx, b.env, *runnerBin, "init", "--repository", b.repo, "--key", "env:BENCH_KEY"))
	b.must(shell(b.ctx, b.env, r.line("stanza-create", "--no-online")))
	// What archives is the server, as its own user, with nothing but this file.
	b.readableByAll(r.dir, filepath.Dir(b.s3.CA))
	var script strings.Builder
	script.WriteString("set -eu\n")
	for _, v := range b.env {
		name, value, _ := strings.Cut(v, "=")
		fmt.Fprintf(&script, "export %s='%s'\n", name, value)
	}
	fmt.Fprintf(&script, "%s\n", r.line("archive-push", `"$1"`))
	fmt.Fprintf(&script, "%s\n", b.pushLine(`"$1"`, "main", 1))
	if err := os.WriteFile(archive, []byte(script.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	b.readableByAll(b.dir)
	b.pg.CreateDatabase(t, "bench")
	t.Logf("making %d MB of data", *megabytes)
	makeData(b.ctx, t, b.pg, "bench", *megabytes)
	return b, r
}

// readableByAll opens what temporary directories keep to their owner.
func (b *bench) readableByAll(dirs ...string) {
	b.t.Helper()
	for _, dir := range dirs {
		for d := dir; d != "/" && d != "."; d = filepath.Dir(d) {
			info, err := os.Stat(d)
			if err != nil {
				b.t.Fatal(err)
			}
			if info.Mode().Perm()&0o005 != 0o005 {
				if err := os.Chmod(d, info.Mode().Perm()|0o055); err != nil {
					b.t.Fatal(err)
				}
			}
		}
		_ = filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() && strings.HasSuffix(name, ".crt") {
				return os.Chmod(name, 0o644)
			}
			return nil
		})
	}
}

// pushLine is our archive_command for one file.
func (b *bench) pushLine(file, source string, jobs int) string {
	return fmt.Sprintf("'%s' wal push %s --repository '%s' --key env:BENCH_KEY --source %s --spool '%s/spool-%s' --jobs %d --quiet", *runnerBin, file, b.repo, source, b.dir, source, jobs)
}

// fillArchive keeps n finished segments of the server aside, in a folder that looks
// like a data directory to who archives.
func (b *bench) fillArchive(n int) {
	b.t.Helper()
	fake := b.fakeData()
	status := filepath.Join(fake, "pg_wal", "archive_status")
	for _, d := range []string{status, filepath.Join(fake, "global")} {
		if err := os.MkdirAll(d, 0o777); err != nil {
			b.t.Fatal(err)
		}
	}
	b.must(shell(b.ctx, b.env, fmt.Sprintf("cp '%s/global/pg_control' '%s/global/' && cp '%s/PG_VERSION' '%s/'", b.pg.DataDir, fake, b.pg.DataDir, fake)))
	b.pg.Exec(b.t, "postgres", fmt.Sprintf("ALTER SYSTEM SET archive_command = 'cp %%p %s/pg_wal/%%f'", fake), "SELECT pg_reload_conf()", "SELECT pg_switch_wal()")
	b.must(shell(b.ctx, b.env, fmt.Sprintf("chmod -R a+rwX '%s'", fake)))
	b.pg.Exec(b.t, "bench", "CREATE TABLE wal_made (id bigint, text text)")
	for {
		found, err := filepath.Glob(filepath.Join(fake, "pg_wal", "0000*"))
		if err != nil {
			b.t.Fatal(err)
		}
		if len(found) >= n {
			break
		}
		b.pg.Exec(b.t, "bench", "INSERT INTO wal_made SELECT n, md5(n::text) || ' order ' || n % 1000 FROM generate_series(1, 400000) n", "SELECT pg_switch_wal()")
	}
	b.pg.Exec(b.t, "bench", "DROP TABLE wal_made", "ALTER SYSTEM RESET archive_command", "SELECT pg_reload_conf()", "CHECKPOINT", "SELECT pg_switch_wal()")
	// Both ways refuse, or wait for, an archive into which nothing comes.
	b.must(shell(b.ctx, b.env, `until [ "$(psql -At -c "select last_archived_wal >= pg_walfile_name(pg_current_wal_lsn() - 1) from pg_stat_archiver")" = t ]; do sleep 0.2; done`))
}

func (b *bench) fakeData() string { return filepath.Join(b.dir, "fake") }

// archiver is what the server's archiver does, as a loop of sh: one call a segment,
// oldest first, in the data directory.
func (b *bench) archiver(line string) string {
	return fmt.Sprintf(`cd '%s'; rm -f pg_wal/archive_status/*; n=0
for s in $(ls pg_wal | grep '^0000' | head -n %d); do touch pg_wal/archive_status/$s.ready; done
for s in $(ls pg_wal | grep '^0000' | head -n %d); do
  until %s; do sleep 0.05; done
  mv pg_wal/archive_status/$s.ready pg_wal/archive_status/$s.done
done`, b.fakeData(), pushed, pushed, line)
}

// watched runs a line and counts the memory and time of all processes of a program.
func (b *bench) watched(program, line string) sample {
	b.t.Helper()
	w := watch(program)
	s, err := shell(b.ctx, b.env, line)
	s.rss, s.cpu = w.end()
	return b.must(s, err)
}

// physicalRound does each piece of work once in both ways, with n processes each.
func (b *bench) physicalRound(r *rival, n int) {
	b.t.Helper()
	name := func(s string) string {
		if n == 2 {
			return two(s)
		}
		return s
	}
	processes := fmt.Sprintf("--process-max=%d", n)
	common := fmt.Sprintf("--repository '%s' --key env:BENCH_KEY --source main --quiet", b.repo)
	b.measure(name(ourBase), b.watched(*runnerBin, fmt.Sprintf("'%s' backup --kind physical --database '%s' --jobs %d %s", *runnerBin, b.pg.URL("postgres"), n, common)))
	b.measure(name(rivalBase), b.watched("pgbackrest", r.line("backup", "--type=full", processes)))
	for _, dir := range []string{"ours", "theirs"} {
		b.must(shell(b.ctx, nil, fmt.Sprintf("rm -rf '%[1]s/%[2]s' && mkdir -m 700 '%[1]s/%[2]s' && sync", b.dir, dir)))
	}
	b.measure(name(ourFill), b.watched(*runnerBin, fmt.Sprintf("'%s' restore latest --kind physical --to-directory '%s/ours' --jobs %d %s", *runnerBin, b.dir, n, common)))
	b.measure(name(rivalFill), b.watched("pgbackrest", r.line("restore", "--type=immediate", fmt.Sprintf("--pg1-path='%s/theirs'", b.dir), processes)))
	b.forgetWAL()
	b.measure(name(ourPush), b.watched(*runnerBin, b.archiver(b.pushLine("pg_wal/$s", "pushed", n)))).size = b.stored(ourPrefix + "/wal/pushed-*")
	b.forgetWAL()
	before := b.stored(rivalPrefix + "/archive/bench/*/*/0*") // what its base backups need
	b.measure(name(rivalPush), b.watched("pgbackrest", b.archiver(r.line("archive-push", "pg_wal/$s", processes, fmt.Sprintf("--pg1-path='%s'", b.fakeData()))))).size = b.stored(rivalPrefix+"/archive/bench/*/*/0*") - before
	b.forgetWAL()
	b.measure(name(rivalAsync), b.watched("pgbackrest", b.archiver(r.line("archive-push", "pg_wal/$s", processes, "--archive-async", fmt.Sprintf("--pg1-path='%s'", b.fakeData())))))
}

// forgetWAL removes what an earlier round pushed, from both repositories and the spools.
func (b *bench) forgetWAL() {
	b.t.Helper()
	bucket := filepath.Join(b.s3.Dir, b.s3.Bucket)
	first := fmt.Sprintf("rm -rf '%s'/%s/wal/pushed-* '%s'/spool-pushed '%s'/rival/spool/*", bucket, ourPrefix, b.dir, b.dir)
	// The base backups of the rival need their own segments: only those of the fake go.
	second := fmt.Sprintf("for s in $(ls '%s/pg_wal' | grep '^0000'); do rm -f '%s'/%s/archive/bench/*/*/$s-*; done", b.fakeData(), bucket, rivalPrefix)
	b.must(shell(b.ctx, nil, first+"; "+second))
}

// stored is the size in bytes of what matches below the bucket.
func (b *bench) stored(pattern string) int64 {
	b.t.Helper()
	var sum int64
	found, err := filepath.Glob(filepath.Join(b.s3.Dir, b.s3.Bucket, pattern))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, root := range found {
		_ = filepath.WalkDir(root, func(_ string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				if info, err := e.Info(); err == nil {
					sum += info.Size()
				}
			}
			return nil
		})
	}
	return sum
}

// writePhysical prints the rows of the README.
func (b *bench) writePhysical() {
	newest := func(pattern string) int64 {
		found, err := filepath.Glob(filepath.Join(b.s3.Dir, b.s3.Bucket, pattern))
		if err != nil || len(found) == 0 {
			b.t.Fatalf("nothing is stored as %s", pattern)
		}
		last := found[len(found)-1]
		at, err := filepath.Rel(filepath.Join(b.s3.Dir, b.s3.Bucket), last)
		if err != nil {
			b.t.Fatal(err)
		}
		return b.stored(at)
	}
	bytes := map[string]float64{
		"base": float64(newest(ourPrefix+"/points/main/physical/2*")) / float64(newest(rivalPrefix+"/backup/bench/2*F")),
		"push": float64(b.rows[ourPush].size) / float64(b.rows[rivalPush].size),
	}
	line := func(work, ours, theirs, against, stored string) string {
		side := func(a, b2 string) string {
			return fmt.Sprintf("%.2fx time, %.2fx CPU, %.2fx memory (%d against %d MiB)", b.ratio(a, b2), b.rows[a].cpu().Seconds()/b.rows[b2].cpu().Seconds(),
				float64(b.rows[a].rss())/float64(b.rows[b2].rss()), b.rows[a].rss()>>20, b.rows[b2].rss()>>20)
		}
		return fmt.Sprintf("| %s | %s | %s%s | %s |", work, against, side(ours, theirs), stored, side(two(ours), two(theirs)))
	}
	b.publish([]string{
		fmt.Sprintf("%d MB of dump data, PostgreSQL %d, versitygw over HTTPS on loopback, both encrypted and zstd, medians of %d, memory of all processes together:", *megabytes, b.pg.Major, *rounds),
		"",
		"| work | against pgBackRest 2.55 | process-max=1 (wanted: time 1.0x, memory 0.5x) | process-max=2 |",
		"|---|---|---|---|",
		line("base backup", ourBase, rivalBase, "`backup --type=full`", fmt.Sprintf(", %.2fx bytes stored", bytes["base"])),
		line("restore of it", ourFill, rivalFill, "`restore`", ""),
		line(fmt.Sprintf("archive push of %d segments", pushed), ourPush, rivalPush, "`archive-push`", fmt.Sprintf(", %.2fx bytes stored", bytes["push"])),
		line("the same", ourPush, rivalAsync, "`archive-push --archive-async`", ""),
	})
}
