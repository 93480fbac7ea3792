package storetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

var tagging = map[string]func(*testing.T, objstore.Store){
	"tags given with an object are read back":      tagAtPut,
	"tags of other names stay":                     tagMerges,
	"tagging changes nothing but tags":             tagLeavesObject,
	"what is not there can not be tagged":          tagMissing,
	"tagging again says the same":                  tagTwice,
	"a tag may have every character S3 allows":     tagOddValues,
	"tagging with an ended context does not begin": tagCancelled,
}

// tagger is the store's other side; nil where it has none, and then the test is
// about nothing.
func tagger(s objstore.Store) objstore.Tagger {
	t, _ := s.(objstore.Tagger)
	return t
}

func setTags(t *testing.T, s objstore.Tagger, key string, tags map[string]string) {
	t.Helper()
	if err := s.SetTags(t.Context(), key, tags); err != nil {
		t.Fatalf("tag %s: %v", key, err)
	}
}

func wantTags(t *testing.T, s objstore.Tagger, key string, want map[string]string) {
	t.Helper()
	got, err := s.Tags(t.Context(), key)
	if err != nil || !maps.Equal(got, want) {
		t.Fatalf("tags of %s are %v, %v; want %v", key, got, err, want)
	}
}

func tagAtPut(t *testing.T, s objstore.Store) {
	tags := tagger(s)
	if tags == nil {
		return
	}
	want := map[string]string{"tier": "daily", "policy": "prod"}
	if _, err := s.Put(t.Context(), "a", []byte("x"), objstore.PutOptions{Tags: want}); err != nil {
		t.Fatal(err)
	}
	wantTags(t, tags, "a", want)
	up := create(t, s, "b", objstore.PutOptions{Tags: want})
	send(t, up, 1, []byte("x"))
	complete(t, up)
	wantTags(t, tags, "b", want)
	put(t, s, "c", "x")
	wantTags(t, tags, "c", map[string]string{})
}

func tagMerges(t *testing.T, s objstore.Store) {
	tags := tagger(s)
	if tags == nil {
		return
	}
	put(t, s, "a/b", "x")
	setTags(t, tags, "a/b", map[string]string{"owner": "finance", "tier": "daily"})
	setTags(t, tags, "a/b", map[string]string{"tier": "monthly", "policy": "prod"})
	wantTags(t, tags, "a/b", map[string]string{"owner": "finance", "tier": "monthly", "policy": "prod"})
}

func tagLeavesObject(t *testing.T, s objstore.Store) {
	tags := tagger(s)
	if tags == nil {
		return
	}
	put(t, s, "a", "content")
	before, err := s.Head(t.Context(), "a", "")
	if err != nil {
		t.Fatal(err)
	}
	setTags(t, tags, "a", map[string]string{"tier": "daily"})
	after, err := s.Head(t.Context(), "a", "")
	if err != nil || after.ETag != before.ETag || after.Size != before.Size || after.VersionID != before.VersionID || !after.Modified.Equal(before.Modified) {
		t.Errorf("%+v, %v; before %+v", after, err, before)
	}
	wantContent(t, s, "a", []byte("content"))
}

func tagMissing(t *testing.T, s objstore.Store) {
	if tags := tagger(s); tags != nil {
		wantIs(t, "tag what is not there", tags.SetTags(t.Context(), "nothing", map[string]string{"a": "b"}), objstore.ErrNotFound)
		_, err := tags.Tags(t.Context(), "nothing")
		wantIs(t, "read tags of what is not there", err, objstore.ErrNotFound)
	}
}

func tagTwice(t *testing.T, s objstore.Store) {
	tags := tagger(s)
	if tags == nil {
		return
	}
	put(t, s, "a", "x")
	for range 2 {
		setTags(t, tags, "a", map[string]string{"tier": "daily"})
		wantTags(t, tags, "a", map[string]string{"tier": "daily"})
	}
}

func tagOddValues(t *testing.T, s objstore.Store) {
	tags := tagger(s)
	if tags == nil {
		return
	}
	want := map[string]string{"a b": "c d", "plus+": "a=b", "colon:": "x/y@z_.-", "empty": ""}
	if _, err := s.Put(t.Context(), "a", nil, objstore.PutOptions{Tags: want}); err != nil {
		t.Fatal(err)
	}
	wantTags(t, tags, "a", want)
	setTags(t, tags, "a", map[string]string{"empty": "no more"})
	want["empty"] = "no more"
	wantTags(t, tags, "a", want)
}

func tagCancelled(t *testing.T, s objstore.Store) {
	if tags := tagger(s); tags != nil {
		put(t, s, "a", "x")
		wantIs(t, "tag", tags.SetTags(cancelled(t), "a", map[string]string{"a": "b"}), context.Canceled)
	}
}

var folders = map[string]func(*testing.T, objstore.Store){
	"folders and objects of one level":             foldersOneLevel,
	"more folders than a page holds":               foldersPages,
	"folders and what is in them is all":           foldersAddUp,
	"a prefix must be a folder":                    foldersOddPrefix,
	"a folder that is not there has nothing":       foldersNothing,
	"folders with odd names":                       foldersOddNames,
	"unfinished uploads are in no folder":          foldersUploads,
	"folders with an ended context are not listed": foldersCancelled,
}

func below(t *testing.T, s objstore.FolderLister, prefix string) []string {
	t.Helper()
	names, err := s.Folders(t.Context(), prefix)
	if err != nil {
		t.Fatalf("folders of %q: %v", prefix, err)
	}
	return names
}

func wantBelow(t *testing.T, s objstore.Store, prefix string, want ...string) {
	t.Helper()
	if lister, ok := s.(objstore.FolderLister); ok {
		if got := below(t, lister, prefix); !slices.Equal(got, want) {
			t.Errorf("below %q are %q, want %q", prefix, got, want)
		}
	}
}

func foldersOneLevel(t *testing.T, s objstore.Store) {
	putAll(t, s, []string{"m/a-b/x", "m/a/x/y/z", "m/a/w", "m/a.json", "m/stray", "n/x", "o"})
	wantBelow(t, s, "m/", "m/a-b/", "m/a.json", "m/a/", "m/stray")
	wantBelow(t, s, "m/a/", "m/a/w", "m/a/x/")
	wantBelow(t, s, "", "m/", "n/", "o")
}

func foldersPages(t *testing.T, s objstore.Store) {
	if _, ok := s.(objstore.FolderLister); !ok {
		return
	}
	var keys, want []string
	for i := range 1010 {
		keys = append(keys, fmt.Sprintf("m/src%04d/x", i))
		want = append(want, fmt.Sprintf("m/src%04d/", i))
	}
	putAll(t, s, keys)
	wantBelow(t, s, "m/", want...)
}

func foldersAddUp(t *testing.T, s objstore.Store) {
	lister, ok := s.(objstore.FolderLister)
	if !ok {
		return
	}
	putAll(t, s, []string{"a!b", "a-b", "a.b", "a/b", "a/b-c/d", "a/b.c", "a/b0", "a0", "aa", "b", "z/a/b", "z/a0/b", "z/a-/b", "A"})
	var all []string
	for _, name := range below(t, lister, "") {
		if strings.HasSuffix(name, "/") {
			all = append(all, keysUnder(t, s, name)...)
		} else {
			all = append(all, name)
		}
	}
	if want := keysUnder(t, s, ""); !slices.Equal(all, want) {
		t.Errorf("by folders %q, all at once %q", all, want)
	}
}

func foldersOddPrefix(t *testing.T, s objstore.Store) {
	if lister, ok := s.(objstore.FolderLister); ok {
		put(t, s, "a/b", "x")
		for _, prefix := range []string{"a", "a/b", "/", "a//", "../", "a/../"} {
			_, err := lister.Folders(t.Context(), prefix)
			wantIs(t, prefix, err, objstore.ErrInvalidKey)
		}
	}
}

func foldersNothing(t *testing.T, s objstore.Store) {
	wantBelow(t, s, "")
	put(t, s, "a/b", "x")
	wantBelow(t, s, "c/")
	wantBelow(t, s, "a/b/")
	wantBelow(t, s, "a/c/d/")
}

func foldersOddNames(t *testing.T, s objstore.Store) {
	want := []string{"m/%2F/", "m/a b/", "m/per%20cent/", "m/plus+plus/", "m/q?x=1&y=2/", "m/ümläut/"}
	for _, folder := range want {
		put(t, s, folder+"x", "x")
	}
	wantBelow(t, s, "m/", want...)
	wantBelow(t, s, "m/q?x=1&y=2/", "m/q?x=1&y=2/x")
}

func foldersUploads(t *testing.T, s objstore.Store) {
	put(t, s, "k/x", "x")
	up := create(t, s, "u/x", always)
	send(t, up, 1, []byte("x"))
	wantBelow(t, s, "", "k/")
	if err := up.Abort(); err != nil {
		t.Error(err)
	}
}

func foldersCancelled(t *testing.T, s objstore.Store) {
	if lister, ok := s.(objstore.FolderLister); ok {
		_, err := lister.Folders(cancelled(t), "a/")
		wantIs(t, "folders", err, context.Canceled)
	}
}
