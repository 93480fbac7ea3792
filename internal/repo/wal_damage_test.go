package repo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// wantDamaged holds that a file reads as it was, or says that it is damaged.
func wantDamaged(t *testing.T, r *Repository, f WALFile, want []byte, what string) (refused bool) {
	t.Helper()
	got, err := readWAL(t.Context(), r, f)
	_, infoErr := r.WALInfo(t.Context(), f)
	if infoErr != nil && err == nil {
		t.Errorf("%s: it is read, and its header is refused: %v", what, infoErr)
	}
	switch {
	case err == nil && !bytes.Equal(got, want):
		t.Errorf("%s: other bytes are read and nothing is said", what)
	case err != nil && !errors.Is(err, ErrDamaged):
		t.Errorf("%s: %v, want ErrDamaged", what, err)
	}
	return err != nil
}

func mustWALFile(t *testing.T, a WALArchive, name string, from, to uint32) WALFile {
	t.Helper()
	f, err := NewWALFile(a, name, from, to)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestEveryFlippedBitAndEveryCutOfAHistoryFileIsNoticed(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, r *Repository) {
		content := []byte("1\t0/3000000\tno recovery target specified\n")
		f := mustWALFile(t, shop, "00000002.history", 0, 0)
		putWAL(t, r, shop, WALInfo{Name: f.Name, Archived: clock, Host: "db1"}, content)
		stored := raw(t, r.store, f.Key())
		header := walFixed + int(binary.BigEndian.Uint32(stored[4:]))
		for at := range stored {
			for _, bit := range []byte{0x01, 0x20, 0x80} {
				damaged := bytes.Clone(stored)
				damaged[at] ^= bit
				overwrite(t, r.store, f.Key(), damaged)
				refused := wantDamaged(t, r, f, content, fmt.Sprintf("byte %d flipped by %02x", at, bit))
				if !refused && at >= header && r.Sealed() { // else zstd may not care for a bit
					t.Errorf("byte %d flipped by %02x was not noticed", at, bit)
				}
			}
		}
		for n := range stored {
			overwrite(t, r.store, f.Key(), stored[:n])
			if !wantDamaged(t, r, f, content, fmt.Sprintf("cut to %d bytes", n)) {
				t.Errorf("cut to %d bytes it is read", n)
			}
		}
		overwrite(t, r.store, f.Key(), append(bytes.Clone(stored), 0))
		if !wantDamaged(t, r, f, content, "a byte more") {
			t.Error("a byte more was not noticed")
		}
	})
}

func TestDamageOfASegmentIsNoticedWhereverItIs(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, r *Repository) {
		const size = 16 << 20 // two chunks
		content := bytes.Repeat(pseudorandom(1, 64<<10), size>>16)
		info := segmentInfo(third)
		info.SegmentSize = size
		putWAL(t, r, shop, info, content)
		f := mustWALFile(t, shop, third, 0, 0)
		stored := raw(t, r.store, f.Key())
		for range 100 {
			at := rand.IntN(len(stored))
			damaged := bytes.Clone(stored)
			damaged[at] ^= 1 << rand.IntN(8)
			overwrite(t, r.store, f.Key(), damaged)
			wantDamaged(t, r, f, content, fmt.Sprintf("byte %d flipped", at))
			overwrite(t, r.store, f.Key(), stored[:at])
			if !wantDamaged(t, r, f, content, fmt.Sprintf("cut to %d", at)) {
				t.Errorf("cut to %d bytes it is read", at)
			}
		}
	})
}

// What is stored under one name must not pass for another: swapped by accident, or by
// somebody who wants an older state back.
func TestNoFileStandsForAnother(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, r *Repository) {
		content := pseudorandom(1, walSize)
		originals := []WALFile{mustWALFile(t, shop, third, 0, 0), mustWALFile(t, shop, third, 0, 8192), mustWALFile(t, shop, third, 8192, 16384),
			mustWALFile(t, shop, third+".partial", 0, 0), mustWALFile(t, shop, "000000010000000000000004", 0, 0), mustWALFile(t, shop, "000000020000000000000003", 0, 0),
			mustWALFile(t, WALArchive{"db2", shop.System}, third, 0, 0), mustWALFile(t, WALArchive{shop.Source, "7"}, third, 0, 0)}
		stored := map[WALFile][]byte{}
		for _, f := range originals {
			info := segmentInfo(f.Name)
			info.PieceFrom, info.PieceTo = f.PieceFrom, f.PieceTo
			data := content
			if f.IsPiece() {
				data = content[f.PieceFrom:f.PieceTo]
			}
			putWAL(t, r, f.Archive, info, data)
			stored[f] = raw(t, r.store, f.Key())
		}
		other := newRepo(t, newStore(t), r.Sealed())
		info := segmentInfo(third)
		putWAL(t, other, shop, info, content)
		foreign := raw(t, other.store, originals[0].Key())
		for _, f := range originals {
			for _, g := range originals {
				if f == g {
					continue
				}
				overwrite(t, r.store, f.Key(), stored[g])
				if !wantDamaged(t, r, f, nil, fmt.Sprintf("%s in the place of %s", g, f)) {
					t.Errorf("%s passes for %s", g, f)
				}
				// The header that belongs there, and the contents of another.
				overwrite(t, r.store, f.Key(), append(headerOf(stored[f]), bodyOf(stored[g])...))
				if !wantDamaged(t, r, f, nil, fmt.Sprintf("the contents of %s in %s", g, f)) {
					t.Errorf("the contents of %s pass for %s", g, f)
				}
			}
			overwrite(t, r.store, f.Key(), foreign)
			if !wantDamaged(t, r, f, nil, fmt.Sprintf("a file of another repository in the place of %s", f)) {
				t.Errorf("a file of another repository passes for %s", f)
			}
		}
	})
}

func headerOf(stored []byte) []byte {
	return bytes.Clone(stored[:walFixed+binary.BigEndian.Uint32(stored[4:])])
}

func bodyOf(stored []byte) []byte {
	return stored[walFixed+binary.BigEndian.Uint32(stored[4:]):]
}

// Two writings of one name have different keys, so nothing of one fits the other, and
// equal contents do not look equal in the store.
func TestTwoWritingsOfOneNameShareNothing(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), true)
	f := mustWALFile(t, shop, third, 0, 0)
	content := pseudorandom(1, walSize)
	putWAL(t, r, shop, segmentInfo(third), content)
	first := raw(t, r.store, f.Key())
	if err := r.DeleteWAL(t.Context(), []WALFile{f}); err != nil {
		t.Fatal(err)
	}
	putWAL(t, r, shop, segmentInfo(third), content)
	second := raw(t, r.store, f.Key())
	if bytes.Equal(bodyOf(first)[:1000], bodyOf(second)[:1000]) || bytes.Contains(second, content[:64]) {
		t.Error("the sealed form tells that the contents are equal")
	}
	overwrite(t, r.store, f.Key(), append(headerOf(first), bodyOf(second)...))
	if !wantDamaged(t, r, f, content, "the header of one and the contents of the other") {
		t.Error("the contents of one writing pass under the header of the other")
	}
}

func TestADamagedFileIsNotTakenForTheSame(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, r *Repository) {
		f := mustWALFile(t, shop, third, 0, 0)
		content := pseudorandom(1, walSize)
		putWAL(t, r, shop, segmentInfo(third), content)
		stored := raw(t, r.store, f.Key())
		stored[len(stored)-100] ^= 1
		overwrite(t, r.store, f.Key(), stored)
		if already, err := r.PutWAL(t.Context(), shop, segmentInfo(third), content); already || !errors.Is(err, ErrDamaged) {
			t.Errorf("%v %v", already, err)
		}
	})
}

func TestWithoutTheKeyHeadersAreReadAndContentsAreNot(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), true)
	putWAL(t, r, shop, segmentInfo(third), pseudorandom(1, walSize))
	blind, err := Open(t.Context(), r.store, OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := blind.WALInfo(t.Context(), mustWALFile(t, shop, third, 0, 0)); err != nil || info.Major != 15 {
		t.Errorf("%+v %v", info, err)
	}
	if _, err := blind.OpenWAL(t.Context(), shop, third); !errors.Is(err, ErrNoKey) {
		t.Error(err)
	}
	if _, err := blind.PutWAL(t.Context(), shop, segmentInfo("000000010000000000000004"), make([]byte, walSize)); !errors.Is(err, ErrNoKey) {
		t.Error(err)
	}
}

// A header with many restore points is longer than the first read of it.
func TestALongHeaderIsReadWhole(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), true)
	info := segmentInfo(third)
	for i := range 64 {
		info.RestorePoints = append(info.RestorePoints, pgwal.RestorePoint{Name: fmt.Sprintf("%063d", i), At: 1 << 40, Time: clock})
	}
	putWAL(t, r, shop, info, make([]byte, walSize))
	got, err := r.WALInfo(t.Context(), mustWALFile(t, shop, third, 0, 0))
	if err != nil || len(got.RestorePoints) != 64 || got.RestorePoints[63] != info.RestorePoints[63] {
		t.Errorf("%d %v", len(got.RestorePoints), err)
	}
}

func FuzzWALHeader(f *testing.F) {
	r := newRepo(f, newStore(f), true)
	file, err := NewWALFile(shop, "00000002.history", 0, 0)
	if err != nil {
		f.Fatal(err)
	}
	putWAL(f, r, shop, WALInfo{Name: file.Name}, []byte("1\t0/3000000\tx\n"))
	stored := raw(f, r.store, file.Key())
	f.Add(stored)
	f.Add(stored[:20])
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := walHeaderSize(data)
		if err != nil || len(data) < walFixed+n {
			return
		}
		if h, err := r.decodeWALHeader(data[walFixed:walFixed+n], file); err == nil && h.Name != file.Name {
			t.Fatalf("%+v", h)
		}
	})
}
