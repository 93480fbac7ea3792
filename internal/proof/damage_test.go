package proof

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// damage is one thing that happens to a stored point.
type damage struct {
	name string
	do   func(v *victim)
	// unread: no restored byte depends on what was hit. A restore may pass it by, and
	// must then be equal to what was backed up.
	unread bool
	// roles: what was hit is read where roles are restored: by `restore --globals`,
	// and by a drill in a cluster of its own.
	roles bool
	// lost: the point can not be opened at all, and why; that is no verdict.
	lost error
}

// regions are places in the archive's object, as its chunks.
var regions = []struct {
	name string
	of   func(chunks int) int
}{
	{"head", func(int) int { return 0 }},
	{"first data chunk", func(n int) int { return firstData }},
	{"middle data chunk", func(n int) int { return (firstData + n - 2) / 2 }},
	{"last data chunk", func(n int) int { return n - 2 }},
}

// firstData is the chunk of the archive with the first rows: the head of so small
// a database fills two at most.
var firstData = 0

// damages lists the matrix.
func damages(t *testing.T) []damage {
	t.Helper()
	o := originals[false]
	v := &victim{original: o, t: t, path: o.path}
	chunks := split(t, v.read(v.file(o.ref, logical.StreamArchive)))
	head := 0
	for head < len(headOf(t, o)) {
		head += chunk
		firstData++
	}
	if len(chunks) < firstData+6 {
		t.Fatalf("the archive has only %d chunks, its head %d", len(chunks), firstData)
	}
	list := slices.Concat(wholeObjects(), inChunks(len(chunks)), betweenChunks(), betweenPoints(), manifests(), keys())
	return list
}

// flip changes one bit at a fraction of the bytes.
func flip(part float64) func([]byte) []byte {
	return func(b []byte) []byte {
		b[min(int(part*float64(len(b))), len(b)-1)] ^= 0x10
		return b
	}
}

// wholeObjects are damages to each object of the point as a whole.
func wholeObjects() []damage {
	var list []damage
	for _, stream := range []string{logical.StreamArchive, repo.StreamIndex, logical.StreamTables, logical.StreamGlobals} {
		roles := stream == logical.StreamGlobals
		add := func(name string, do func(v *victim)) {
			list = append(list, damage{name: stream + " " + name, do: do, roles: roles})
		}
		for _, part := range []float64{0, 0.5, 1} {
			if stream != logical.StreamArchive { // its chunks have rows of their own
				add(fmt.Sprintf("flipped at %.1f", part), func(v *victim) { v.change(stream, flip(part)) })
			}
		}
		add("cut by a byte", func(v *victim) { v.change(stream, func(b []byte) []byte { return b[:len(b)-1] }) })
		add("cut in half", func(v *victim) { v.change(stream, func(b []byte) []byte { return b[:len(b)/2] }) })
		add("emptied", func(v *victim) { v.change(stream, func([]byte) []byte { return nil }) })
		add("extended by a byte", func(v *victim) { v.change(stream, func(b []byte) []byte { return append(b, 0) }) })
		add("extended by itself", func(v *victim) { v.change(stream, func(b []byte) []byte { return append(b, b...) }) })
		add("missing", func(v *victim) {
			if err := os.Remove(v.file(v.ref, stream)); err != nil {
				v.t.Fatal(err)
			}
		})
	}
	return list
}

// inChunks are flips within the chunks of the archive.
func inChunks(n int) []damage {
	var list []damage
	edit := func(name string, at int, unread bool, change func(chunk []byte)) {
		list = append(list, damage{name: name, unread: unread, do: func(v *victim) {
			v.change(logical.StreamArchive, func(b []byte) []byte {
				change(split(v.t, b)[at])
				return b
			})
		}})
	}
	for _, region := range regions {
		at := region.of(n)
		edit("flip at the start of the "+region.name, at, false, func(c []byte) { c[chunkHeader] ^= 1 })
		edit("flip in the "+region.name, at, false, func(c []byte) { c[(chunkHeader+len(c))/2] ^= 0x20 })
		edit("flip at the end of the "+region.name, at, false, func(c []byte) { c[len(c)-1] ^= 0x80 })
	}
	for field, at := range map[string]int{
		"magic": 0, "flags": 4, "reserve": 6, "object ordinal": 11, "chunk ordinal": 15, "point tag": 16, "plain size": 27, "payload size": 31,
	} {
		edit("flip of the "+field+" in a chunk's header", regions[2].of(n), false, func(c []byte) { c[at] ^= 1 })
	}
	// The mark of the end holds no row of any table.
	edit("flip in the mark of the archive's end", n-1, true, func(c []byte) { c[len(c)-1] ^= 1 })
	return list
}

// betweenChunks are changes of the order of the archive's chunks.
func betweenChunks() []damage {
	reorder := func(name string, change func(chunks [][]byte) [][]byte) damage {
		return damage{name: name, do: func(v *victim) {
			v.change(logical.StreamArchive, func(b []byte) []byte { return bytes.Join(change(split(v.t, b)), nil) })
		}}
	}
	return []damage{
		reorder("two data chunks exchanged", func(c [][]byte) [][]byte {
			c[firstData+1], c[firstData+2] = c[firstData+2], c[firstData+1]
			return c
		}),
		reorder("head and data exchanged", func(c [][]byte) [][]byte { c[0], c[firstData] = c[firstData], c[0]; return c }),
		reorder("a chunk lost", func(c [][]byte) [][]byte { return slices.Delete(c, firstData+1, firstData+2) }),
		reorder("a chunk twice", func(c [][]byte) [][]byte { return slices.Insert(c, firstData+1, c[firstData]) }),
		reorder("all data chunks backwards", func(c [][]byte) [][]byte { slices.Reverse(c[firstData : len(c)-1]); return c }),
		reorder("the last chunk first", func(c [][]byte) [][]byte { return append(c[len(c)-1:], c[:len(c)-1]...) }),
	}
}

// betweenPoints are exchanges with another point of the same source, whole in
// itself, and within the point.
func betweenPoints() []damage {
	var list []damage
	for _, stream := range []string{logical.StreamArchive, repo.StreamIndex, logical.StreamTables, logical.StreamGlobals} {
		list = append(list, damage{name: stream + " exchanged with another point's", roles: stream == logical.StreamGlobals, do: func(v *victim) {
			ours, theirs := v.file(v.ref, stream), v.file(v.older, stream)
			a, b := v.read(ours), v.read(theirs)
			v.overwrite(ours, b)
			v.overwrite(theirs, a)
		}})
	}
	return append(list,
		damage{name: "a data chunk of another point", do: func(v *victim) {
			theirs := split(v.t, v.read(v.file(v.older, logical.StreamArchive)))
			v.change(logical.StreamArchive, func(b []byte) []byte {
				c := split(v.t, b)
				c[firstData+1] = theirs[firstData+1]
				return bytes.Join(c, nil)
			})
		}},
		damage{name: "all data objects of another point", do: func(v *victim) {
			for _, stream := range []string{logical.StreamArchive, repo.StreamIndex, logical.StreamTables, logical.StreamGlobals} {
				v.overwrite(v.file(v.ref, stream), v.read(v.file(v.older, stream)))
			}
		}},
		damage{name: "index and table list exchanged", do: func(v *victim) {
			index, tables := v.file(v.ref, repo.StreamIndex), v.file(v.ref, logical.StreamTables)
			a, b := v.read(index), v.read(tables)
			v.overwrite(index, b)
			v.overwrite(tables, a)
		}},
		damage{name: "the manifest of another point", do: func(v *victim) {
			v.overwrite(v.file(v.ref, "manifest"), v.read(v.file(v.older, "manifest")))
		}},
	)
}

// manifests are damages and edits of the manifest. In a sealed repository nobody
// without the key edits any of it; in others what contradicts the data is found.
func manifests() []damage {
	list := []damage{
		{name: "manifest flipped", do: func(v *victim) { v.change("manifest", flip(0.5)) }},
		{name: "manifest cut", do: func(v *victim) { v.change("manifest", func(b []byte) []byte { return b[:len(b)/2] }) }},
		{name: "manifest extended", do: func(v *victim) { v.change("manifest", func(b []byte) []byte { return append(b, b...) }) }},
		{name: "manifest edited by hand", do: func(v *victim) {
			v.change("manifest", func(b []byte) []byte { return bytes.Replace(b, []byte(`"rows":`), []byte(`"rows":1`), 1) })
		}},
		{name: "manifest missing", lost: repo.ErrNotFound, do: func(v *victim) {
			if err := os.Remove(v.file(v.ref, "manifest")); err != nil {
				v.t.Fatal(err)
			}
		}},
		{name: "manifest emptied", lost: repo.ErrNotFound, do: func(v *victim) { v.change("manifest", func([]byte) []byte { return nil }) }},
	}
	edit := func(name string, unread bool, change func(m map[string]any)) {
		list = append(list, damage{name: "manifest says " + name, unread: unread, do: func(v *victim) {
			v.change("manifest", func(b []byte) []byte { return edited(v.t, b, change) })
		}})
	}
	object := func(stream string, change func(o map[string]any)) func(m map[string]any) {
		return func(m map[string]any) {
			for _, o := range m["objects"].([]any) {
				if o := o.(map[string]any); o["stream"] == stream {
					change(o)
				}
			}
		}
	}
	for _, stream := range []string{logical.StreamArchive, repo.StreamIndex, logical.StreamTables} {
		edit("another size of "+stream, false, object(stream, func(o map[string]any) { o["size"] = o["size"].(json.Number) + "0" }))
		edit("other chunks of "+stream, false, object(stream, func(o map[string]any) { o["chunks"] = 99 }))
		edit("another ordinal of "+stream, false, object(stream, func(o map[string]any) { o["ordinal"] = 77 }))
		edit("another plain size of "+stream, false, object(stream, func(o map[string]any) { o["plain_size"] = 5 }))
		edit("no "+stream, false, func(m map[string]any) {
			m["objects"] = slices.DeleteFunc(m["objects"].([]any), func(o any) bool { return o.(map[string]any)["stream"] == stream })
		})
		// Whoever reads ranges of an object does not see its digest.
		whole := stream == logical.StreamArchive
		edit("another SHA-256 of "+stream, whole, object(stream, func(o map[string]any) { o["sha256"] = strings.Repeat("ab", 32) }))
		edit("another plain SHA-256 of "+stream, whole, object(stream, func(o map[string]any) { o["plain_sha256"] = strings.Repeat("ab", 32) }))
	}
	edit("another id", false, func(m map[string]any) { m["id"] = "20200101T000000Z-abcdefgh" })
	edit("another repository", false, func(m map[string]any) { m["repository"] = "another" })
	edit("another encoding", false, func(m map[string]any) { m["server"].(map[string]any)["encoding"] = "LATIN1" })
	edit("other rows", false, func(m map[string]any) { m["totals"].(map[string]any)["rows"] = 7 })
	edit("other tables", false, func(m map[string]any) { m["totals"].(map[string]any)["tables"] = 7 })
	return list
}

// edited changes a manifest and makes its digest again, as somebody does who
// knows the format; the code that takes a key to make stays what it was.
func edited(t *testing.T, stored []byte, change func(map[string]any)) []byte {
	t.Helper()
	decode := func(data []byte, into any) {
		in := json.NewDecoder(bytes.NewReader(data))
		in.UseNumber()
		if err := in.Decode(into); err != nil {
			t.Fatal(err)
		}
	}
	encode := func(what any) []byte {
		data, err := json.Marshal(what)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	var envelope struct {
		Manifest json.RawMessage `json:"manifest"`
		SHA256   []byte          `json:"sha256"`
		HMAC     []byte          `json:"hmac,omitempty"`
	}
	decode(stored, &envelope)
	var manifest map[string]any
	decode(envelope.Manifest, &manifest)
	change(manifest)
	envelope.Manifest = encode(manifest)
	sum := sha256.Sum256(envelope.Manifest)
	envelope.SHA256 = sum[:]
	return encode(envelope)
}

// keys are wrong and damaged keys of a sealed repository.
func keys() []damage {
	return []damage{{name: "wrong key", lost: seal.ErrWrongKey, do: func(v *victim) { v.key = seal.NewKey() }}}
}
