package repo

import (
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"pgregory.net/rapid"
)

func TestAnyNameOfASourceMakesOneKeySegmentAndComesBack(t *testing.T) {
	t.Parallel()
	hostile := []string{".", "..", "...", "../../etc/passwd", "a/b", "a@b", "a%2Fb", "%", "%%%", "~", "a~b", "*?<>|", "CON", "größe", "日本", " ", "-", "a b", `"`, "`$(x)`", "x.json", "+", "a+b", "a%20b"}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.SampledFrom(hostile), rapid.String(),
			rapid.StringOfN(rapid.SampledFrom([]rune("./~%@+\\ aZ0-é")), 1, 30, -1)).
			Filter(func(name string) bool { return CheckSource(name) == nil }).Draw(t, "name")
		seg := escape(name)
		if strings.ContainsAny(seg, "/~\\ ") || strings.Trim(seg, ".") == "" {
			t.Fatalf("%q becomes %q", name, seg)
		}
		if back, err := unescape(seg); err != nil || back != name {
			t.Fatalf("%q becomes %q becomes %q: %v", name, seg, back, err)
		}
		ref := Ref{Source: name, Kind: "logical", ID: NewID(clock)}
		if rapid.Bool().Draw(t, "incremental") {
			ref.Parent = NewID(clock)
		}
		for _, key := range []string{ref.ManifestKey(), ref.DataPrefix() + "archive.0000", ref.tombstoneKey(), locksPrefix + seg + ".json"} {
			if err := objstore.ValidKey(key); err != nil {
				t.Fatal(err)
			}
		}
		if back, err := parseManifestKey(ref.ManifestKey()); err != nil || back != ref {
			t.Fatalf("%+v became %+v: %v", ref, back, err)
		}
		if back, err := parsePath(strings.TrimSuffix(strings.TrimPrefix(ref.DataPrefix(), pointsPrefix), "/")); err != nil || back != ref {
			t.Fatalf("%+v became %+v: %v", ref, back, err)
		}
	})
}

func TestANameThatMakesNoGoodKeyIsRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "a\nb", "a\x00", "\x7f", "\xff\xfe", strings.Repeat("x", 181), strings.Repeat("é", 31)} {
		if CheckSource(name) == nil {
			t.Errorf("%q is allowed", name)
		}
	}
	for _, key := range []string{"manifests/app/logical/x.json", "manifests/app/20260301T020000Z-abcdefgh.json", "manifests/app/logical/20260301T020000Z-abcdefgh",
		"manifests/a b/logical/20260301T020000Z-abcdefgh.json", "manifests/%41/logical/20260301T020000Z-abcdefgh.json", "points/x",
		"manifests/app/logical/20260301T020000Z-ABCDEFGH.json", "manifests/app/logical/20261301T020000Z-abcdefgh.json",
		"manifests/app/logical/20260301T020000Z-abcdefgh~x.json", "manifests/app/logical/a/20260301T020000Z-abcdefgh.json"} {
		if ref, err := parseManifestKey(key); err == nil {
			t.Errorf("%s is read as %+v", key, ref)
		}
	}
}

func TestIDsSortByStartAndCarryIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var ids []string
		times := rapid.SliceOfN(rapid.Int64Range(0, 4_000_000_000), 2, 10).Draw(t, "seconds")
		for _, s := range times {
			at := time.Unix(s, rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).In(time.FixedZone("", 3600*5))
			id := NewID(at)
			back, err := ParseID(id)
			if err != nil || !back.Equal(at.Truncate(time.Second)) {
				t.Fatalf("%s of %s reads as %s: %v", id, at, back, err)
			}
			ids = append(ids, id)
		}
		sort.Strings(ids)
		sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
		for i, id := range ids {
			if got, _ := ParseID(id); got.Unix() != times[i] {
				t.Fatalf("ids do not sort by time: %q", ids)
			}
		}
	})
}
