package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

var listing = map[string]func(*testing.T, objstore.Store){
	"more keys than a page holds, in order":      listPages,
	"odd keys survive the way there and back":    listOddKeys,
	"keys come in byte order across folders":     listOrder,
	"a prefix need not end at a slash":           listPrefix,
	"a prefix that nothing has gives nothing":    listNothing,
	"a listing may be left early":                listBreak,
	"a listing shows size and is usable at once": listInfo,
	"deleting what a listing yields is harmless": listDeleting,
	"unfinished uploads are not in listings":     listUploads,
}

func listPages(t *testing.T, s objstore.Store) {
	keys := make([]string, 1100)
	for i := range keys {
		keys[i] = fmt.Sprintf("m/src%d/%06d.json", i%3, i)
	}
	putAll(t, s, keys)
	slices.Sort(keys)
	if got := keysUnder(t, s, "m/"); !slices.Equal(got, keys) {
		t.Errorf("listed %d keys, want %d in byte order", len(got), len(keys))
	}
	if got := keysUnder(t, s, "m/src1/"); len(got) != 367 {
		t.Errorf("listed %d keys of one source, want 367", len(got))
	}
}

// oddKeys are all legal, each a trap for some encoder.
var oddKeys = []string{
	"a b", " lead", "trail ", "plus+plus", "per%cent", "per%20cent", "%2F", "question?x=1&y=2", "hash#tag", "amp&ersand",
	"quote'single", `quote"double`, "til~de", "star*", "brackets[0]", "curly{}", "angle<x>", "pipe|", "caret^", "back`tick",
	"semi;colon", "comma,", "colon:", "at@", "equals=", "dollar$", "excl!", "paren(s)", ".hidden", "dots..inside", "...",
	"ümläut", "e\u0301 decomposed", "\u00e9 composed", "日本語/キー", "emoji 🐘", "-dash", "--flag", "UPPER", "upper",
	"deep/" + strings.Repeat("d/", 50) + "end", "long/" + strings.Repeat("x", 200), strings.Repeat(strings.Repeat("y", 150)+"/", 5) + "z",
	"arn:aws:s3:::x/y", "20260301T020000Z-abcdefgh~20260228T020000Z-hgfedcba.json",
}

func listOddKeys(t *testing.T, s objstore.Store) {
	for _, key := range oddKeys {
		if _, err := s.Put(t.Context(), key, []byte(key), ifAbsent); err != nil {
			t.Errorf("put %q: %v", key, err)
		}
	}
	want := slices.Sorted(slices.Values(oddKeys))
	if got := keysUnder(t, s, ""); !slices.Equal(got, want) {
		t.Errorf("listed %q\nwant   %q", got, want)
	}
	for _, key := range oddKeys {
		wantContent(t, s, key, []byte(key))
		if got := keysUnder(t, s, key); !slices.Contains(got, key) {
			t.Errorf("the prefix %q does not list its own key", key)
		}
	}
	up := create(t, s, "odd +%&?#'\"~ 日本", always)
	send(t, up, 1, []byte("x"))
	wantPending(t, s, "odd +%&?#'\"~ ", 1)
	complete(t, up)
	if err := s.Delete(t.Context(), append([]string{"odd +%&?#'\"~ 日本"}, oddKeys...)...); err != nil {
		t.Errorf("delete: %v", err)
	}
	if got := keysUnder(t, s, ""); len(got) != 0 {
		t.Errorf("left %q", got)
	}
}

func listOrder(t *testing.T, s objstore.Store) {
	keys := []string{"a!b", "a-b", "a.b", "a/b", "a/b-c/d", "a/b.c", "a/b0", "a0", "aa", "b", "z/a/b", "z/a0/b", "z/a-/b", "A"}
	putAll(t, s, keys)
	slices.Sort(keys)
	if got := keysUnder(t, s, ""); !slices.Equal(got, keys) {
		t.Errorf("listed %q, want %q", got, keys)
	}
}

func listPrefix(t *testing.T, s objstore.Store) {
	putAll(t, s, []string{"a/one", "a/only", "a/two", "ab", "b"})
	for prefix, want := range map[string][]string{
		"a":     {"a/one", "a/only", "a/two", "ab"},
		"a/":    {"a/one", "a/only", "a/two"},
		"a/on":  {"a/one", "a/only"},
		"a/one": {"a/one"},
		"ab":    {"ab"},
		"":      {"a/one", "a/only", "a/two", "ab", "b"},
	} {
		if got := keysUnder(t, s, prefix); !slices.Equal(got, want) {
			t.Errorf("prefix %q lists %q, want %q", prefix, got, want)
		}
	}
}

func listNothing(t *testing.T, s objstore.Store) {
	put(t, s, "a/b", "x")
	for _, prefix := range []string{"c", "a/b/", "a/b/c", "a/c", "aa", "c/d/e"} {
		if got := keysUnder(t, s, prefix); len(got) != 0 {
			t.Errorf("prefix %q lists %q", prefix, got)
		}
	}
}

func listBreak(t *testing.T, s objstore.Store) {
	putAll(t, s, []string{"1", "2", "3"})
	n := 0
	for _, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("got %d", n)
	}
}

func listInfo(t *testing.T, s objstore.Store) {
	put(t, s, "a/five", "12345")
	put(t, s, "a/none", "")
	for info, err := range s.List(t.Context(), "a/") {
		if err != nil {
			t.Fatal(err)
		}
		if want := map[string]int64{"a/five": 5, "a/none": 0}[info.Key]; info.Size != want || info.Modified.IsZero() {
			t.Errorf("%+v, want %d bytes and a time", info, want)
		}
		head, err := s.Head(t.Context(), info.Key, "")
		if err != nil || (info.ETag != "" && info.ETag != head.ETag) {
			t.Errorf("head of %s: %+v, %v; listed %+v", info.Key, head, err, info)
		}
	}
}

func listDeleting(t *testing.T, s objstore.Store) {
	keys := make([]string, 60)
	for i := range keys {
		keys[i] = fmt.Sprintf("d/%02d/x", i)
	}
	putAll(t, s, keys)
	n := 0
	for info, err := range s.List(t.Context(), "d/") {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if err := s.Delete(t.Context(), info.Key); err != nil {
			t.Fatal(err)
		}
	}
	if left := keysUnder(t, s, ""); n != len(keys) || len(left) != 0 {
		t.Errorf("visited %d of %d, left %q", n, len(keys), left)
	}
}

func listUploads(t *testing.T, s objstore.Store) {
	put(t, s, "k", "x")
	up := create(t, s, "u", always)
	send(t, up, 1, []byte("x"))
	if got := keysUnder(t, s, ""); !slices.Equal(got, []string{"k"}) {
		t.Errorf("listed %q", got)
	}
	if err := up.Abort(); err != nil {
		t.Error(err)
	}
}
