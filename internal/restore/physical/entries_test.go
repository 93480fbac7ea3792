package physical

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/basemanifest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// point makes a point of bytes and a list of what they are, as somebody could who may
// write to a repository without a key.
func point(t *testing.T, data []byte, entries []contents.Entry) (*repo.Point, *repo.Index) {
	t.Helper()
	store, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Create(t.Context(), store, repo.CreateOptions{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	w, err := r.NewPoint("db", "physical", time.Now(), repo.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	stream := w.Stream(t.Context(), contents.StreamArchive, 1)
	if _, err := stream.Write(data); err != nil {
		t.Fatal(err)
	}
	chunks, err := stream.Close()
	if err != nil {
		t.Fatal(err)
	}
	x := &repo.Index{Format: 1, Stream: contents.StreamArchive, Chunks: chunks}
	var lines bytes.Buffer
	var totals repo.Totals
	for _, e := range entries {
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(line, '\n'))
		if e.Type == contents.TypeFile {
			totals.Files, totals.Bytes = totals.Files+1, totals.Bytes+e.Size
		}
	}
	if err := w.WriteStream(t.Context(), contents.StreamEntries, lines.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context(), &repo.Manifest{End: time.Now(), Totals: totals, Physical: &repo.Physical{}}); err != nil {
		t.Fatal(err)
	}
	p, err := r.OpenPoint(t.Context(), w.Ref())
	if err != nil {
		t.Fatal(err)
	}
	return p, x
}

func fileEntry(path string, data []byte, at, size int64) contents.Entry {
	return contents.Entry{Path: path, Type: contents.TypeFile, Mode: 0o600, Size: size, Offset: at, CRC32C: basemanifest.CRC32C(basemanifest.Sum(0, data[at:at+size]))}
}

func fillInto(t *testing.T, to string, p *repo.Point, x *repo.Index) error {
	t.Helper()
	tr, err := openTree(to, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	f := &filling{point: p, index: x, tree: tr, jobs: 3, drop: dropped, hold: last, done: &atomic.Int64{}}
	return f.write(context.Background())
}

func TestAHostileListWritesNothingOutsideOfTheDirectory(t *testing.T) {
	t.Parallel()
	data := []byte(strings.Repeat("x", 1000))
	for name, e := range map[string]contents.Entry{
		"parent":     fileEntry("../victim", data, 0, 10),
		"deep":       fileEntry("base/../../victim", data, 0, 10),
		"absolute":   fileEntry("/tmp/victim", data, 0, 10),
		"not clean":  fileEntry("base//1", data, 0, 10),
		"nothing":    fileEntry("", data, 0, 10),
		"zero":       fileEntry("a\x00b", data, 0, 10),
		"link":       {Path: "base", Type: contents.TypeSymlink, Link: "/tmp"},
		"no sum":     {Path: "a", Type: contents.TypeFile, Size: 10},
		"outside":    {Path: "a", Type: contents.TypeFile, Size: 10, Offset: 995, CRC32C: "00000000"},
		"far away":   {Path: "a", Type: contents.TypeFile, Size: 1 << 60, Offset: 1 << 62, CRC32C: "00000000"},
		"below zero": {Path: "a", Type: contents.TypeFile, Size: 10, Offset: -5, CRC32C: "00000000"},
		"no size":    {Path: "a", Type: contents.TypeFile, Size: -1, CRC32C: "00000000"},
		"a wrong sum": func() contents.Entry {
			e := fileEntry("a", data, 0, 10)
			e.CRC32C = "12345678"
			return e
		}(),
	} {
		to := t.TempDir()
		p, x := point(t, data, []contents.Entry{e})
		if err := fillInto(t, to, p, x); !errors.Is(err, repo.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if found, _ := filepath.Glob(filepath.Join(filepath.Dir(to), "victim")); len(found) > 0 {
			t.Errorf("%s: written: %v", name, found)
		}
	}
	// A link that is there already is not gone through.
	to, outside := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(to, "base")); err != nil {
		t.Fatal(err)
	}
	p, x := point(t, data, []contents.Entry{fileEntry("base/victim", data, 0, 10)})
	if err := fillInto(t, to, p, x); err != nil {
		t.Error(err)
	}
	if names, _ := os.ReadDir(outside); len(names) > 0 {
		t.Errorf("written outside: %v", names)
	}
}

// Files of every size, next to each other and with gaps between, over many chunks.
func TestFilesAreWholeWhereverTheChunksAreCut(t *testing.T) {
	t.Parallel()
	data := make([]byte, 2*runBytes+12345)
	for i := range data {
		data[i] = byte(i * i >> 7)
	}
	var entries []contents.Entry
	at := int64(512)
	add := func(size int64) {
		entries = append(entries, fileEntry(fmt.Sprintf("base/%d", len(entries)), data, at, size))
		at += size + 512
	}
	for _, size := range []int64{0, 1, 512, repo.ChunkSize - 1537, 0, repo.ChunkSize, 3, 9 * repo.ChunkSize, 0, 0, 4096} {
		add(size)
	}
	for range 200 {
		add(8192)
	}
	add(int64(len(data)) - at - 1)
	to := t.TempDir()
	p, x := point(t, data, entries)
	if err := fillInto(t, to, p, x); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		got, err := os.ReadFile(filepath.Join(to, e.Path))
		if err != nil || !bytes.Equal(got, data[e.Offset:e.Offset+e.Size]) {
			t.Errorf("%s: %d bytes of %d, %v", e.Path, len(got), e.Size, err)
		}
	}
}
