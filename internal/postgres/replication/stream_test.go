package replication_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/replication"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

const segmentSize = 16 << 20

func identify(t testing.TB, c *replication.Conn) replication.Identity {
	t.Helper()
	id, err := c.Identify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// take reads a stream until it has all from start to end.
func take(t *testing.T, s *replication.Stream, start, end pgwal.LSN) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var got []byte
	for at := start; at < end; {
		m, err := s.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if m.End != nil {
			t.Fatalf("the stream ended at %s, before %s", m.End.At, end)
		}
		if m.Keepalive {
			continue
		}
		if m.At != at {
			t.Fatalf("data at %s, expected at %s", m.At, at)
		}
		got = append(got, m.Data...)
		at += pgwal.LSN(len(m.Data))
	}
	return got[:end-start]
}

func TestStreamIsWhatTheServerWrites(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	c := connect(t, pg.URL("postgres"))
	if err := c.CreateSlot(t.Context(), "s1", true); err != nil {
		t.Fatal(err)
	}
	slot, err := c.ReadSlot(t.Context(), "s1")
	if err != nil {
		t.Fatal(err)
	}
	start := slot.Restart / segmentSize * segmentSize
	s, err := c.Stream(t.Context(), replication.StreamOptions{Slot: "s1", Start: start, Timeline: 1})
	if err != nil {
		t.Fatal(err)
	}
	pg.Exec(t, "postgres", "CREATE TABLE a AS SELECT g, repeat('x', 500) AS filler FROM generate_series(1, 60000) g", "SELECT pg_switch_wal()", "INSERT INTO a VALUES (0)")
	end := identify(t, connect(t, pg.URL("postgres"))).At
	if end < start+2*segmentSize {
		t.Fatalf("only from %s to %s was written", start, end)
	}
	got := take(t, s, start, end)
	for at := start; at < end; at += segmentSize {
		name := pgwal.SegmentAt(1, at, segmentSize).Name(segmentSize)
		want, err := os.ReadFile(filepath.Join(pg.DataDir, "pg_wal", name))
		if err != nil {
			t.Fatal(err)
		}
		n := min(segmentSize, int(end-at))
		if !bytes.Equal(got[at-start:][:n], want[:n]) {
			t.Errorf("%s differs from the server's", name)
		}
	}

	// What is confirmed moves the slot, and an asked-for answer comes.
	if err := s.Confirm(end, end, 0, time.Now(), true); err != nil {
		t.Fatal(err)
	}
	if m, err := s.Next(t.Context()); err != nil || !m.Keepalive || m.ServerEnd < end || time.Since(m.Sent).Abs() > time.Minute {
		t.Errorf("answer to a confirmation: %+v, %v", m, err)
	}
	slot, err = connect(t, pg.URL("postgres")).ReadSlot(t.Context(), "s1")
	if err != nil || slot.Restart != end || slot.Timeline != 1 {
		t.Errorf("slot %+v, %v; confirmed was %s", slot, err, end)
	}
	state, err := replication.ReadSlotState(t.Context(), pg.Connect(t, "postgres"), "s1")
	if err != nil || !state.Active || state.Lost() || state.Restart != end || state.Retained < 0 || state.Retained > 1<<20 {
		t.Errorf("state %+v, %v", state, err)
	}
	other := connect(t, pg.URL("postgres"))
	if _, err := other.Stream(t.Context(), replication.StreamOptions{Slot: "s1", Start: end, Timeline: 1}); !errors.Is(err, replication.ErrSlotActive) {
		t.Errorf("a second stream of the slot: %v", err)
	}
	if err := other.DropSlot(t.Context(), "s1"); !errors.Is(err, replication.ErrSlotActive) {
		t.Errorf("drop in use: %v", err)
	}
}

func TestSlotsAreMadeFoundAndDropped(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	c := connect(t, pg.URL("postgres"))
	ctx := t.Context()
	if _, err := c.ReadSlot(ctx, "none"); !errors.Is(err, replication.ErrNoSlot) {
		t.Errorf("read what is not there: %v", err)
	}
	if err := c.DropSlot(ctx, "none"); !errors.Is(err, replication.ErrNoSlot) {
		t.Errorf("drop what is not there: %v", err)
	}
	if err := c.CreateSlot(ctx, "later", false); err != nil {
		t.Fatal(err)
	}
	if err := c.CreateSlot(ctx, "later", false); !errors.Is(err, replication.ErrSlotExists) {
		t.Errorf("created twice: %v", err)
	}
	if s, err := c.ReadSlot(ctx, "later"); err != nil || s.Restart != 0 {
		t.Errorf("a slot that reserves nothing: %+v, %v", s, err)
	}
	if _, err := replication.ReadSlotState(ctx, pg.Connect(t, "postgres"), "none"); !errors.Is(err, replication.ErrNoSlot) {
		t.Errorf("state of what is not there: %v", err)
	}
	if err := c.DropSlot(ctx, "later"); err != nil {
		t.Error(err)
	}
}

func TestWALThatIsGoneIsToldApart(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{"max_slot_wal_keep_size": "'16MB'", "max_wal_size": "'32MB'", "min_wal_size": "'32MB'"}})
	c := connect(t, pg.URL("postgres"))
	if err := c.CreateSlot(t.Context(), "left_behind", true); err != nil {
		t.Fatal(err)
	}
	slot, err := c.ReadSlot(t.Context(), "left_behind")
	if err != nil {
		t.Fatal(err)
	}
	for range 8 {
		pg.Exec(t, "postgres", "CREATE TABLE IF NOT EXISTS a (x int)", "INSERT INTO a VALUES (1)", "SELECT pg_switch_wal()")
	}
	pg.Exec(t, "postgres", "CHECKPOINT", "CHECKPOINT")
	start := slot.Restart / segmentSize * segmentSize
	refused := func(o replication.StreamOptions, kinds ...error) {
		t.Helper()
		c := connect(t, pg.URL("postgres"))
		s, err := c.Stream(t.Context(), o)
		if err == nil {
			_, err = s.Next(t.Context())
		}
		if !slices.ContainsFunc(kinds, func(kind error) bool { return errors.Is(err, kind) }) {
			t.Errorf("%+v: %v, not %v", o, err, kinds)
		}
	}
	refused(replication.StreamOptions{Slot: "left_behind", Start: start, Timeline: 1}, replication.ErrSlotLost, replication.ErrRemoved)
	refused(replication.StreamOptions{Start: start, Timeline: 1}, replication.ErrRemoved)
	refused(replication.StreamOptions{Start: identify(t, c).At + 1<<30, Timeline: 1}, replication.ErrAhead)
	refused(replication.StreamOptions{Start: start, Timeline: 7}, replication.ErrNotInPast)
	if _, _, err := c.History(t.Context(), 7); err == nil {
		t.Error("history of a timeline that is not")
	}
}

func TestStreamOfATimelineEndsWhereItWasLeft(t *testing.T) {
	t.Parallel()
	primary := testenv.Postgres(t)
	primary.Exec(t, "postgres", "CREATE TABLE a AS SELECT 1 AS x")
	pg := primary.Standby(t)
	start := identify(t, connect(t, primary.URL("postgres"))).At / segmentSize * segmentSize
	running := connect(t, pg.URL("postgres"))
	live, err := running.Stream(t.Context(), replication.StreamOptions{Start: start, Timeline: 1})
	if err != nil {
		t.Fatal(err)
	}
	primary.CatchUp(t, pg)
	if err := primary.Stop(); err != nil {
		t.Fatal(err)
	}
	pg.Exec(t, "postgres", "SELECT pg_promote()", "INSERT INTO a VALUES (2)")

	later := connect(t, pg.URL("postgres"))
	if id := identify(t, later); id.Timeline != 2 {
		t.Fatalf("timeline %s after the promotion", id.Timeline)
	}
	name, data, err := later.History(t.Context(), 2)
	if err != nil || name != "00000002.history" {
		t.Fatalf("%s, %v", name, err)
	}
	h, err := pgwal.ParseHistory(2, data)
	if err != nil {
		t.Fatal(err)
	}
	left, ok := h.Left(1)
	if !ok {
		t.Fatalf("history %q does not leave timeline 1", data)
	}
	over := func(what string, s *replication.Stream) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		var last pgwal.LSN
		for {
			m, err := s.Next(ctx)
			if err != nil {
				t.Errorf("%s: %v", what, err)
				return
			}
			if m.Data != nil {
				last = m.At + pgwal.LSN(len(m.Data))
			}
			if m.End != nil {
				if m.End.Next != 2 || m.End.At != left || last > left {
					t.Errorf("%s: %+v after data up to %s, history says %s", what, m.End, last, left)
				}
				return
			}
		}
	}
	over("a stream that was open", live)
	past, err := later.Stream(t.Context(), replication.StreamOptions{Start: start, Timeline: 1})
	if err != nil {
		t.Fatal(err)
	}
	over("a stream of the past", past)
	edge, err := later.Stream(t.Context(), replication.StreamOptions{Start: left, Timeline: 1})
	if err != nil {
		t.Fatal(err)
	}
	over("a stream that begins at its end", edge)
	if _, err := later.Stream(t.Context(), replication.StreamOptions{Start: left + 8, Timeline: 1}); !errors.Is(err, replication.ErrNotInPast) {
		t.Errorf("a stream past the switch: %v", err)
	}
	// The connections can be used for the next timeline.
	for _, c := range []*replication.Conn{running, later} {
		if _, err := c.Stream(t.Context(), replication.StreamOptions{Start: left, Timeline: 2}); err != nil {
			t.Error(err)
		}
	}
}
