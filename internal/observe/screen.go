// Package observe lets people and machines see a run: log lines and a progress
// bar that share one terminal while it goes on, its numbers in CloudWatch, and
// messages to those who asked to be told of it.
//
// What lives here: drawing, the forms of numbers and messages, and sending them.
// What must not: deciding what is worth telling, reading the secrets that URLs are,
// and the final tables and documents of commands (the faces do that).
package observe

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// refresh is how often a bar is drawn.
const refresh = 200 * time.Millisecond

// Status is what a progress bar shows at a moment.
type Status struct {
	Step  string // "dumping"
	Item  string // what is being worked on, such as a table
	Done  int64  // bytes
	Total int64  // bytes, an estimate; 0 when not known
}

// Screen is the terminal, or the file, that a run talks to people on. Lines
// written to it appear above the bar. Safe for concurrent use.
type Screen struct {
	terminal bool

	mu  sync.Mutex
	out io.Writer
	bar *bar
}

// NewScreen writes to out; bars are drawn on terminals only.
func NewScreen(out io.Writer, terminal bool) *Screen { return &Screen{out: out, terminal: terminal} }

// Terminal tells whether a person watches.
func (s *Screen) Terminal() bool { return s.terminal }

// Write implements io.Writer, for logs.
func (s *Screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bar != nil {
		return s.bar.progress.Write(b)
	}
	return s.out.Write(b)
}

// Draw shows a bar until the returned function or Close is called. On anything
// but a terminal it draws nothing.
func (s *Screen) Draw(status func() Status) (stop func()) {
	if !s.terminal {
		return func() {}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bar != nil {
		return func() {} // one at a time
	}
	s.bar = newBar(s.out, status)
	return s.Close
}

// Close removes the bar. Writing goes on to work.
func (s *Screen) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bar != nil {
		s.bar.close()
		s.bar = nil
	}
}

// bar is one progress bar being drawn.
type bar struct {
	progress *mpb.Progress
	bar      *mpb.Bar
	stop     chan struct{}
	stopped  sync.WaitGroup
}

func newBar(out io.Writer, status func() Status) *bar {
	b := &bar{stop: make(chan struct{})}
	b.progress = mpb.New(mpb.WithOutput(out), mpb.WithWidth(80), mpb.WithRefreshRate(refresh), mpb.WithAutoRefresh())
	b.bar = b.progress.New(0, mpb.BarStyle(),
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return status().Step + " " })),
		mpb.AppendDecorators(
			decor.Any(func(decor.Statistics) string { return amount(status()) }),
			decor.AverageSpeed(decor.SizeB1024(0), "% .1f "),
			decor.Any(func(decor.Statistics) string { return shorten(status().Item, 32) }),
		))
	b.stopped.Go(func() {
		tick := time.NewTicker(refresh)
		defer tick.Stop()
		for {
			select {
			case <-b.stop:
				return
			case <-tick.C:
			}
			now := status()
			// The estimate may be too low: the bar then stays full instead of ending.
			b.bar.SetTotal(max(now.Total, now.Done+1), false)
			b.bar.SetCurrent(now.Done)
		}
	})
	return b
}

func (b *bar) close() {
	close(b.stop)
	b.stopped.Wait()
	b.bar.Abort(true)
	b.progress.Wait()
}

// amount is how much is done, and of how much where that is known.
func amount(s Status) string {
	if s.Total <= 0 {
		return fmt.Sprintf("% .1f ", decor.SizeB1024(s.Done))
	}
	return fmt.Sprintf("% .1f / ~% .1f ", decor.SizeB1024(s.Done), decor.SizeB1024(s.Total))
}

// shorten cuts a name in the middle, where it says least.
func shorten(s string, width int) string {
	r := []rune(s)
	if len(r) <= width {
		return s
	}
	half := (width - 1) / 2
	return string(r[:half]) + "…" + string(r[len(r)-(width-1-half):])
}
