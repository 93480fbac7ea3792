// Package standing judges how the archive of a server's WAL stands: how far behind it
// is, what is missing in it, and whether those who fill it do their work.
//
// What lives here: the judgement, which is pure, and the question to the server. What
// must not: what an archive covers (package archive), and how it is told (the faces).
package standing

import (
	"fmt"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/bytesize"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// Input of Judge.
type Input struct {
	Survey *archive.Survey // with headers
	Server *Server         // nil: it was not asked
	Now    time.Time
	MaxLag time.Duration // 0: nothing says how far behind it may be
	// Mode is how the archive is filled, job.WALPush or job.WALReceive; "" is not known.
	Mode string
	Slot string // of the receiver, "" where it is not known
	// SlotLimit is how many bytes the server may keep for it; 0 is job.DefaultSlotLimit.
	SlotLimit int64
}

// Verdict on an archive.
type Verdict struct {
	// Lag is how much of the newest work would be lost with the server now; nil where
	// nothing tells.
	Lag      *time.Duration
	Gaps     []archive.Gap // inside of what should be recoverable
	Warnings []string      // what is not as it should be, besides gaps
	// Again is the oldest base backup from which everything to the end of the archive can
	// be recovered, behind all gaps; nil where there is none.
	Again *Again
}

// Again is where recovery to any moment begins.
type Again struct {
	Base string // id of the base backup
	From time.Time
}

// Judge says how an archive stands.
func Judge(in Input) Verdict {
	v := Verdict{Lag: lag(in), Gaps: slices.DeleteFunc(in.Survey.Gaps(), in.fresh), Again: in.again()}
	warn := func(format string, args ...any) { v.Warnings = append(v.Warnings, fmt.Sprintf(format, args...)) }
	switch {
	case v.Lag == nil:
		warn("how far behind the archive is cannot be told: no segment of WAL is in it")
	case in.MaxLag > 0 && *v.Lag > in.MaxLag:
		warn("the newest archived WAL is of %s ago, more than %s", v.Lag.Round(time.Second), in.MaxLag)
	}
	if v.Again == nil {
		if len(in.Survey.Bases) == 0 {
			warn("there is no base backup: WAL alone recovers nothing; take one with `pgbackup-runner backup --kind physical`")
		} else {
			warn("no base backup leads to the newest archived WAL: take a new one with `pgbackup-runner backup --kind physical`")
		}
	}
	if t, is := in.Survey.Timeline(in.Survey.Current); is && t.ID != 1 && t.History == nil {
		warn("%s is not in the archive, or can not be read: without it no recovery finds the way to timeline %s; bring it back from the server with `pgbackup-runner wal push pg_wal/%s`",
			pgwal.HistoryName(t.ID), t.ID, pgwal.HistoryName(t.ID))
	}
	if other := in.forked(); other != 0 {
		warn("timeline %s goes on being archived beside timeline %s, which is newer and which a recovery follows unless --target-timeline says otherwise: "+
			"a restored copy that was promoted, or an old primary, archives to the same place; stop it, or give it another --source", other, in.Survey.Current)
	}
	for _, p := range in.Survey.Problems {
		warn("%v", p)
	}
	if in.Server != nil {
		judgeServer(in, warn)
	}
	return v
}

// settle is how long a gap may be there until it counts as one.
const settle = 5 * time.Minute

// fresh tells whether a gap may still be filled: files are stored several at once, and
// one may overtake another.
func (in Input) fresh(g archive.Gap) bool {
	return !g.Stored.IsZero() && in.Now.Sub(g.Stored) < settle
}

// forked is an older timeline that a server still writes: the one that was asked does, or
// it was stored to later than the newest timeline was. What an old primary archives late
// after a failover is of before that, or soon over.
func (in Input) forked() pgwal.Timeline {
	current := in.Survey.Current
	if s := in.Server; s != nil && s.System == in.Survey.Archive.System && s.Timeline != 0 && s.Timeline < current {
		return s.Timeline
	}
	for _, t := range in.Survey.Timelines {
		if t.ID == current || len(t.Ranges) == 0 {
			continue
		}
		last := t.Ranges[len(t.Ranges)-1].LastStored
		if t.Partial != nil && t.Partial.LastStored.After(last) {
			last = t.Partial.LastStored
		}
		if last.Sub(in.Survey.NewestStored) > settle {
			return t.ID
		}
	}
	return 0
}

// again finds the oldest base backup that leads to the newest archived WAL.
func (in Input) again() (oldest *Again) {
	for _, b := range in.Survey.Bases {
		w, has := b.Window(in.Survey.Current)
		if has && (w.Gap == nil || in.fresh(*w.Gap)) && (oldest == nil || w.From.Before(oldest.From)) {
			oldest = &Again{b.Ref.ID, w.From}
		}
	}
	return oldest
}

// lag is the age of the newest transaction in the archive, by the server's clock, but
// for a server that has nothing newer: what it says of its position is taken into account.
//
//   - The archive reaches the server's position: nothing would be lost.
//   - All finished segments are there: what is in the open one is no older than
//     archive_timeout, after which a server closes a segment that something is in.
func lag(in Input) *time.Duration {
	newest := in.Survey.NewestCommit
	if stored := in.Survey.NewestStored; newest.IsZero() || !stored.IsZero() && stored.Before(newest) {
		newest = stored // nothing is newer than when it was stored, whatever the server's clock says
	}
	if newest.IsZero() {
		return nil
	}
	behind := max(0, in.Now.Sub(newest))
	if s, size := in.Server, in.Survey.SegmentSize; s != nil && size > 0 && s.System == in.Survey.Archive.System && (s.Timeline == 0 || s.Timeline == in.Survey.Current) {
		switch open := (max(uint64(s.At), 1) - 1) / size; {
		case in.Survey.Newest >= s.At:
			behind = 0
		case s.Archiver.Timeout > 0 && s.Archiver.Mode != "off" && (max(uint64(in.Survey.Newest), 1)-1)/size+1 >= open:
			behind = min(behind, s.Archiver.Timeout)
		}
	}
	return &behind
}

func judgeServer(in Input, warn func(string, ...any)) {
	s := in.Server
	if a := s.Archiver; in.Mode != job.WALReceive {
		switch {
		case in.Mode == job.WALPush && a.Mode == "off":
			warn("archive_mode of the server is off: see `pgbackup-runner wal settings`")
		case a.Failing():
			warn("archive_command failed with %s at %s, %d times in all; the server's log says why", a.LastFailed, a.LastFailedAt.Format(time.RFC3339), a.Failed)
		}
	}
	limit := in.SlotLimit
	if limit == 0 {
		limit = job.DefaultSlotLimit
	}
	found := false
	for _, slot := range s.Slots {
		if in.Slot != "" && slot.Name != in.Slot {
			continue
		}
		found = true
		switch {
		case slot.State == "lost":
			warn("the server gave up WAL of replication slot %s (max_slot_wal_keep_size): there is a gap; drop the slot with `pgbackup-runner wal receive --drop-slot`, receive anew and take a base backup", slot.Name)
		case slot.State == "unreserved":
			warn("the server is about to give up WAL of replication slot %s: it is %s behind", slot.Name, bytesize.Text(slot.Behind))
		case in.Slot != "" && !slot.Active:
			warn("nobody receives from replication slot %s, and the server keeps %s for it: is `pgbackup-runner wal receive` running?", slot.Name, bytesize.Text(slot.Behind))
		case slot.Behind > limit:
			warn("the server keeps %s for replication slot %s, more than %s: its disk may fill up", bytesize.Text(slot.Behind), slot.Name, bytesize.Text(limit))
		}
	}
	if in.Mode == job.WALReceive && in.Slot != "" && !found {
		warn("replication slot %s is not there: a receiver makes it when it begins; is `pgbackup-runner wal receive` running?", in.Slot)
	}
}
