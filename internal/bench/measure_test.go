//go:build bench

package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sort"
	"strings"
	"syscall"
	"time"
)

// sample is one run of a command with its children.
type sample struct {
	wall time.Duration
	cpu  time.Duration
	rss  int64 // bytes, the largest process of the run
	out  string
}

// row collects the runs of one way of doing a piece of work.
type row struct {
	name string
	runs []sample
	size int64 // bytes that it left in the store or on disk
}

// run executes a command and measures it. Output is shown only when it fails.
func run(ctx context.Context, env []string, name string, args ...string) (sample, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	begun := time.Now()
	err := cmd.Run()
	s := sample{wall: time.Since(begun), out: out.String()}
	if cmd.ProcessState != nil {
		s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			s.rss = usage.Maxrss * 1024
		}
	}
	if err != nil {
		return s, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, errs.String())
	}
	return s, nil
}

// shell runs a line of sh.
func shell(ctx context.Context, env []string, line string) (sample, error) {
	return run(ctx, env, "sh", "-euc", line)
}

// wall is the median wall time of a row.
func (r *row) wall() time.Duration {
	walls := make([]time.Duration, len(r.runs))
	for i, s := range r.runs {
		walls[i] = s.wall
	}
	sort.Slice(walls, func(i, j int) bool { return walls[i] < walls[j] })
	return walls[len(walls)/2]
}

// cpu is the median processor time of a row.
func (r *row) cpu() time.Duration {
	times := make([]time.Duration, len(r.runs))
	for i, s := range r.runs {
		times[i] = s.cpu
	}
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	return times[len(times)/2]
}

// rss is the largest of all runs, in bytes.
func (r *row) rss() int64 {
	var most int64
	for _, s := range r.runs {
		most = max(most, s.rss)
	}
	return most
}
