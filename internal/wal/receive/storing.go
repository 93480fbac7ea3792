package receive

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/bytesize"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// storers is how many segments are stored at once. Each needs memory for the stored
// form of one.
const storers = 2

// task is something to store: a whole segment, or a piece of it.
type task struct {
	s        *segment
	piece    span // empty: the whole
	needless int  // how many pieces the new one replaces
	info     repo.WALInfo
	whole    error // why it is not a whole segment, of one that should be
}

// next waits for something to store; nil when ctx ended. Timelines are stored one after
// the other: nothing of a new one is there before all of the one it came from.
func (p *pending) next(ctx context.Context) *task {
	p.mu.Lock()
	defer p.mu.Unlock()
	for ctx.Err() == nil {
		if t := p.pickLocked(); t != nil {
			t.s.busy = true
			return t
		}
		p.changed.Wait()
	}
	return nil
}

func (p *pending) pickLocked() *task {
	now := p.now()
	for _, s := range p.segments {
		if s.at.Timeline != p.segments[0].at.Timeline || s.archive != p.segments[0].archive {
			return nil
		}
		if s.busy || s.stored || now.Before(s.retry) {
			continue
		}
		if uint64(s.have) == s.size {
			return s.task(span{}, 0)
		}
		if covered(s.pieces) < s.have && (s.closed || p.hurried || now.Sub(p.piece) >= p.every) {
			p.hurried, p.piece = false, now
			return s.task(extend(s.pieces, s.have))
		}
	}
	return nil
}

// task describes what is stored, as it is at this moment.
func (s *segment) task(piece span, needless int) *task {
	t := &task{s: s, piece: piece, needless: needless}
	t.info = repo.WALInfo{Name: s.name, PieceFrom: piece.from, PieceTo: piece.to}
	scan, err := s.scan.Scan()
	if err == nil {
		t.info.Take(scan)
	}
	if piece.size() == 0 {
		if t.whole = err; err == nil {
			t.whole = scan.CheckWhole()
		}
	}
	t.info.SegmentSize = s.size
	return t
}

// storer stores until ctx ends. fail is told what trying again does not mend.
func (r *receiver) storer(ctx context.Context, p *pending, fail func(error)) {
	for {
		t := p.next(ctx)
		if t == nil {
			return
		}
		err := r.store(ctx, t)
		if err != nil && t.piece.size() == 0 && errors.Is(err, repo.ErrWALDiffers) {
			fail(err)
		}
		if err != nil && ctx.Err() == nil {
			p.failed(t)
			if r.seldom.due("store", r.Now()) {
				r.Log.Warn("WAL can not be stored, trying again; what is received waits in the spool", "file", t.s.name, "error", err, "spooled", bytesize.Text(p.state().Spooled))
			}
			continue
		}
		if err == nil {
			r.removeNeedless(ctx, t)
			p.done(t)
		}
	}
}

// storeTimeout bounds one attempt, which ends by itself much earlier when nothing moves.
const storeTimeout = 10 * time.Minute

func (r *receiver) store(ctx context.Context, t *task) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if t.whole != nil && r.seldom.due("whole "+t.s.name, r.Now()) {
		r.Log.Error("a server can not replay this segment to its end; it is stored as it came", "file", t.s.name, "error", t.whole)
	}
	t.info.Archived, t.info.Host = r.Now(), r.Self.Host
	from, size := int64(t.piece.from), int64(t.piece.size())
	if size == 0 {
		size = int64(t.s.size)
	}
	already, err := r.Repo.PutWALFrom(ctx, t.s.archive, t.info, io.NewSectionReader(t.s.file, from, size), size)
	if err == nil {
		r.Log.Debug("stored WAL", "file", t.s.name, "from", from, "bytes", size, "already", already)
	}
	return err
}

// removeNeedless removes the pieces that say what the stored one, or the whole, says.
// Those that stay are harmless, and found again by the next receiver.
func (r *receiver) removeNeedless(ctx context.Context, t *task) {
	needless := t.s.pieces[len(t.s.pieces)-t.needless:]
	if t.piece.size() == 0 {
		needless = append(needless[:len(needless):len(needless)], t.s.pieces[:len(t.s.pieces)-t.needless]...)
	}
	for _, n := range t.s.needless {
		if t.piece.size() == 0 || n.to <= t.piece.to {
			needless = append(needless[:len(needless):len(needless)], n)
		}
	}
	if len(needless) == 0 {
		return
	}
	files := make([]repo.WALFile, 0, len(needless))
	for _, n := range needless {
		f, err := repo.NewWALFile(t.s.archive, t.s.name, n.from, n.to)
		if err == nil && n != t.piece {
			files = append(files, f)
		}
	}
	if err := r.Repo.DeleteWAL(ctx, files); err != nil && ctx.Err() == nil {
		r.Log.Warn("pieces of WAL that are needless now could not be removed; they do no harm", "file", t.s.name, "error", err)
	}
}

// done notes that a task is stored.
func (p *pending) done(t *task) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := t.s
	s.busy, s.failures, s.retry = false, 0, time.Time{}
	if t.piece.size() > 0 {
		s.pieces = append(s.pieces[:len(s.pieces)-t.needless:len(s.pieces)-t.needless], t.piece)
		s.needless = keepBeyond(s.needless, t.piece.to)
	}
	s.stored = t.piece.size() == 0
	p.finishLocked(s)
	p.sweepLocked()
	p.wake()
}

// keepBeyond leaves out what a piece up to to made needless and was removed with it.
func keepBeyond(spans []span, to uint32) []span {
	var kept []span
	for _, s := range spans {
		if s.to > to {
			kept = append(kept, s)
		}
	}
	return kept
}

// finishLocked notes of a segment that was left unfinished that its pieces are all.
func (p *pending) finishLocked(s *segment) {
	if s.closed && uint64(s.have) < s.size && !s.busy && covered(s.pieces) >= s.have {
		s.stored = true
	}
}

// sweepLocked forgets what is stored.
func (p *pending) sweepLocked() {
	for len(p.segments) > 0 && p.segments[0].stored {
		s := p.segments[0]
		p.dispose(s)
		p.used -= int64(s.have)
		p.segments = p.segments[1:]
	}
}

// failed has a task wait before it is tried again: a second, doubled up to half a
// minute. The store tried several times already.
func (p *pending) failed(t *task) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.s.busy = false
	t.s.retry = p.now().Add(min(30*time.Second, time.Second<<min(t.s.failures, 5)))
	t.s.failures++
	p.finishLocked(t.s)
	p.changed.Broadcast()
}

// tick lets the storers see that time went by.
func (p *pending) tick(ctx context.Context) {
	t := time.NewTicker(max(p.every/10, 20*time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-t.C:
			p.changed.Broadcast()
		case <-ctx.Done():
			p.mu.Lock()
			p.changed.Broadcast()
			p.mu.Unlock()
			return
		}
	}
}

// syncer makes safe in the spool what arrives there, again and again.
func (p *pending) syncer(ctx context.Context, st *store, fail func(error)) {
	for {
		s, have := p.unsynced(ctx)
		if s == nil {
			return
		}
		err := s.file.Sync()
		if err == nil && have < uint32(s.size) && s.synced == 0 {
			err = st.sync() // the file's name is new
		}
		p.mu.Lock()
		if err == nil {
			s.synced = max(s.synced, have)
		} else if !s.stored {
			p.mu.Unlock()
			fail(err)
			return
		}
		p.wake()
		p.mu.Unlock()
	}
}

// unsynced waits for a segment that has more than what is safe; nil when ctx ended.
func (p *pending) unsynced(ctx context.Context) (*segment, uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for ctx.Err() == nil {
		for _, s := range p.segments {
			if !s.stored && s.synced < s.have {
				return s, s.have
			}
		}
		p.changed.Wait()
	}
	return nil, 0
}

// segment makes the segment that begins at a position, with its file.
func (st *store) segment(archive repo.WALArchive, at pgwal.Segment, size uint64, before *pgwal.Scanner) (*segment, error) {
	s := &segment{archive: archive, at: at, size: size, name: at.Name(size), scan: before}
	if s.scan == nil {
		s.scan = pgwal.NewScanner(&at)
	}
	var err error
	s.file, err = st.create(s.name)
	return s, err
}
