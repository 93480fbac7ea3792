package receive

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/heartbeat"
)

// finalTime is how long a receiver that is told to end goes on storing what it
// received, at most.
const finalTime = 15 * time.Second

// reportEvery is how often Report is told how it stands.
const reportEvery = 5 * time.Second

// work receives under the lease, until ctx ends or an error shows that trying again does
// not mend.
func (r *receiver) work(ctx context.Context, lease *repo.Lease, held context.Context) error {
	r.leaseLost.Store(false)
	ctx, stop := context.WithCancelCause(ctx)
	var aside sync.WaitGroup // end with ctx
	aside.Go(func() { r.keepLease(ctx, lease, held, stop) })
	defer aside.Wait()
	defer stop(nil)

	st, err := r.openStore(ctx)
	if err != nil {
		return err
	}
	defer st.close()
	p := newPending(r.limit, r.every, r.Now, func(s *segment) {
		_ = s.file.Close() // nothing of it is needed any more
		if err := st.remove(s.name); err != nil {
			r.Log.Warn("a segment that is stored stays in the spool", "file", s.name, "error", err)
		}
	})
	storing, endStoring := context.WithCancel(context.WithoutCancel(ctx)) // goes on when ctx ended
	var stores sync.WaitGroup
	for range storers {
		stores.Go(func() { r.storer(storing, p, stop) })
	}
	if r.spooled {
		stores.Go(func() { p.syncer(storing, st, stop) })
	}
	stores.Go(func() { p.tick(storing) })
	aside.Go(func() { r.watchSlot(ctx, p) })
	aside.Go(func() { r.report(ctx, p) })
	if r.WAL.Heartbeat != nil {
		aside.Go(func() { heartbeat.Run(ctx, r.heartbeat()) })
	}

	err = r.leftovers(ctx, st, p)
	if err == nil {
		err = r.sessions(ctx, st, p)
	}
	if !errors.Is(err, errTakenOver) && !errors.Is(err, repo.ErrWALDiffers) {
		r.finish(ctx, p)
	}
	endStoring()
	stores.Wait()
	p.closeFiles()
	return err
}

// finish stores what is left, for a while.
func (r *receiver) finish(ctx context.Context, p *pending) {
	final, cancel := context.WithTimeout(context.WithoutCancel(ctx), finalTime)
	defer cancel()
	if err := p.drain(final); err != nil {
		state := p.state()
		r.Log.Warn("not all that was received is in the repository; the server, or the spool, still has it", "source", r.Source, "received", state.Received, "stored", state.Stored)
	}
}

func (r *receiver) openStore(ctx context.Context) (*store, error) {
	for {
		st, err := openStore(r.WAL.Spool, r.Source)
		if !errors.Is(err, errInUse) {
			return st, err
		}
		if r.seldom.due("spool", r.Now()) {
			r.Log.Warn("waiting for the spool", "error", err)
		}
		if err := pause(ctx, time.Second); err != nil {
			return nil, err
		}
	}
}

func (r *receiver) report(ctx context.Context, p *pending) {
	if r.Report == nil {
		return
	}
	for {
		state := p.state()
		state.Archive = p.archive(r.Source)
		r.Report(state)
		if pause(ctx, reportEvery) != nil {
			return
		}
	}
}

func (r *receiver) heartbeat() heartbeat.Options {
	every, _ := r.WAL.Heartbeat.Every.Exact()
	return heartbeat.Options{Target: r.Target, Database: r.WAL.Heartbeat.Database, Source: r.Source, Every: every, Runner: r.Self.Host, Log: r.Log}
}

// leftovers stores what an earlier run left in the spool. The server may be gone, or
// may have been told that this is safe.
func (r *receiver) leftovers(ctx context.Context, st *store, p *pending) error {
	names, err := st.names()
	if err != nil {
		return err
	}
	lists := map[repo.WALArchive]archived{}
	for _, name := range names {
		if err := r.leftover(ctx, st, p, name, lists); err != nil {
			return err
		}
	}
	if timeline, _ := p.reached(); timeline == 0 {
		return nil
	}
	r.Log.Info("storing what an earlier run left in the spool")
	p.forget()
	return p.drain(ctx)
}

func (r *receiver) leftover(ctx context.Context, st *store, p *pending, name string, lists map[repo.WALArchive]archived) error {
	file, scanner, size, err := st.open(name)
	if err != nil {
		return err
	}
	scan, err := scanner.Scan()
	useless := func(why string) error {
		r.Log.Info("nothing in a file of the spool is of use", "file", name, "why", why)
		_ = file.Close()
		return st.remove(name)
	}
	if err != nil {
		return useless(err.Error())
	}
	at, err := pgwal.ParseSegment(name, scan.SegmentSize)
	if err != nil || at.Number != scan.Segment.Number {
		return useless("it is another segment than its name says")
	}
	have := uint64(size)
	if !scan.Whole || have < scan.SegmentSize {
		have = uint64(scan.End - at.Start(scan.SegmentSize))
	}
	if have == 0 {
		return useless("no record of it is whole")
	}
	archive := repo.WALArchive{Source: r.Source, System: fmt.Sprint(scan.System)}
	list, known := lists[archive]
	if !known {
		if list, err = survey(r.Repo.EachWAL(ctx, archive, 0), scan.SegmentSize); err != nil {
			_ = file.Close()
			return err
		}
		lists[archive] = list
	}
	s := &segment{archive: archive, at: at, size: scan.SegmentSize, name: name, file: file, scan: scanner, have: uint32(have), synced: uint32(have)}
	s.pieces, s.needless = chain(list.pieces[at])
	if _, whole := list.find(at); whole || covered(s.pieces) >= s.have {
		return useless("the repository has it")
	}
	proofs, err := r.proofs(ctx, archive, name, s.pieces)
	if err != nil {
		_ = file.Close()
		return err
	}
	if err := (&seam{joined: true, pieces: proofs}).check(s, s.have); errors.Is(err, repo.ErrWALDiffers) {
		return useless(err.Error())
	} else if err != nil {
		_ = file.Close()
		return err
	}
	p.begin(s)
	return nil
}
