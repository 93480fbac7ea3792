package repo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

var shop = WALArchive{Source: "db1.example.org", System: "7012345678901234567"}

const walSize = 1 << 20 // the smallest segments

// segmentInfo is what a runner says of a segment that tests make up.
func segmentInfo(name string) WALInfo {
	return WALInfo{Name: name, SegmentSize: walSize, Major: 15, First: 0x300028, Last: 0x3ffff8,
		FirstCommit: clock, LastCommit: clock.Add(time.Second), Archived: clock.Add(time.Minute), Host: "db1"}
}

const third = "000000010000000000000003"

func putWAL(t testing.TB, r *Repository, a WALArchive, info WALInfo, data []byte) {
	t.Helper()
	if already, err := r.PutWAL(t.Context(), a, info, data); err != nil || already {
		t.Fatalf("put %s: already %v, %v", info.Name, already, err)
	}
}

func readWAL(ctx context.Context, r *Repository, f WALFile) ([]byte, error) {
	in, err := r.OpenWALPiece(ctx, f)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	return io.ReadAll(in)
}

func TestAFileOfWALComesBackAsItWas(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, r *Repository) {
		data := pseudorandom(1, walSize)
		history := []byte("1\t0/3000000\tno recovery target specified\n")
		putWAL(t, r, shop, segmentInfo(third), data)
		putWAL(t, r, shop, WALInfo{Name: "00000002.history"}, history)
		putWAL(t, r, shop, WALInfo{Name: third + ".00000028.backup"}, nil)
		piece := segmentInfo("000000010000000000000004")
		piece.PieceFrom, piece.PieceTo = 4096, 12288
		putWAL(t, r, shop, piece, data[4096:12288])

		files, err := r.ListWAL(t.Context(), shop, 0)
		if err != nil || len(files) != 4 {
			t.Fatal(files, err)
		}
		want := map[string][]byte{third: data, "00000002.history": history, third + ".00000028.backup": {}, "000000010000000000000004": data[4096:12288]}
		for _, f := range files {
			got, err := readWAL(t.Context(), r, f)
			if err != nil || !bytes.Equal(got, want[f.Name]) {
				t.Errorf("%s: %d bytes, %v", f, len(got), err)
			}
			info, err := r.WALInfo(t.Context(), f)
			sum := sha256.Sum256(want[f.Name])
			if err != nil || info.Name != f.Name || info.Size != int64(len(want[f.Name])) || info.SHA256 != hex.EncodeToString(sum[:]) || info.PieceTo != f.PieceTo {
				t.Errorf("%s: %+v %v", f, info, err)
			}
			if kind := f.Kind(); (kind == pgwal.PieceFile) != f.IsPiece() {
				t.Errorf("%s is of kind %d", f, kind)
			}
		}
		in, err := r.OpenWAL(t.Context(), shop, third)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = in.Close() }()
		if info := in.Info(); info.Last != 0x3ffff8 || !info.LastCommit.Equal(clock.Add(time.Second)) || info.Host != "db1" || info.Major != 15 {
			t.Errorf("%+v", info)
		}
		for _, a := range []WALArchive{{"other", shop.System}, {shop.Source, "7"}} {
			if _, err := r.OpenWAL(t.Context(), a, third); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: %v", a, err)
			}
		}
	})
}

func TestTheSameContentIsStoredOnceAndAnotherIsRefused(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, r *Repository) {
		data := pseudorandom(1, walSize)
		putWAL(t, r, shop, segmentInfo(third), data)
		before := raw(t, r.store, walPrefix+"db1.example.org-7012345678901234567/00000001/"+third)
		again := segmentInfo(third)
		again.Host, again.Archived = "db2", clock.Add(time.Hour)
		if already, err := r.PutWAL(t.Context(), shop, again, data); err != nil || !already {
			t.Errorf("the same again: %v %v", already, err)
		}
		other := bytes.Clone(data)
		other[77] ^= 1
		already, err := r.PutWAL(t.Context(), shop, again, other)
		sum, otherSum := sha256.Sum256(data), sha256.Sum256(other)
		if already || !errors.Is(err, ErrWALDiffers) || !strings.Contains(err.Error(), hex.EncodeToString(sum[:])) || !strings.Contains(err.Error(), hex.EncodeToString(otherSum[:])) {
			t.Errorf("another content: %v %v", already, err)
		}
		if !bytes.Equal(raw(t, r.store, shop.prefix()+"00000001/"+third), before) {
			t.Error("it was overwritten")
		}
	})
}

func TestWhatCannotBeAFileOfWALIsNotStored(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), true)
	data := pseudorandom(1, walSize)
	for name, c := range map[string]struct {
		a    WALArchive
		info func(*WALInfo)
	}{
		"a name elsewhere":            {shop, func(i *WALInfo) { i.Name = "../" + third }},
		"a config file":               {shop, func(i *WALInfo) { i.Name = "postgresql.conf" }},
		"an odd size of segments":     {shop, func(i *WALInfo) { i.SegmentSize = walSize + 1 }},
		"a short segment":             {shop, func(i *WALInfo) { i.SegmentSize = 2 * walSize }},
		"a piece of another size":     {shop, func(i *WALInfo) { i.PieceTo = 100 }},
		"a piece behind the segment":  {shop, func(i *WALInfo) { i.PieceFrom, i.PieceTo = 1, walSize+1 }},
		"a hash that is another":      {shop, func(i *WALInfo) { i.SHA256 = strings.Repeat("0", 64) }},
		"a system that is no number":  {WALArchive{"x", "0x12"}, func(*WALInfo) {}},
		"a system with a zero before": {WALArchive{"x", "012"}, func(*WALInfo) {}},
		"no source":                   {WALArchive{"", "12"}, func(*WALInfo) {}},
		"a source too long":           {WALArchive{strings.Repeat("x", 175), "12"}, func(*WALInfo) {}},
	} {
		info := segmentInfo(third)
		c.info(&info)
		if _, err := r.PutWAL(t.Context(), c.a, info, data); err == nil {
			t.Errorf("%s was stored", name)
		}
	}
	if keys := keysOf(t, r.store, walPrefix); len(keys) > 0 {
		t.Errorf("there is %v", keys)
	}
}

func TestEveryKeyOfWALLeadsBackToItsFile(t *testing.T) {
	t.Parallel()
	for _, a := range []WALArchive{shop, {"a-b-c-1", "12"}, {"app@héllo / x", "18446744073709551615"}, {"...", "1"}} {
		for _, base := range []string{third, third + ".partial", "0000000A.history", third + ".00000028.backup", third + ".piece-00000000-00000001", third + ".piece-0000FFFF-40000000"} {
			f, err := parseWALName(a, base)
			if err != nil {
				t.Fatal(a, base, err)
			}
			if back, err := parseWALKey(f.Key()); err != nil || back != f {
				t.Errorf("%s: %+v %v", f.Key(), back, err)
			}
			if !Owns(f.Key()) || objstore.ValidKey(f.Key()) != nil {
				t.Errorf("%s is not owned or not valid", f.Key())
			}
		}
	}
	good := shop.prefix() + "00000001/"
	for _, key := range []string{
		good, good + "x", "wal/x/00000001/" + third, shop.prefix() + "00000002/" + third, shop.prefix() + third, good + third + "/x",
		good + third + ".piece-00000001-00000001", good + third + ".piece-00000002-00000001", good + third + ".piece-0-1", good + third + ".piece-00000000-0000000a",
		good + third + ".piece-00000000-40000001", good + third + ".partial.piece-00000000-00000001", good + "00000001.history.piece-00000000-00000001",
		"wal/db1-0/00000001/" + third, "wal/-7/00000001/" + third,
	} {
		if Owns(key) {
			t.Errorf("%s is taken for ours", key)
		}
	}
}

func TestArchivesAreListedBySource(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	if all, err := r.WALArchives(t.Context(), ""); err != nil || len(all) != 0 {
		t.Fatal(all, err)
	}
	others := []WALArchive{shop, {shop.Source, "99"}, {"db1.example.org-7", "12"}, {"db2", shop.System}}
	for _, a := range others {
		putWAL(t, r, a, WALInfo{Name: "00000002.history"}, []byte("1\t0/1\tx\n"))
	}
	overwrite(t, r.store, "wal/strange/x", nil)
	for source, want := range map[string][]WALArchive{"": {others[2], others[0], others[1], others[3]}, shop.Source: {others[0], others[1]}, "db2": {others[3]}, "none": nil} {
		got, err := r.WALArchives(t.Context(), source)
		if err != nil || len(got) != len(want) {
			t.Errorf("%q: %v %v", source, got, err)
		}
		for _, a := range want {
			if !slices.Contains(got, a) {
				t.Errorf("%q: %s is not among %v", source, a, got)
			}
		}
	}
}

func TestFilesAreListedInTheOrderOfTheLog(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	names := []string{"000000010000000000000FFF", "000000010000000100000000", "000000010000000100000001"}
	for _, name := range []string{names[1], names[0]} {
		putWAL(t, r, shop, segmentInfo(name), make([]byte, walSize))
	}
	for _, from := range []uint32{8192, 0} {
		info := segmentInfo(names[2])
		info.PieceFrom, info.PieceTo = from, from+8192
		putWAL(t, r, shop, info, make([]byte, 8192))
	}
	putWAL(t, r, shop, WALInfo{Name: "00000002.history"}, []byte("x"))
	var got []string
	for f, err := range r.EachWAL(t.Context(), shop, 1) {
		if err != nil {
			t.Fatal(err)
		}
		if f.Stored == 0 || f.Modified.IsZero() || f.Archive != shop || f.Timeline != 1 {
			t.Errorf("%+v", f)
		}
		got = append(got, f.base())
	}
	if want := []string{names[0], names[1], names[2] + ".piece-00000000-00002000", names[2] + ".piece-00002000-00004000"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	all, err := r.ListWAL(t.Context(), shop, 0)
	if err != nil || len(all) != 5 {
		t.Fatal(len(all), err)
	}
	if err := r.DeleteWAL(t.Context(), append(all[1:3], all[1])); err != nil {
		t.Fatal(err)
	}
	if err := r.DeleteWAL(t.Context(), all[1:2]); err != nil {
		t.Errorf("again: %v", err)
	}
	if left, err := r.ListWAL(t.Context(), shop, 0); err != nil || len(left) != 3 || left[0] != all[0] {
		t.Errorf("%v %v", left, err)
	}
}

// A large segment goes up in parts, and no more than a few chunks are in memory.
func TestALargeSegmentIsUploadedInPartsFromAFile(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), true)
	const size = 64 << 20
	data := bytes.Repeat(pseudorandom(1, 1<<20), size>>20)
	info := segmentInfo("000000010000000000000001")
	info.SegmentSize = size
	puts := 0
	store := &meddler{Store: r.store, before: func(op, key string) error {
		if op == "put" && strings.HasPrefix(key, walPrefix) {
			puts++
		}
		return nil
	}}
	if already, err := r.over(store).PutWALFrom(t.Context(), shop, info, bytes.NewReader(data), size); err != nil || already || puts != 0 {
		t.Fatal(already, err, puts)
	}
	if already, err := r.PutWALFrom(t.Context(), shop, info, bytes.NewReader(data), size); err != nil || !already {
		t.Fatal(already, err)
	}
	in, err := r.OpenWAL(t.Context(), shop, info.Name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	var got bytes.Buffer
	if _, err := in.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), data) {
		t.Error(got.Len(), err)
	}
	if _, err := r.PutWALFrom(t.Context(), shop, segmentInfo(third), bytes.NewReader(data[:100]), walSize); err == nil {
		t.Error("a file that is shorter than was said was stored")
	}
	if n, err := r.store.PendingUploads(t.Context(), walPrefix); err != nil || n != 0 {
		t.Errorf("%d uploads are left, %v", n, err)
	}
}

func TestDestroyRemovesTheLogToo(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	putWAL(t, r, shop, segmentInfo(third), make([]byte, walSize))
	lease, _, err := r.TakeLease(t.Context(), WALLease(shop.Source), LeaseOptions{What: "wal receive", Self: Self()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Destroy(t.Context(), nil); !errors.Is(err, ErrLocked) {
		t.Errorf("under a receiver it is %v", err)
	}
	if err := lease.Release(); err != nil {
		t.Fatal(err)
	}
	if left, err := r.Destroy(t.Context(), nil); err != nil || left.Objects != 0 {
		t.Errorf("%v %v", left, err)
	}
	if keys := keysOf(t, r.store, ""); slices.ContainsFunc(keys, func(k string) bool { return strings.HasPrefix(k, walPrefix) }) {
		t.Errorf("there is %v", keys)
	}
}

// endless lists as many segments as a store with a great many.
type endless struct {
	objstore.Store
	files int
}

func (e endless) List(_ context.Context, prefix string) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		for n := range e.files {
			name := pgwal.Segment{Timeline: 1, Number: uint64(n)}.Name(walSize)
			if !yield(objstore.Info{Key: fmt.Sprintf("%s00000001/%s", prefix, name), Size: walSize, Modified: clock}, nil) {
				return
			}
		}
	}
}

func BenchmarkListWAL(b *testing.B) {
	r := newRepo(b, newStore(b), false)
	large := r.over(endless{r.store, 1_000_000})
	for b.Loop() {
		files, err := large.ListWAL(b.Context(), shop, 0)
		if err != nil || len(files) != 1_000_000 {
			b.Fatal(len(files), err)
		}
	}
}

func BenchmarkPutWAL(b *testing.B) {
	for name, sealed := range map[string]bool{"sealed": true, "unsealed": false} {
		b.Run(name, func(b *testing.B) {
			r := newRepo(b, newStore(b), sealed)
			const size = pgwal.DefaultSegmentSize
			data := bytes.Repeat(append(pseudorandom(1, 1<<10), make([]byte, 3<<10)...), size>>12)
			b.SetBytes(size)
			b.ReportAllocs()
			n := uint64(0)
			for b.Loop() {
				n++
				info := segmentInfo(pgwal.Segment{Timeline: 1, Number: n}.Name(size))
				info.SegmentSize = size
				putWAL(b, r, shop, info, data)
			}
		})
	}
}
