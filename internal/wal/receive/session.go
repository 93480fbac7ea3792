package receive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/replication"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Reasons for which a session ends, to be tried again.
var (
	errBehind   = errors.New("the server is behind what was received of it")
	errStopping = errors.New("the server seems to be shutting down, and waits for WAL that the repository does not take: it is let go; its slot keeps that WAL")
	errSilent   = errors.New("the server says nothing any more")
	errGap      = errors.New("WAL is missing")
)

// Pauses between tries to reach a server.
const (
	shortestPause = 250 * time.Millisecond
	longestPause  = 15 * time.Second
)

// untilLease waits while the lease is lost. Receiving goes on without it as long as it
// can; but who was put out must not come back into the way of whom the lease went to.
func (r *receiver) untilLease(ctx context.Context) error {
	for r.leaseLost.Load() {
		if err := pause(ctx, shortestPause); err != nil {
			return err
		}
	}
	return nil
}

// sessions receives through one connection after the other, until ctx ends or an error
// shows that trying again does not mend.
func (r *receiver) sessions(ctx context.Context, st *store, p *pending) error {
	var missing *place  // what the server did not have
	var taken time.Time // since when somebody else uses the slot
	for wait := shortestPause; ; wait = min(2*wait, longestPause) {
		if err := r.untilLease(ctx); err != nil {
			return err
		}
		begun := r.Now()
		err := r.session(ctx, st, p, &missing)
		p.setConnected(false)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, ErrOtherSystem), errors.Is(err, repo.ErrWALDiffers), !r.met && !mends(err):
			return err
		case errors.Is(err, errGap):
			continue // with what there is, at once
		}
		if r.Now().Sub(begun) > longestPause {
			wait = shortestPause
		}
		if errors.Is(err, replication.ErrSlotActive) {
			wait = min(wait, time.Second)
			if taken.IsZero() {
				taken = begun
			} else if begun.Sub(taken) > slotPatience {
				r.takeSlot(ctx)
			}
		} else {
			taken = time.Time{}
		}
		if wait == shortestPause || r.seldom.due("stream", r.Now()) {
			r.Log.Warn("the stream of WAL ended, trying again", "error", err)
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// mends tells whether an error may be gone later, although nothing worked so far.
func mends(err error) bool {
	for _, kind := range []error{
		postgres.ErrUnreachable, postgres.ErrStartingUp, postgres.ErrTooManyConns, replication.ErrSlotActive, replication.ErrSlotLost,
		replication.ErrRemoved, replication.ErrStopped, replication.ErrAhead, errBehind, errStopping, errSilent, errGap,
	} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// session is one connection, and the timelines that are streamed over it.
func (r *receiver) session(ctx context.Context, st *store, p *pending, missing **place) error {
	conn, err := replication.Connect(ctx, r.Target)
	if err != nil {
		return err
	}
	defer conn.Close()
	id, err := conn.Identify(ctx)
	if err != nil {
		return err
	}
	if r.system != "" && id.System != r.system {
		return fmt.Errorf("%w: %s has the system identifier %s, so far it was %s; start the receiver again to begin an archive of its own", ErrOtherSystem, r.Target, id.System, r.system)
	}
	r.system = id.System
	archive := repo.WALArchive{Source: r.Source, System: id.System}
	size, err := conn.SegmentSize(ctx)
	if err != nil {
		return err
	}
	history, err := r.storeHistories(ctx, conn, archive, id.Timeline)
	if err != nil {
		return err
	}
	slot, err := r.ensureSlot(ctx, conn)
	if err != nil {
		return err
	}
	in := &stream{receiver: r, store: st, pending: p, conn: conn, archive: archive, size: size}
	at, err := in.begin(ctx, id, history, slot, *missing)
	if err != nil {
		return err
	}
	*missing = nil
	for {
		end, err := in.follow(ctx, at)
		switch {
		case errors.Is(err, replication.ErrRemoved), errors.Is(err, replication.ErrSlotLost):
			timeline, reached := p.reached()
			*missing = &place{timeline, reached}
			return fmt.Errorf("%w: %w", errGap, err)
		case err != nil:
			return err
		}
		r.Log.Info("the server went over to a new timeline", "source", r.Source, "left", at.timeline, "new", end.Next, "at", end.At)
		p.leave()
		if _, err := r.storeHistories(ctx, conn, archive, end.Next); err != nil {
			return err
		}
		at = place{end.Next, pgwal.SegmentAt(end.Next, end.At, size).Start(size)}
	}
}

// storeHistories brings the history file of a timeline into the archive, and those of
// its ancestors that the server still has, before any WAL of it.
func (r *receiver) storeHistories(ctx context.Context, conn *replication.Conn, archive repo.WALArchive, t pgwal.Timeline) (pgwal.History, error) {
	h := pgwal.History{Timeline: t}
	if t == 1 {
		return h, nil
	}
	data, err := r.storeHistory(ctx, conn, archive, t)
	if err != nil {
		return h, err
	}
	if h, err = pgwal.ParseHistory(t, data); err != nil {
		return h, err
	}
	for _, ancestor := range h.Ancestors {
		if ancestor.Timeline == 1 || r.histories[pgwal.HistoryName(ancestor.Timeline)] {
			continue
		}
		if _, err := r.storeHistory(ctx, conn, archive, ancestor.Timeline); err != nil {
			if errors.Is(err, repo.ErrWALDiffers) || ctx.Err() != nil {
				return h, err
			}
			// The newest one names all of them, which is what a recovery needs.
			r.Log.Info("the history of an older timeline can not be stored", "timeline", ancestor.Timeline, "error", err)
		}
	}
	return h, nil
}

func (r *receiver) storeHistory(ctx context.Context, conn *replication.Conn, archive repo.WALArchive, t pgwal.Timeline) ([]byte, error) {
	name, data, err := conn.History(ctx, t)
	if err != nil {
		return nil, err
	}
	if r.histories[name] {
		return data, nil
	}
	_, err = r.Repo.PutWAL(ctx, archive, repo.WALInfo{Name: name, Archived: r.Now(), Host: r.Self.Host}, data)
	r.histories[name] = err == nil
	return data, err
}
