package pgwal

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var morning = time.Date(2026, 3, 1, 6, 0, 0, 123456000, time.UTC)

const small = 1 << 20 // the smallest segments

// draw writes a log of a few segments with records of all sizes.
func draw(t *rapid.T) *logWriter {
	w := newLog(1, 7000000000000000001, small, rapid.Uint64Range(1, 1<<30).Draw(t, "first"))
	at := morning
	for range rapid.IntRange(1, 60).Draw(t, "records") {
		at = at.Add(time.Duration(rapid.Int64Range(-1000, 1_000_000).Draw(t, "step")) * time.Microsecond)
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0, 1, 2:
			w.commit(rapid.Uint32Range(3, 1<<31).Draw(t, "xid"), at)
		case 3:
			w.add(10, 0, 9, make([]byte, rapid.IntRange(0, 3*small).Draw(t, "large")))
		case 4:
			w.switchSegment()
		default:
			w.add(10, 0, 9, make([]byte, rapid.IntRange(0, 3*testBlock).Draw(t, "size")))
		}
	}
	return w
}

// chain scans all segments of a log, one after the other, in pieces of random sizes.
func chain(t *rapid.T, w *logWriter) []Scan {
	var scans []Scan
	s := NewScanner(&Segment{1, uint64(w.start) / w.size})
	for n := 0; len(w.segment(n)) > 0; n++ {
		if n > 0 {
			s = s.Next()
		}
		for rest := w.segment(n); len(rest) > 0; {
			k := min(len(rest), rapid.SampledFrom([]int{1, 3, 24, 8191, 8192, 100_000, small}).Draw(t, "piece"))
			if k < 8000 && len(rest) > 20_000 && len(rest) < small-20_000 {
				k = 20_000
			}
			_, _ = s.Write(rest[:k])
			rest = rest[k:]
		}
		scan, err := s.Scan()
		if err != nil {
			t.Fatal(err)
		}
		scans = append(scans, scan)
	}
	return scans
}

func TestEveryRecordIsFoundWhereverItCrossesPagesAndSegments(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := draw(t)
		scans := chain(t, w)
		var records int64
		for n, s := range scans {
			seg := Segment{1, uint64(w.start)/w.size + uint64(n)}
			records += s.Records
			want := Scan{Segment: seg, End: seg.Start(small)}
			for _, r := range w.records {
				if r.end <= seg.Start(small) || r.end > seg.End(small) {
					continue
				}
				want.End = r.end
				if want.Start == 0 && r.start >= seg.Start(small) {
					want.Start = r.start
				}
				if !r.at.IsZero() {
					if want.FirstCommit.IsZero() {
						want.FirstCommit, want.FirstCommitLSN = r.at, r.end
					}
					want.LastCommit, want.LastCommitLSN = r.at, r.end
				}
			}
			if s.Segment != seg || s.End != want.End || s.Start != want.Start || s.FirstCommitLSN != want.FirstCommitLSN || s.LastCommitLSN != want.LastCommitLSN ||
				!s.FirstCommit.Equal(want.FirstCommit) || !s.LastCommit.Equal(want.LastCommit) {
				t.Fatalf("segment %d: %+v, want %+v", n, s, want)
			}
			if last := n == len(scans)-1; !last && (!s.Whole || s.Stop != nil) || last && !s.Whole && len(w.segment(n)) == small {
				t.Fatalf("segment %d is whole: %v, %v", n, s.Whole, s.Stop)
			}
			if n > 0 && s.Continued != scans[n-1].RunsOver {
				t.Fatalf("segment %d continues with %d bytes, the one before runs over by %d", n, s.Continued, scans[n-1].RunsOver)
			}
			alone, err := ScanSegment(w.segment(n), &seg)
			if err != nil || alone.Whole != s.Whole || alone.Records > s.Records || alone.Records < s.Records-1 {
				t.Fatalf("segment %d alone: %+v %v", n, alone, err)
			}
		}
		if records != int64(len(w.records)) {
			t.Fatalf("%d records were found of %d", records, len(w.records))
		}
	})
}

func TestAFlippedBitEndsTheLogWhereItIs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := draw(t)
		data := append([]byte(nil), w.segment(0)...)
		good, err := ScanSegment(data, nil)
		if err != nil {
			t.Fatal(err)
		}
		at := rapid.IntRange(0, len(data)-1).Draw(t, "at")
		data[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		got, err := ScanSegment(data, nil)
		if err != nil {
			if !errors.Is(err, ErrNotWAL) || at >= longHeader {
				t.Fatalf("byte %d: %v", at, err)
			}
			return
		}
		where := w.start + LSN(at)
		if at < longHeader || good.Switched && where >= good.End {
			return // what a header says of the whole is held against other things
		}
		for _, r := range w.records {
			if off := int(uint64(where) % testBlock); r.start <= where && where < r.end && off >= shortHeader && where < r.end-8 && r.end <= good.End {
				if got.End > r.start {
					t.Fatalf("byte %d of the record %+v was flipped, and the log goes to %s", at, r, got.End)
				}
			}
		}
		if got.End > good.End {
			t.Fatalf("with byte %d flipped the log goes further, to %s", at, got.End)
		}
	})
}

func TestAnUnfinishedSegmentEndsWhereTheServerWas(t *testing.T) {
	t.Parallel()
	w := newLog(1, 42, small, 5)
	for i := range 1000 {
		w.commit(uint32(i+3), morning.Add(time.Duration(i)*time.Second))
	}
	end := w.pos()
	noise := make([]byte, small-len(w.bytes))
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	for name, tail := range map[string][]byte{"nothing": nil, "zeros": make([]byte, small-len(w.bytes)), "garbage": noise} {
		s, err := ScanSegment(append(append([]byte(nil), w.bytes...), tail...), &Segment{1, 5})
		if err != nil || s.Whole || s.End != end || s.Records != 1000 || !s.LastCommit.Equal(morning.Add(999*time.Second)) || s.MinXID != 3 || s.MaxXID != 1002 {
			t.Errorf("%s: %+v %v", name, s, err)
		}
		if err := s.CheckWhole(); err == nil {
			t.Errorf("%s: it passes for a whole segment", name)
		}
	}
}

// A recycled file holds an older use of itself, with good checksums.
func TestWhatIsLeftOfARecycledFileDoesNotCount(t *testing.T) {
	t.Parallel()
	old, now := newLog(1, 42, small, 5), newLog(1, 42, small, 9)
	for i := range 1 << 14 {
		old.commit(uint32(i+3), morning)
	}
	for i := range 500 {
		now.commit(uint32(i+3), morning.Add(time.Hour))
	}
	for uint64(now.pos())%testBlock != 0 {
		now.bytes = append(now.bytes, 0)
	}
	data := append(append([]byte(nil), now.bytes...), old.segment(0)[len(now.bytes):]...)
	s, err := ScanSegment(data, &Segment{1, 9})
	if err != nil || s.Records != 500 || !errors.Is(s.Stop, errZeros) && !errors.Is(s.Stop, errStale) {
		t.Errorf("%+v %v", s, err)
	}
}

// After a crash the rest of a record may be missing for good: the server says so in the
// page where it would have been, and goes on there.
func TestARecordThatWasGivenUpInACrashIsPassedOver(t *testing.T) {
	t.Parallel()
	w := newLog(1, 42, small, 5)
	w.commit(3, morning)
	last := w.last
	w.record(10, 0, 4, make([]byte, 3*testBlock), 2*testBlock-int(uint64(w.pos())%testBlock)-longHeader)
	for uint64(w.pos())%testBlock != 0 {
		w.bytes = append(w.bytes, 0)
	}
	w.room(0, pageOverwritten)
	w.last = last
	w.commit(5, morning.Add(time.Second))
	s, err := ScanSegment(w.bytes, &Segment{1, 5})
	if err != nil || s.Stop != nil || s.Records != 2 || s.MaxXID != 5 || s.End != w.pos() {
		t.Errorf("%+v %v", s, err)
	}
}

func TestBytesOfAnotherSegmentAreRefused(t *testing.T) {
	t.Parallel()
	w := newLog(2, 42, small, 5)
	w.commit(3, morning)
	for name, seg := range map[string]Segment{"another number": {2, 6}, "a timeline before it began": {1, 5}} {
		if _, err := ScanSegment(w.bytes, &seg); !errors.Is(err, ErrNotWAL) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The first segment of a timeline begins with what it has of its parent.
	if s, err := ScanSegment(w.bytes, &Segment{3, 5}); err != nil || s.Records != 1 || s.Segment.Timeline != 3 {
		t.Errorf("%+v %v", s, err)
	}
	for name, data := range map[string][]byte{"nothing": nil, "a bit": w.bytes[:39], "zeros": make([]byte, small), "text": []byte("#!/bin/sh\nthis is not WAL at all, but a script of someone")} {
		if _, err := ScanSegment(data, nil); !errors.Is(err, ErrNotWAL) {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, _, _, err := LongHeader(data); name != "nothing" && !errors.Is(err, ErrNotWAL) {
			t.Errorf("header of %s: %v", name, err)
		}
	}
	full := newLog(1, 42, small, 5)
	full.switchSegment()
	if _, err := ScanSegment(append(full.segment(0), 0), nil); !errors.Is(err, ErrNotWAL) {
		t.Errorf("a segment with a byte more: %v", err)
	}
	system, size, timeline, major, err := LongHeader(w.bytes)
	if err != nil || system != 42 || size != small || timeline != 2 || major != 15 {
		t.Errorf("%d %d %d %d %v", system, size, timeline, major, err)
	}
}

func TestRestorePointsAreFound(t *testing.T) {
	t.Parallel()
	w := newLog(1, 42, small, 5)
	w.restorePoint("before the release", morning)
	want := []RestorePoint{{"before the release", w.pos(), morning}}
	for range 100 {
		w.restorePoint("again", morning)
	}
	s, err := ScanSegment(w.bytes, nil)
	if err != nil || len(s.RestorePoints) != maxRestorePoints || !reflect.DeepEqual(s.RestorePoints[:1], want) {
		t.Errorf("%d: %+v %v", len(s.RestorePoints), s.RestorePoints[:1], err)
	}
}

func FuzzScanSegment(f *testing.F) {
	w := newLog(1, 42, small, 5)
	w.commit(3, morning)
	w.add(10, 0, 4, make([]byte, 3*testBlock))
	w.restorePoint("x", morning)
	w.switchSegment()
	f.Add(w.bytes[:5*testBlock])
	f.Add(w.bytes[:100])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ScanSegment(data, nil)
		if err != nil {
			return
		}
		if s.Bytes != int64(len(data)) || s.End < s.Segment.Start(s.SegmentSize) || s.End > s.Segment.End(s.SegmentSize) || s.Records < 0 {
			t.Fatalf("%+v", s)
		}
		next := NewScanner(nil)
		for i := range data {
			_, _ = next.Write(data[i : i+1])
		}
		other, err := next.Scan()
		if err != nil || other.End != s.End || other.Records != s.Records || other.Whole != s.Whole {
			t.Fatalf("byte by byte it is %+v, %v; at once %+v", other, err, s)
		}
	})
}

func BenchmarkScanSegment(b *testing.B) {
	w := newLog(1, 42, DefaultSegmentSize, 5)
	for i := 0; len(w.bytes) < DefaultSegmentSize; i++ {
		w.commit(uint32(i+3), morning)
		w.add(10, 0, 4, make([]byte, 200))
	}
	data := w.segment(0)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if s, err := ScanSegment(data, nil); err != nil || !s.Whole {
			b.Fatal(s, err)
		}
	}
}
