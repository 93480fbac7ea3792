package rotate

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// reading notes the keys that are read.
type reading struct {
	objstore.Store
	mu   sync.Mutex
	keys []string
}

func (r *reading) Get(ctx context.Context, key string, opts objstore.GetOptions) (io.ReadCloser, objstore.Info, error) {
	r.mu.Lock()
	r.keys = append(r.keys, key)
	r.mu.Unlock()
	return r.Store.Get(ctx, key, opts)
}

// read are the sources of which manifests were read.
func (r *reading) sources() []string {
	var names []string
	for _, key := range r.keys {
		if rest, ok := strings.CutPrefix(key, "manifests/"); ok {
			names = append(names, rest[:strings.IndexByte(rest, '/')])
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// R7
func TestManifestsAreReadOnlyOfSourcesThatWouldLosePoints(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.points("keeps", 0, 1)
	p := f.points("loses", 0, 1, 2)
	noting := &reading{Store: f.Store()}
	r, err := repo.Open(t.Context(), noting, repo.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	opts := f.options(retention.Keep{KeepLast: 2})
	opts.Repo = r
	out, err := Plan(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if got := noting.sources(); !slices.Equal(got, []string{"loses"}) || !slices.Equal(idsOf(out.Delete), want(p[2])) {
		t.Errorf("manifests of %v were read, %v would go", got, idsOf(out.Delete))
	}
	for _, d := range slices.Concat(out.Keep, out.Delete) {
		m, err := f.Manifest(t.Context(), d.ref)
		if err != nil || d.Bytes != m.StoredSize() {
			t.Errorf("%s has %d bytes, its manifest says %d, %v", d.ref, d.Bytes, m.StoredSize(), err)
		}
	}
}

func TestADamagedManifestWhereNothingGoesIsNobodysTrouble(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := f.points("a", 0, 1)
	if err := os.WriteFile(filepath.Join(f.dir, p[1].ManifestKey()), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := Run(t.Context(), f.options(retention.Keep{KeepLast: 2}))
	if err != nil || len(out.Keep) != 2 || len(out.Warnings) != 0 {
		t.Errorf("%+v, %v", out, err)
	}
	// The day something would go it is seen, set aside, and protects the rest.
	out, err = Run(t.Context(), f.options(retention.Keep{KeepLast: 1}))
	if err != nil || len(out.Delete) != 0 || len(out.Warnings) != 1 {
		t.Errorf("%+v, %v", out, err)
	}
	for _, d := range out.Keep {
		if d.ID == p[1].ID && !strings.Contains(strings.Join(d.Reasons, "; "), "unreadable") {
			t.Errorf("the damaged one stays for %q", d.Reasons)
		}
	}
}

func TestTheRuleWALGoesByTheEndOfBaseBackupsThatTheirManifestsKnow(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	base := func(days int, took time.Duration) repo.Ref {
		start := now.AddDate(0, 0, -days)
		w, err := f.NewPoint("a", "physical", start, repo.WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteStream(t.Context(), "archive", []byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(t.Context(), &repo.Manifest{End: start.Add(took), Physical: somewhere}); err != nil {
			t.Fatal(err)
		}
		return w.Ref()
	}
	old, needed, late, newest := base(20, time.Hour), base(12, time.Hour), base(8, 30*time.Hour), base(0, time.Hour)
	// Seven days back from the end of the newest the base of 8 days ago was still
	// being taken: the one before it is needed.
	out, err := Run(t.Context(), f.options(retention.Keep{KeepLast: 1, WAL: duration.MustParse("7d")}))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.ids(); !slices.Equal(got, want(needed, newest)) || !slices.Equal(idsOf(out.Delete), want(old, late)) {
		t.Errorf("left %v, deleted %v; want %s and %s left", got, idsOf(out.Delete), needed.ID, newest.ID)
	}
}
