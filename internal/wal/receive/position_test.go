package receive

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

const mib16 = 16 << 20

// surveyed is an archive of segments "1:7" of timeline 1 with number 7, and pieces "1:7:from-to".
func surveyed(t *testing.T, names ...string) archived {
	t.Helper()
	var all []repo.WALFile
	for _, name := range names {
		var s pgwal.Segment
		var from, to uint32
		if n, _ := fmt.Sscanf(name, "%d:%d:%d-%d", &s.Timeline, &s.Number, &from, &to); n != 2 && n != 4 {
			t.Fatalf("%q", name)
		}
		f, err := repo.NewWALFile(repo.WALArchive{Source: "a", System: "1"}, s.Name(mib16), from, to)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b repo.WALFile) int { return strings.Compare(a.Key(), b.Key()) })
	found, err := survey(func(yield func(repo.WALFile, error) bool) {
		for _, f := range all {
			if !yield(f, nil) {
				return
			}
		}
	}, mib16)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func sequence(timeline, from, to int) []string {
	var names []string
	for n := from; n < to; n++ {
		names = append(names, fmt.Sprintf("%d:%d", timeline, n))
	}
	return names
}

func TestReceivingResumesWhereTheArchiveEndsOrHasARecentHole(t *testing.T) {
	t.Parallel()
	first := pgwal.History{Timeline: 1}
	second := pgwal.History{Timeline: 2, Ancestors: []pgwal.Switch{{Timeline: 1, At: 5*mib16 + 100}}}
	for name, c := range map[string]struct {
		have    []string
		history pgwal.History
		want    place
		none    bool
	}{
		"nothing":                       {nil, first, place{}, true},
		"segments":                      {sequence(1, 1, 5), first, place{1, 5 * mib16}, false},
		"and a piece":                   {append(sequence(1, 1, 5), "1:5:0-100"), first, place{1, 5 * mib16}, false},
		"pieces only":                   {[]string{"1:5:0-100", "1:5:100-200"}, first, place{1, 5 * mib16}, false},
		"a hole of a killed run":        {append(sequence(1, 1, 5), "1:6", "1:7"), first, place{1, 5 * mib16}, false},
		"two of them":                   {append(sequence(1, 1, 5), "1:6", "1:8"), first, place{1, 5 * mib16}, false},
		"an old hole":                   {append(sequence(1, 1, 5), sequence(1, 10, 100)...), first, place{1, 100 * mib16}, false},
		"the newest timeline of it":     {append(sequence(1, 1, 5), "2:5"), second, place{2, 6 * mib16}, false},
		"a timeline that is not of it":  {append(sequence(1, 1, 5), "3:5"), second, place{1, 5 * mib16}, false},
		"only such":                     {[]string{"3:5"}, second, place{}, true},
		"pieces of the timeline before": {append(sequence(1, 1, 5), "1:5:0-90"), second, place{1, 5 * mib16}, false},
	} {
		got, found := surveyed(t, c.have...).resume(c.history)
		if got != c.want || found == c.none {
			t.Errorf("%s: %+v, %v", name, got, found)
		}
	}
}

func TestRouteFollowsTheServerToTheTimelineItTook(t *testing.T) {
	t.Parallel()
	h := pgwal.History{Timeline: 4, Ancestors: []pgwal.Switch{{Timeline: 1, At: 5*mib16 + 100}, {Timeline: 3, At: 7 * mib16}}}
	for _, c := range []struct{ at, want place }{
		{place{1, 3 * mib16}, place{1, 3 * mib16}},
		{place{1, 5*mib16 + 100}, place{1, 5*mib16 + 100}}, // the server says itself that it ends there
		{place{1, 5*mib16 + 101}, place{3, 5 * mib16}},
		{place{1, 9 * mib16}, place{3, 5 * mib16}},
		{place{3, 6 * mib16}, place{3, 6 * mib16}},
		{place{3, 7*mib16 + 1}, place{4, 7 * mib16}},
		{place{4, 9 * mib16}, place{4, 9 * mib16}},
	} {
		if got := route(h, c.at, mib16); got != c.want {
			t.Errorf("from %+v to %+v, want %+v", c.at, got, c.want)
		}
	}
}

func TestPiecesOfWholeSegmentsAreNeedless(t *testing.T) {
	t.Parallel()
	a := surveyed(t, "1:4", "1:4:0-10", "1:5:0-10", "2:4:0-10")
	if len(a.needless) != 1 || a.needless[0].Name != (pgwal.Segment{Timeline: 1, Number: 4}).Name(mib16) {
		t.Errorf("%v", a.needless)
	}
	if len(a.pieces) != 2 {
		t.Errorf("%v", a.pieces)
	}
}

func TestSlotNamesAreValidAndOfOneSourceOnly(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, source := range []string{"main", "db1.example.org", "db1_example_org", "DB1.example.org", "größe", "a-very-long-name-of-a-server-in-a-domain-of-many-levels.example.org", "a-very-long-name-of-a-server-in-a-domain-of-many-levels.example.net"} {
		name := SlotName(source)
		if err := (func() error {
			for _, c := range name {
				if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
					return fmt.Errorf("%q", c)
				}
			}
			return nil
		})(); err != nil || len(name) > 63 {
			t.Errorf("%s: %v (%d bytes)", name, err, len(name))
		}
		if other := seen[name]; other != "" {
			t.Errorf("%s and %s have slot %s", source, other, name)
		}
		seen[name] = source
	}
}
