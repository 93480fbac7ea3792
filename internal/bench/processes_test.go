//go:build bench

package bench

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// processes watches all processes of a program: what their memory sums up to, shared
// pages counted once (PSS), and the time that those used which nobody waits for.
type processes struct {
	match string // in the command line
	stop  chan struct{}
	done  sync.WaitGroup
	most  int64 // bytes
	seen  map[int]bool
	begun unix.Rusage
}

// watch begins. This process adopts what daemonizes, so that its time can be counted.
func watch(match string) *processes {
	p := &processes{match: match, stop: make(chan struct{}), seen: map[int]bool{}}
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	_ = unix.Getrusage(unix.RUSAGE_CHILDREN, &p.begun)
	p.done.Go(func() {
		for {
			select {
			case <-p.stop:
				return
			case <-time.After(10 * time.Millisecond):
				var sum int64
				for _, pid := range p.alive() {
					sum += pss(pid)
					p.seen[pid] = true
				}
				p.most = max(p.most, sum)
			}
		}
	})
	return p
}

// end waits for what still runs, and returns the largest sum of memory in bytes and the
// processor time of all that ended meanwhile.
func (p *processes) end() (memory int64, cpu time.Duration) {
	for deadline := time.Now().Add(time.Minute); len(p.alive()) > 0 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
	}
	close(p.stop)
	p.done.Wait()
	for pid := range p.seen {
		var status unix.WaitStatus
		_, _ = unix.Wait4(pid, &status, unix.WNOHANG, nil) // what was adopted is ours to wait for, the rest was waited for
	}
	var now unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_CHILDREN, &now)
	spent := func(u unix.Rusage) time.Duration { return time.Duration(u.Utime.Nano() + u.Stime.Nano()) }
	return p.most, spent(now) - spent(p.begun)
}

// alive are the processes of the program: the program itself, not a shell whose line
// names it.
func (p *processes) alive() []int {
	var pids []int
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range files {
		line, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		words := strings.Split(string(line), "\x00")
		if filepath.Base(words[0]) == "sh" || !strings.Contains(words[0], p.match) && !(strings.Contains(words[0], "ld-linux") && strings.Contains(string(line), p.match)) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// pss is the memory of a process in bytes, each shared page divided by who shares it.
func pss(pid int) int64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
	if err != nil {
		return 0
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "Pss:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10
		}
	}
	return 0
}
