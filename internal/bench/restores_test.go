//go:build bench

package bench

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

const (
	restoring = "restore"
	unproven  = "restore, not compared"
	oldBack   = "old restore, parallel"
	oldSingle = "old restore, single job"
	drilling  = "drill"
	uncounted = "drill, not compared"
)

func TestRestores(t *testing.T) {
	b := start(t)
	b.must(b.runner("backup", "--source", "bench", "--no-globals", "--quiet"))
	awsEnv := append([]string{"AWS_ENDPOINT_URL=" + b.s3.Endpoint}, b.env...)
	b.must(shell(b.ctx, awsEnv, b.oldBackup(filepath.Join(b.dir, "old.dump"))))
	copyOf := filepath.Join(b.dir, "download.dump")
	jobs := runtime.NumCPU()
	for range *rounds {
		b.pg.Exec(t, "postgres", "DROP DATABASE IF EXISTS restored WITH (FORCE)", "CHECKPOINT")
		proven := b.must(b.runner("restore", "latest", "--source", "bench", "--to-database", b.pg.URL("restored"), "--jobs", fmt.Sprint(jobs), "--json"))
		b.measure(restoring, proven)
		b.measure(unproven, b.withoutComparing(proven))
		for _, old := range []struct{ name, options string }{{oldBack, fmt.Sprintf("-j %d", jobs)}, {oldSingle, ""}} {
			b.pg.Exec(t, "postgres", "DROP DATABASE IF EXISTS restored WITH (FORCE)", "CREATE DATABASE restored", "CHECKPOINT")
			b.measure(old.name, b.must(shell(b.ctx, awsEnv, fmt.Sprintf("%[2]s s3 cp --quiet s3://%[3]s/old.dump %[1]s && pg_restore %[4]s -d restored %[1]s", copyOf, b.aws, b.s3.Bucket, old.options))))
		}
		b.pg.Exec(t, "postgres", "DROP DATABASE IF EXISTS restored WITH (FORCE)", "CHECKPOINT")
		drill := b.must(b.runner("drill", "latest", "--source", "bench", "--jobs", fmt.Sprint(jobs), "--json"))
		b.measure(drilling, drill)
		b.measure(uncounted, b.withoutCounting(drill))
	}
	b.publish([]string{
		fmt.Sprintf("| parallel restore of %d MB, no local copy | `aws s3 cp`, then `pg_restore -j %d` | %.2fx its time | 1.0x |", *megabytes, jobs, b.ratio(unproven, oldBack)),
		fmt.Sprintf("| the same | `aws s3 cp`, then single-job `pg_restore` | %.2fx its time | |", b.ratio(unproven, oldSingle)),
		fmt.Sprintf("| the same, every table read back and compared | the same, nothing compared | %.2fx its time | |", b.ratio(restoring, unproven)),
		fmt.Sprintf("| a whole drill: scratch cluster, restore, comparison | the same without comparing | %.2fx its time | |", b.ratio(drilling, uncounted)),
		fmt.Sprintf("| peak memory of the runner, restore | | %d MiB | 128 MiB |", b.rows[restoring].rss()>>20),
	})
}

// withoutComparing takes the last step, reading every table back, off a restore.
func (b *bench) withoutComparing(s sample) sample {
	var result struct{ Durations struct{ Comparing float64 } }
	if err := json.Unmarshal([]byte(s.out), &result); err != nil || result.Durations.Comparing == 0 {
		b.t.Fatalf("restore does not say how long comparing took: %v: %s", err, s.out)
	}
	s.wall -= time.Duration(result.Durations.Comparing * float64(time.Second))
	return s
}

// withoutCounting takes the same off a drill.
func (b *bench) withoutCounting(s sample) sample {
	var result struct {
		Reports []struct {
			Phases []struct {
				Name    string
				Seconds float64
			}
		}
	}
	if err := json.Unmarshal([]byte(s.out), &result); err != nil {
		b.t.Fatalf("drill --json: %v: %s", err, s.out)
	}
	for _, r := range result.Reports {
		for _, p := range r.Phases {
			if p.Name == "comparing" {
				s.wall -= time.Duration(p.Seconds * float64(time.Second))
				return s
			}
		}
	}
	b.t.Fatalf("drill does not say how long comparing took: %s", s.out)
	return s
}
