package receive

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// segment is one of which not all is stored.
type segment struct {
	archive repo.WALArchive
	at      pgwal.Segment
	size    uint64
	name    string
	file    *os.File // has what was received, from the segment's beginning on
	scan    *pgwal.Scanner
	have    uint32 // bytes received
	synced  uint32 // of them safe in the spool
	closed  bool   // nothing more comes: it is full, or its timeline was left
	seam    *seam  // what must be shown to continue before it is taken; nil when it was

	pieces   []span // in the repository, a chain
	needless []span // in the repository too, and to be removed when the pieces, or the whole, say the same
	busy     bool   // somebody stores of it
	stored   bool   // all that comes of it is in the repository
	failures int
	retry    time.Time // not before
}

func (s *segment) start() pgwal.LSN { return s.at.Start(s.size) }

// safe is up to where the repository has it without a hole.
func (s *segment) safe() pgwal.LSN {
	if s.stored {
		return s.start() + pgwal.LSN(s.have)
	}
	return s.start() + pgwal.LSN(min(covered(s.pieces), s.have))
}

// pending is what was received and is not all stored: segments in the order in which
// they came, the last one unfinished. One goroutine adds, several store.
type pending struct {
	mu      sync.Mutex
	changed *sync.Cond
	notify  chan struct{} // has one when more is safe than was

	segments []*segment
	dispose  func(*segment) // of what is stored
	limit    int64          // of the spool, in bytes
	used     int64
	every    time.Duration
	now      func() time.Time

	timeline  pgwal.Timeline // 0: nothing was received yet
	from      pgwal.LSN      // where the timeline was begun
	received  pgwal.LSN
	server    pgwal.LSN
	heard     time.Time // from the server, last
	connected bool
	blocked   bool // the spool is full
	retained  int64
	piece     time.Time // when the last piece was begun
	hurried   bool
	marks     []mark
	into      repo.WALArchive // of the newest segment
}

// mark: what is at a position came at a time.
type mark struct {
	at   pgwal.LSN
	when time.Time
}

func newPending(limit int64, every time.Duration, now func() time.Time, dispose func(*segment)) *pending {
	p := &pending{limit: limit, every: every, now: now, dispose: dispose, retained: -1, notify: make(chan struct{}, 1), heard: now()}
	p.changed = sync.NewCond(&p.mu)
	return p
}

// wake lets everybody look again.
func (p *pending) wake() {
	p.changed.Broadcast()
	p.confirm()
}

// confirm has the server told how far it went.
func (p *pending) confirm() {
	select {
	case p.notify <- struct{}{}:
	default:
	}
}

// begin makes a segment the one that is added to. What was open before is closed.
func (p *pending) begin(s *segment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leaveLocked()
	p.placeLocked(place{s.at.Timeline, s.start() + pgwal.LSN(s.have)})
	// Smaller, and the segment that is received would keep out its own rest.
	p.limit = max(p.limit, 2*int64(s.size))
	p.used += int64(s.have)
	p.segments = append(p.segments, s)
	p.wake()
}

// place says what comes next. What was received of another timeline beyond it does not
// count as received any more: the server must not hear of it.
func (p *pending) place(at place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.placeLocked(at)
}

func (p *pending) placeLocked(at place) {
	if at.timeline != p.timeline {
		p.from, p.marks = at.at, nil
	}
	p.timeline, p.received = at.timeline, at.at
}

// leave closes the unfinished segment, if there is one: its timeline was left, or what
// follows in it can not be had.
func (p *pending) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leaveLocked()
	p.wake()
}

func (p *pending) leaveLocked() {
	if s := p.openLocked(); s != nil {
		s.closed = true
		p.finishLocked(s)
		p.sweepLocked()
	}
}

func (p *pending) openLocked() *segment {
	if n := len(p.segments); n > 0 && !p.segments[n-1].closed {
		return p.segments[n-1]
	}
	return nil
}

// open is the segment that is added to, nil for none.
func (p *pending) open() *segment {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.openLocked()
}

// wakeAtEnd has whoever waits for a change look again when ctx ends.
func (p *pending) wakeAtEnd(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.changed.Broadcast()
	})
}

// room waits until n more bytes fit into the spool. full is told once if it has to; it
// must not call back.
func (p *pending) room(ctx context.Context, n int, full func(used int64)) error {
	defer p.wakeAtEnd(ctx)()
	p.mu.Lock()
	defer p.mu.Unlock()
	for told := false; p.used+int64(n) > p.limit; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		p.blocked = true
		if !told {
			full(p.used)
			told = true
		}
		p.changed.Wait()
	}
	if p.blocked { // nobody listened to the server meanwhile
		p.blocked, p.heard = false, p.now()
	}
	return nil
}

// add appends to the open segment, of which it must be a part.
func (p *pending) add(s *segment, data []byte) error {
	if _, err := s.file.WriteAt(data, int64(s.have)); err != nil {
		return fmt.Errorf("spool WAL: %w; make room, or give another directory with --spool", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if n := len(p.marks); n == 0 || now.Sub(p.marks[n-1].when) > time.Second/2 {
		p.marks = append(p.marks, mark{p.received, now})
	}
	_, _ = s.scan.Write(data) // it takes everything
	if err := s.seam.check(s, s.have+uint32(len(data))); err != nil {
		return err // and nobody stores what does not count as received
	}
	s.have += uint32(len(data))
	p.used += int64(len(data))
	p.received += pgwal.LSN(len(data))
	if uint64(s.have) == s.size {
		s.closed = true
		p.changed.Broadcast()
	}
	return nil
}

// safe is up to where all is stored without a hole, and up to where it is in the spool.
func (p *pending) safe() (received, spooled, stored pgwal.LSN) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.received, p.syncedLocked(), p.storedLocked()
}

func (p *pending) storedLocked() pgwal.LSN {
	for _, s := range p.segments {
		if !s.stored {
			return p.upToLocked(s, s.safe())
		}
	}
	return p.received
}

func (p *pending) syncedLocked() pgwal.LSN {
	for _, s := range p.segments {
		if !s.stored && s.synced < s.have {
			return p.upToLocked(s, s.start()+pgwal.LSN(s.synced))
		}
	}
	return p.received
}

// upToLocked is what of the present timeline is safe when of a segment it is up to
// there: of what was left before, nothing that comes after counts.
func (p *pending) upToLocked(s *segment, there pgwal.LSN) pgwal.LSN {
	if s.at.Timeline != p.timeline {
		return min(there, p.from)
	}
	return min(there, p.received)
}

// hurry has the unfinished segment stored now.
func (p *pending) hurry() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hurried = true
	p.changed.Broadcast()
}

// hear notes that the server spoke, and how far it wrote.
func (p *pending) hear(server pgwal.LSN) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = p.now()
	p.server = max(p.server, server)
}

// silent is for how long nothing was heard of a server that is listened to.
func (p *pending) silent() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.blocked {
		return 0
	}
	return p.now().Sub(p.heard)
}

func (p *pending) setConnected(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.connected = on; on {
		p.heard = p.now()
	}
}

func (p *pending) setRetained(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retained = bytes
}

// reached is where receiving stands: the timeline is 0 where it did not begin.
func (p *pending) reached() (pgwal.Timeline, pgwal.LSN) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.timeline, p.received
}

// forget makes receiving begin anew; what is pending is stored all the same.
func (p *pending) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leaveLocked()
	p.timeline, p.received, p.server = 0, 0, 0
	p.wake()
}

func (p *pending) state() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return State{
		Timeline: p.timeline, Received: p.received, Stored: p.storedLocked(), Server: p.server, Lag: p.lagLocked(),
		Spooled: p.used, Retained: p.retained, Connected: p.connected,
	}
}

func (p *pending) lagLocked() time.Duration {
	var lag time.Duration
	if !p.connected { // nobody knows what was written since
		lag = p.now().Sub(p.heard)
	}
	stored := p.storedLocked()
	for len(p.marks) > 1 && p.marks[1].at <= stored {
		p.marks = p.marks[1:]
	}
	if stored < p.received && len(p.marks) > 0 {
		lag = max(lag, p.now().Sub(p.marks[0].when))
	}
	return max(0, lag)
}

// drain waits until all that was received is stored.
func (p *pending) drain(ctx context.Context) error {
	defer p.wakeAtEnd(ctx)()
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if p.storedLocked() >= p.received && !p.waitingLocked() {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		p.hurried = true
		p.changed.Broadcast()
		p.changed.Wait()
	}
}

// waitingLocked tells whether a closed segment is not stored.
func (p *pending) waitingLocked() bool {
	for _, s := range p.segments {
		if s.closed && !s.stored {
			return true
		}
	}
	return false
}

// archive is where what is pending goes.
func (p *pending) archive(source string) repo.WALArchive {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.segments); n > 0 {
		p.into = p.segments[n-1].archive
	}
	p.into.Source = source
	return p.into
}

// closeFiles lets go of what stays in the spool.
func (p *pending) closeFiles() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.segments {
		_ = s.file.Close()
	}
}
