package receive

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

const mib = 1 << 20

// pendingOf is one with segments of 1 MiB, and a clock that the test sets.
func pendingOf(t *testing.T, limit int64) (p *pending, now *time.Time, disposed *[]string) {
	t.Helper()
	now, disposed = new(time.Time), &[]string{}
	*now = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	p = newPending(limit, 3*time.Second, func() time.Time { return *now }, func(s *segment) {
		_ = s.file.Close()
		*disposed = append(*disposed, s.name)
	})
	return p, now, disposed
}

func open(t *testing.T, p *pending, timeline pgwal.Timeline, number uint64) *segment {
	t.Helper()
	at := pgwal.Segment{Timeline: timeline, Number: number}
	f, err := os.Create(filepath.Join(t.TempDir(), at.Name(mib)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	s := &segment{archive: repo.WALArchive{Source: "a", System: "1"}, at: at, size: mib, name: at.Name(mib), file: f, scan: pgwal.NewScanner(&at)}
	p.begin(s)
	return s
}

func add(t *testing.T, p *pending, s *segment, n int) {
	t.Helper()
	if err := p.add(s, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
}

func wantStored(t *testing.T, p *pending, want pgwal.LSN) {
	t.Helper()
	if _, _, stored := p.safe(); stored != want {
		t.Errorf("stored up to %s, want %s", stored, want)
	}
}

// take is the next task, which there must be.
func take(t *testing.T, p *pending) *task {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	task := p.pickLocked()
	if task == nil {
		t.Fatal("nothing is to be stored")
	}
	task.s.busy = true
	return task
}

func wantNothing(t *testing.T, p *pending) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if task := p.pickLocked(); task != nil {
		t.Errorf("%s %v is to be stored", task.s.name, task.piece)
	}
}

func TestOnlyWhatIsStoredWithoutAHoleCounts(t *testing.T) {
	t.Parallel()
	p, now, disposed := pendingOf(t, 100*mib)
	one := open(t, p, 1, 1)
	add(t, p, one, mib)
	two := open(t, p, 1, 2)
	add(t, p, two, mib)
	three := open(t, p, 1, 3)
	add(t, p, three, 100)
	wantStored(t, p, mib)
	first, second, third := take(t, p), take(t, p), take(t, p)
	if first.s != one || second.s != two || third.s != three || third.piece != (span{0, 100}) {
		t.Fatalf("%s, %s, %s %v", first.s.name, second.s.name, third.s.name, third.piece)
	}
	wantNothing(t, p)
	p.done(second) // before the one before it
	wantStored(t, p, mib)
	p.done(third)
	wantStored(t, p, mib)
	*now = now.Add(2 * time.Second)
	if lag := p.state().Lag; lag != 2*time.Second {
		t.Errorf("lag %s", lag)
	}
	p.done(first)
	wantStored(t, p, 3*mib+100)
	if len(*disposed) != 2 {
		t.Errorf("%v", *disposed)
	}
	p.setConnected(true)
	if lag := p.state().Lag; lag != 0 {
		t.Errorf("lag %s", lag)
	}

	// The unfinished one: again when it is time, or in a hurry.
	add(t, p, three, 10)
	wantNothing(t, p)
	p.hurry()
	more := take(t, p)
	if more.piece != (span{100, 110}) {
		t.Fatalf("%v", more.piece)
	}
	p.failed(more)
	wantStored(t, p, 3*mib+100)
	wantNothing(t, p)
	*now = now.Add(4 * time.Second)
	again := take(t, p)
	p.done(again)
	wantStored(t, p, 3*mib+110)
}

func TestNewTimelineCountsOnlyWhenAllOfTheOldOneIsStored(t *testing.T) {
	t.Parallel()
	p, now, _ := pendingOf(t, 100*mib)
	old := open(t, p, 1, 4)
	add(t, p, old, 1000)
	p.done(take(t, p))
	add(t, p, old, 500) // beyond where the server left the timeline
	p.place(place{2, 4 * mib})
	next := open(t, p, 2, 4)
	add(t, p, next, 1200)
	wantStored(t, p, 4*mib) // though 1000 of those bytes are there, of the other timeline
	*now = now.Add(time.Minute)
	first := take(t, p)
	if first.s != old || first.piece.to != 1500 {
		t.Fatalf("%s %v", first.s.name, first.piece)
	}
	wantNothing(t, p)
	p.done(first)
	wantStored(t, p, 4*mib)
	*now = now.Add(time.Minute)
	second := take(t, p)
	if second.s != next || second.piece != (span{0, 1200}) {
		t.Fatalf("%s %v", second.s.name, second.piece)
	}
	p.done(second)
	wantStored(t, p, 4*mib+1200)
}

func TestFullSpoolWaitsUntilSomethingIsStored(t *testing.T) {
	t.Parallel()
	p, _, _ := pendingOf(t, 2*mib)
	one := open(t, p, 1, 1)
	add(t, p, one, mib)
	two := open(t, p, 1, 2)
	add(t, p, two, mib-10)
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.room(short, 11, func(int64) {}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("room for more than the limit: %v", err)
	}
	full := make(chan int64, 1)
	waited := make(chan error, 1)
	go func() { waited <- p.room(t.Context(), 11, func(used int64) { full <- used }) }()
	if used := <-full; used != 2*mib-10 {
		t.Errorf("%d bytes are used", used)
	}
	if p.silent() != 0 {
		t.Error("a server that is not listened to is blamed for its silence")
	}
	p.done(take(t, p))
	if err := <-waited; err != nil {
		t.Error(err)
	}
}
