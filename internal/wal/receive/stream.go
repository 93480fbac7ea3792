package receive

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/bytesize"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/replication"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// stream is what comes over one connection.
type stream struct {
	*receiver
	store   *store
	pending *pending
	conn    *replication.Conn
	archive repo.WALArchive
	size    uint64      // of segments
	begun   bool        // a segment was, on this connection
	spoke   atomic.Bool // the server, on this stream
}

// begin decides where the stream begins. missing is what the server was asked for
// before and does not have.
func (s *stream) begin(ctx context.Context, id replication.Identity, h pgwal.History, slot replication.Slot, missing *place) (place, error) {
	p := s.pending
	at := place{}
	at.timeline, at.at = p.reached()
	if at.timeline != 0 && !h.Has(at.timeline) {
		s.Log.Warn("the server is not on the timeline that was received so far; it goes on with what it has", "source", s.Source, "received", at.timeline, "server", id.Timeline)
		at = place{}
	}
	if at.timeline == 0 {
		var err error
		if at, err = s.fromArchive(ctx, id, h, slot); err != nil {
			return at, err
		}
		p.place(at) // to be known when this stream does not come about
	}
	if next := route(h, at, s.size); next != at {
		s.Log.Info("the server left the timeline before what was received of it", "source", s.Source, "received", at.at, "timeline", at.timeline, "new", next.timeline, "from", next.at)
		p.leave()
		at = next
	}
	if missing != nil && *missing == at {
		at = s.overGap(at, id, h, slot)
	}
	if at.timeline == id.Timeline && at.at > id.At {
		return at, fmt.Errorf("%w: it is at %s of timeline %s, received is %s", errBehind, id.At, id.Timeline, at.at)
	}
	return at, nil
}

// fromArchive finds where the archive ends, or where one begins.
func (s *stream) fromArchive(ctx context.Context, id replication.Identity, h pgwal.History, slot replication.Slot) (place, error) {
	s.pending.forget()
	if err := s.pending.drain(ctx); err != nil {
		return place{}, err
	}
	has, err := survey(s.Repo.EachWAL(ctx, s.archive, 0), s.size)
	if err != nil {
		return place{}, err
	}
	s.pieces = has.pieces
	if len(has.needless) > 0 {
		if err := s.Repo.DeleteWAL(ctx, has.needless); err != nil {
			s.Log.Warn("pieces of segments that are whole could not be removed; they do no harm", "pieces", len(has.needless), "error", err)
		}
	}
	if other := has.beyond(h); other > id.Timeline {
		s.Log.Error("the archive has a newer timeline than the server, and the server does not know it: is this the old primary after a failover?",
			"source", s.Source, "archive", other, "server", id.Timeline)
	}
	if at, found := has.resume(h); found {
		s.Log.Info("the archive is continued", "archive", s.archive.String(), "timeline", at.timeline, "from", at.at)
		return at, nil
	}
	from := slot.Restart
	if from == 0 || from > id.At {
		from = id.At
	}
	at := place{h.TimelineAt(from), pgwal.SegmentAt(0, from, s.size).Start(s.size)}
	s.Log.Info("the archive begins", "archive", s.archive.String(), "timeline", at.timeline, "from", at.at)
	return at, nil
}

// overGap goes on behind WAL that the server does not have any more: with what the
// slot keeps.
func (s *stream) overGap(at place, id replication.Identity, h pgwal.History, slot replication.Slot) place {
	s.pending.leave()
	from := slot.Restart
	if from <= at.at {
		from = id.At
	}
	next := place{h.TimelineAt(from), pgwal.SegmentAt(0, from, s.size).Start(s.size)}
	if next.at <= at.at && next.timeline == at.timeline {
		next.at = pgwal.SegmentAt(0, at.at, s.size).End(s.size)
	}
	s.Log.Error("a GAP: the server removed WAL that is not in the archive; nothing can be recovered across it: take a base backup now", "source", s.Source,
		"timeline", at.timeline, "from", at.at, "to", next.at)
	return next
}

// follow receives one timeline, to where the server left it.
func (s *stream) follow(ctx context.Context, at place) (*replication.End, error) {
	in, err := s.conn.Stream(ctx, replication.StreamOptions{Slot: s.slot, Start: at.at, Timeline: at.timeline})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	var confirming sync.WaitGroup
	defer confirming.Wait()
	defer stop(nil)
	s.met = true
	s.pending.place(at)
	if open := s.pending.open(); open != nil && open.at.Timeline == at.timeline {
		s.goOn(open, at.at)
		s.begun = true
	}
	s.pending.setConnected(true)
	s.spoke.Store(false)
	confirming.Go(func() { s.confirm(ctx, in, stop) })
	var asked time.Time // since when the server asks and asks, and sends nothing
	for expected := at.at; ; {
		m, err := in.Next(ctx)
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return nil, err
		}
		s.pending.hear(m.ServerEnd)
		s.spoke.Store(true)
		switch {
		case m.End != nil:
			return m.End, nil
		case m.Keepalive:
			if asked, err = s.askedFor(ctx, m, asked); err != nil {
				return nil, err
			}
		default:
			asked = time.Time{}
			if m.At != expected {
				return nil, fmt.Errorf("the server sent WAL at %s instead of %s", m.At, expected)
			}
			if err := s.take(ctx, at.timeline, m.At, m.Data); err != nil {
				return nil, err
			}
			expected += pgwal.LSN(len(m.Data))
		}
	}
}

// stopPatience is how long a server that asks again and again how far it may go is kept
// waiting for the repository.
const stopPatience = 20 * time.Second

// askedFor has what a server waits for stored and confirmed. It only asks when it shuts
// down, since it hears of us every second: it would wait for us for ever.
func (s *stream) askedFor(ctx context.Context, m replication.Message, since time.Time) (time.Time, error) {
	if !m.Reply {
		return since, nil
	}
	if !since.IsZero() {
		_ = pause(ctx, 20*time.Millisecond) // each of our answers brings the next question
	}
	s.pending.hurry()
	s.pending.confirm()
	received, _, stored := s.pending.safe()
	switch now := s.Now(); {
	case stored >= received || s.spooled:
		return time.Time{}, nil
	case since.IsZero():
		return now, nil
	case now.Sub(since) > stopPatience:
		return since, errStopping
	}
	return since, nil
}

// take puts data into the spool, segment by segment.
func (s *stream) take(ctx context.Context, timeline pgwal.Timeline, at pgwal.LSN, data []byte) error {
	for len(data) > 0 {
		open := s.pending.open()
		if open == nil {
			var err error
			if open, err = s.next(ctx, pgwal.SegmentAt(timeline, at, s.size)); err != nil {
				return err
			}
		}
		if have := open.start() + pgwal.LSN(open.have); have != at || open.at.Timeline != timeline {
			return fmt.Errorf("WAL at %s does not continue the segment %s, of which there is up to %s", at, open.name, have)
		}
		n := min(len(data), int(open.size)-int(open.have))
		if err := s.pending.room(ctx, n, s.tellFull); err != nil {
			return err
		}
		if err := s.pending.add(open, data[:n]); err != nil {
			return err
		}
		data = data[n:]
		at += pgwal.LSN(n)
	}
	return nil
}

func (s *stream) tellFull(used int64) {
	s.Log.Warn("the spool is full: the server keeps what it writes until the repository takes WAL again", "source", s.Source, "spooled", bytesize.Text(used))
}

// next opens the segment that follows, or another one where the stream began anew.
func (s *stream) next(ctx context.Context, at pgwal.Segment) (*segment, error) {
	before := s.scanner(at)
	if before == nil && !s.begun {
		last, err := s.archivedBefore(ctx, at)
		if err != nil {
			return nil, err
		}
		if last != nil {
			before = last.Next()
		}
	}
	there := s.pieces[at]
	used, needless := chain(there)
	proofs, err := s.proofs(ctx, s.archive, at.Name(s.size), used)
	if err != nil {
		return nil, err
	}
	seg, err := s.store.segment(s.archive, at, s.size, before)
	if err != nil {
		return nil, err
	}
	seg.pieces, seg.needless = used, needless
	seg.seam = &seam{at: at.Start(s.size), joined: s.begun || before == nil, pieces: proofs}
	delete(s.pieces, at)
	s.last, s.begun = seg, true
	s.pending.begin(seg)
	return seg, nil
}

// scanner goes on from the segment before, where that was the last one.
func (s *stream) scanner(at pgwal.Segment) *pgwal.Scanner {
	if s.last != nil && s.last.archive == s.archive && s.last.at.Next() == at && uint64(s.last.have) == s.size {
		return s.last.scan.Next()
	}
	return nil
}

const (
	confirmEvery = time.Second
	firstWord    = 5 * time.Second
	// aliveEvery is how often a silent server is asked whether it is there, and silence
	// how long it may be before it is taken for gone.
	aliveEvery = 10 * time.Second
	silence    = 60 * time.Second
)

// confirm tells the server how far it went, every second and whenever more is safe, and
// ends the stream when the server is not there any more.
func (s *stream) confirm(ctx context.Context, in *replication.Stream, stop func(error)) {
	tick := time.NewTicker(confirmEvery)
	defer tick.Stop()
	for asked := s.Now(); ; {
		received, spooled, stored := s.pending.safe()
		safe := stored
		if s.spooled {
			safe = spooled
		}
		silent := s.pending.silent()
		if silent > silence {
			stop(fmt.Errorf("%w: for %s", errSilent, silent.Round(time.Second)))
			return
		}
		ask := silent > aliveEvery && s.Now().Sub(asked) > aliveEvery
		if ask {
			asked = s.Now()
		}
		// A slot takes for its position what it is told, even where the server has no WAL any
		// more, about which it speaks first.
		if received != 0 && (s.spoke.Load() || silent > firstWord) {
			if err := in.Confirm(received, safe, 0, s.Now(), ask); err != nil && ctx.Err() == nil {
				stop(err)
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.pending.notify:
		}
	}
}
