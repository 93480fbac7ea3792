package repo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// past is what happened to one point of a model history. Zero times: never.
type past struct {
	ref       Ref
	start     time.Time
	manifest  time.Time
	fenced    bool // its manifest has 0 bytes
	tombstone time.Time
	marks     []pastMark
}

type pastMark struct {
	folder string
	name   string
	at     time.Time
}

// known is what History and List may know of a point, for comparing.
type known struct {
	Ref       Ref
	Start     time.Time
	Held      bool
	Condemned bool
	Committed time.Time
	Deleted   time.Time
	Tier      string
	Policy    string
}

// at is the slow and obvious answer to whether and how the point was there.
func (p past) at(t time.Time) (known, bool) {
	k := known{Ref: p.ref, Start: p.start}
	switch {
	case !p.manifest.IsZero() && !p.fenced:
		k.Committed = p.manifest
		if p.manifest.Sub(p.start) > 8*24*time.Hour {
			k.Committed = p.start
		}
	case !p.tombstone.IsZero():
		k.Ref.Parent = ""
		k.Committed, k.Deleted = p.start, p.tombstone
	default:
		return k, false
	}
	if t.Before(k.Committed) || !k.Deleted.IsZero() && !t.Before(k.Deleted) {
		return k, false
	}
	k.Held = p.keptBy("holds", "held", t)
	k.Condemned = p.keptBy("condemned", "condemned", t)
	newest := ""
	for _, m := range p.marks {
		if m.folder == "tiers" && !m.at.After(t) && strings.Contains(m.name, "@") {
			newest = max(newest, m.name)
		}
	}
	if newest != "" {
		k.Tier, k.Policy, _ = strings.Cut(strings.TrimSuffix(newest[7:], ".json"), "@")
	}
	return k, true
}

func (p past) keptBy(folder, keeping string, t time.Time) bool {
	highest, kept := "", false
	for _, m := range p.marks {
		switch {
		case m.folder != folder || m.at.After(t):
		case strings.Contains(m.name, "strange"):
			return true
		case m.name[:6] > highest:
			highest, kept = m.name[:6], m.name[7:] == keeping+".json"
		case m.name[:6] == highest:
			kept = kept || m.name[7:] == keeping+".json"
		}
	}
	return kept
}

func drawPast(t *rapid.T) []past {
	moments := rapid.IntRange(0, 20*24*60)
	moment := func(what string) time.Time {
		return clock.Add(time.Duration(moments.Draw(t, what)) * time.Minute)
	}
	var all []past
	for i := range rapid.IntRange(0, 15).Draw(t, "points") {
		p := past{start: moment("start")}
		p.ref = Ref{
			Source: rapid.SampledFrom([]string{"app", "app@größe/1", "b", "a-b"}).Draw(t, "source"),
			Kind:   rapid.SampledFrom([]string{"logical", "physical"}).Draw(t, "kind"),
			ID:     p.start.Format(idTime) + fmt.Sprintf("-aaaaaa%c%c", 'a'+i/26, 'a'+i%26),
		}
		if rapid.IntRange(0, 3).Draw(t, "incremental") == 0 {
			p.ref.Parent = clock.Format(idTime) + "-parentaa"
		}
		fate := rapid.IntRange(0, 9).Draw(t, "fate")
		if fate < 7 {
			p.manifest = p.start.Add(time.Duration(rapid.IntRange(-30, 12*24*60).Draw(t, "took")) * time.Minute)
			p.fenced = fate == 6
		}
		if fate > 4 {
			p.tombstone = moment("deleted")
		}
		number := map[string]int{}
		for range rapid.IntRange(0, 5).Draw(t, "marks") {
			folder := rapid.SampledFrom([]string{"holds", "condemned", "tiers"}).Draw(t, "folder")
			number[folder] += rapid.SampledFrom([]int{0, 1, 1, 1, 2}).Draw(t, "step")
			state := map[string][]string{
				"holds": {"held", "released", "strange"}, "condemned": {"condemned", "cleared", "strange"}, "tiers": {"daily@prod", "monthly@prod", "yearly@test", "strange"},
			}[folder]
			pick := rapid.SampledFrom([]int{0, 0, 1, 1, len(state) - 1}).Draw(t, "state")
			p.marks = append(p.marks, pastMark{folder, fmt.Sprintf("%06d-%s.json", max(number[folder], 1), state[pick]), moment("marked")})
		}
		all = append(all, p)
	}
	return all
}

// write makes the objects of a history in a directory, with their times.
func (p past) write(t *rapid.T, root string) {
	file := func(key string, content string, at time.Time) {
		name := filepath.Join(root, filepath.FromSlash(key))
		err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(content), 0o600), os.Chtimes(name, at, at))
		if err != nil {
			t.Fatal(err)
		}
	}
	if !p.manifest.IsZero() {
		content := "{}"
		if p.fenced {
			content = ""
		}
		file(p.ref.ManifestKey(), content, p.manifest)
	}
	if !p.tombstone.IsZero() {
		file(p.ref.tombstoneKey(), "{}", p.tombstone)
	}
	for i := range p.marks {
		// A name twice is one object, of its last time.
		for j := range i {
			if p.marks[j].folder == p.marks[i].folder && p.marks[j].name == p.marks[i].name {
				p.marks[j].at = p.marks[i].at
			}
		}
		file(p.marks[i].folder+"/"+p.ref.path()+"/"+p.marks[i].name, "{}", p.marks[i].at)
	}
}

func knownOf(points []Listed) []known {
	out := []known{}
	for _, l := range points {
		out = append(out, known{l.Ref, l.Start, l.Held, l.Condemned, l.Committed.UTC(), l.Deleted.UTC(), l.Tier, l.TierPolicy})
	}
	return out
}

// unfoldered hides what else a store can do: everything is listed in one go.
type unfoldered struct{ objstore.Store }

func TestAHistoryAnswersAsAllItsObjectsOneByOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		root, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		r := newRepo(t, openDir(t, root), false)
		model := drawPast(rt)
		for _, p := range model {
			p.write(rt, root)
		}
		filter := rapid.SampledFrom([]Filter{{}, {Source: "app"}, {Kind: "physical"}, {Source: "app@größe/1", Kind: "logical"}}).Draw(rt, "filter")
		matches := func(r Ref) bool {
			return (filter.Source == "" || filter.Source == r.Source) && (filter.Kind == "" || filter.Kind == r.Kind)
		}
		brute := func(at time.Time) []known {
			out := []known{}
			for _, p := range model {
				if k, there := p.at(at); there && matches(p.ref) {
					out = append(out, k)
				}
			}
			slices.SortFunc(out, func(a, b known) int {
				return cmp2(b.Start.Compare(a.Start), strings.Compare(b.Ref.ID, a.Ref.ID))
			})
			return out
		}
		h, err := r.History(t.Context(), filter)
		if err != nil {
			rt.Fatal(err)
		}
		for _, minutes := range rapid.SliceOfN(rapid.IntRange(-60, 33*24*60), 4, 4).Draw(rt, "asked at") {
			at := clock.Add(time.Duration(minutes) * time.Minute)
			if diff := cmp.Diff(brute(at), knownOf(h.At(at))); diff != "" {
				rt.Fatalf("at %s (-one by one +history):\n%s", at, diff)
			}
			gone := 0
			for _, p := range model {
				k, _ := p.at(clock.AddDate(-1, 0, 0)) // Deleted is set whether or not it was there
				if k.Deleted.After(at) && matches(p.ref) {
					gone++
				}
			}
			if after := h.DeletedAfter(at); len(after) != gone {
				rt.Fatalf("%d points went after %s, the history says %d", gone, at, len(after))
			}
		}
		end := clock.AddDate(1, 0, 0)
		listed, err := r.List(t.Context(), filter)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(knownOf(h.At(end)), knownOf(listed)); diff != "" {
			rt.Fatalf("what is there in the end (-history +list):\n%s", diff)
		}
		alone, err := r.over(unfoldered{r.store}).History(t.Context(), filter)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(alone.points, h.points, cmp.AllowUnexported(entry{}, pointMarks{}, placedMark{})); diff != "" {
			rt.Fatalf("listed in one go and shared out differ (-one +shared):\n%s", diff)
		}
		checkMoments(rt, h, brute)
		checkLanes(rt, r, h)
	})
}

// checkLanes holds that the lanes share all of a history out, each as if it had been
// listed by itself.
func checkLanes(t *rapid.T, r *Repository, h *History) {
	total := 0
	for _, lane := range h.Lanes() {
		first := lane.points[0]
		alone, err := r.History(context.Background(), Filter{Source: first.Source, Kind: first.Kind})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(alone.points, lane.points, cmp.AllowUnexported(entry{}, pointMarks{}, placedMark{})); diff != "" {
			t.Fatalf("%s/%s (-alone +lane):\n%s", first.Source, first.Kind, diff)
		}
		total += len(lane.points)
	}
	if total != len(h.points) {
		t.Fatalf("the lanes have %d points of %d", total, len(h.points))
	}
}

func cmp2(a, b int) int {
	if a != 0 {
		return a
	}
	return b
}

// checkMoments holds that between two moments nothing changes that a decision
// depends on.
func checkMoments(t *rapid.T, h *History, brute func(time.Time) []known) {
	decisive := func(all []known) []known {
		for i := range all {
			all[i].Tier, all[i].Policy = "", ""
		}
		return all
	}
	from, to := clock.Add(-time.Hour), clock.AddDate(0, 2, 0)
	before := decisive(brute(from))
	at := from
	for _, m := range append(h.Moments(from, to), Moment{At: to}) {
		if m.At.Before(at) {
			t.Fatalf("%s comes after %s", m.At, at)
		}
		if diff := cmp.Diff(before, decisive(brute(m.At.Add(-time.Second)))); diff != "" && m.At.After(at) {
			t.Fatalf("something changed between %s and %s without a moment:\n%s", at, m.At, diff)
		}
		at, before = m.At, decisive(brute(m.At))
	}
	if some := h.Moments(from, to); len(some) > 0 {
		last := some[len(some)-1].At
		if n := h.Moments(from, last); len(n) != len(some) {
			t.Fatalf("up to and including %s are %d moments of %d", last, len(n), len(some))
		}
		if n := h.Moments(last, to); len(n) != 0 {
			t.Fatalf("%d moments come after the last", len(n))
		}
	}
}

func TestStrangeKeysAreInAHistoryHoweverItIsListed(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	ref := put(t, r, "app", [][]byte{[]byte("x")}, WriterOptions{})
	for _, key := range []string{"manifests/readme.txt", "manifests/app/logical/notes.txt", "manifests/app/logical/x.json", "manifests/b/y.json", "tombstones/z.json", "tombstones/app/logical/strange.json", "holds/q.json", "tiers/app/x", "points/loose"} {
		overwrite(t, r.store, key, []byte("x"))
	}
	shared, err := r.History(t.Context(), Filter{})
	if err != nil {
		t.Fatal(err)
	}
	alone, err := r.over(unfoldered{r.store}).History(t.Context(), Filter{})
	if err != nil {
		t.Fatal(err)
	}
	opts := []cmp.Option{cmp.AllowUnexported(entry{}, pointMarks{}, placedMark{}), cmp.Comparer(func(a, b error) bool { return fmt.Sprint(a) == fmt.Sprint(b) })}
	if diff := cmp.Diff(alone.points, shared.points, opts...); diff != "" {
		t.Errorf("listed in one go and shared out differ (-one +shared):\n%s", diff)
	}
	var problems []string
	for _, l := range wantListed(t, r, 5) {
		if l.Problem != nil {
			problems = append(problems, l.Key)
		} else if l.Ref != ref {
			t.Errorf("unknown point %s", l.Ref)
		}
	}
	slices.Sort(problems)
	if want := []string{"manifests/app/logical/notes.txt", "manifests/app/logical/x.json", "manifests/b/y.json", "manifests/readme.txt"}; !slices.Equal(problems, want) {
		t.Errorf("problems %q, want %q", problems, want)
	}
	if lanes := shared.Lanes(); len(lanes) != 1 || len(lanes[0].points) != 1 {
		t.Errorf("%d lanes, want the one of the point", len(lanes))
	}
	sizes, err := r.Sizes(t.Context(), Filter{})
	if err != nil || len(sizes) != 1 {
		t.Errorf("sizes %v, %v", sizes, err)
	}
}

func TestSizesAreWhatTheManifestsSay(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), true)
	want := map[string]int64{}
	for i, source := range []string{"app", "app@größe/1", "b", "b"} {
		opts := WriterOptions{chunksPerObject: 1}
		if i == 3 {
			opts.Parent = NewID(clock)
		}
		ref := put(t, r, source, pieces(pseudorandom(uint64(i), 5000*(i+1)), 3), opts)
		m, err := r.Manifest(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		want[ref.String()] = m.StoredSize()
	}
	for name, over := range map[string]*Repository{"shared out": r, "in one go": r.over(unfoldered{r.store})} {
		if got, err := over.Sizes(t.Context(), Filter{}); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, want)
		}
	}
	if got, err := r.Sizes(t.Context(), Filter{Source: "b"}); err != nil || len(got) != 2 {
		t.Errorf("of one source: %v, %v", got, err)
	}
	if got, err := r.Sizes(t.Context(), Filter{Kind: "physical"}); err != nil || len(got) != 0 {
		t.Errorf("of another kind: %v, %v", got, err)
	}
}

func TestAListingThatFailsFailsTheWhole(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	for _, source := range []string{"a", "b", "c"} {
		put(t, r, source, [][]byte{[]byte("x")}, WriterOptions{})
	}
	for _, prefix := range []string{"manifests/b/", "tombstones/", "points/c/"} {
		m := &meddler{Store: r.store, before: func(op, key string) error {
			if op == "list" && key == prefix {
				return errReset
			}
			return nil
		}}
		over := r.over(struct {
			objstore.Store
			objstore.FolderLister
		}{m, r.store.(objstore.FolderLister)})
		if prefix == "tombstones/" {
			over = r.over(m)
		}
		_, history := over.History(t.Context(), Filter{})
		_, sizes := over.Sizes(t.Context(), Filter{})
		if failed := errors.Join(history, sizes); !errors.Is(failed, errReset) || !strings.Contains(failed.Error(), r.URL()) {
			t.Errorf("%s: %v, %v", prefix, history, sizes)
		}
	}
}

func TestATombstoneIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	ref := put(t, r, "app@größe/1", [][]byte{[]byte("x")}, WriterOptions{Parent: NewID(clock)})
	if _, err := r.Tombstone(t.Context(), ref); !errors.Is(err, ErrNotFound) {
		t.Errorf("before: %v", err)
	}
	want := Tombstone{Bytes: 42, Deleted: clock, By: "me@here", Reasons: []string{"too old"}, Policy: "prod", PolicyRevision: 3}
	if err := r.Delete(t.Context(), ref, want); err != nil {
		t.Fatal(err)
	}
	got, err := r.Tombstone(t.Context(), ref)
	want.Format, want.ID, want.Source, want.Kind, want.Parent, want.Start = 1, ref.ID, ref.Source, ref.Kind, ref.Parent, clock
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	other := Ref{Source: "other", Kind: "logical", ID: ref.ID}
	overwrite(t, r.store, other.tombstoneKey(), raw(t, r.store, ref.tombstoneKey()))
	if _, err := r.Tombstone(t.Context(), other); !errors.Is(err, ErrDamaged) {
		t.Errorf("of another point: %v", err)
	}
	overwrite(t, r.store, ref.tombstoneKey(), []byte(`{"format":1,`))
	if _, err := r.Tombstone(t.Context(), ref); !errors.Is(err, ErrDamaged) {
		t.Errorf("damaged: %v", err)
	}
}
