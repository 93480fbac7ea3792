package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// clockSkew is how far two clocks may differ before it is worth a warning.
const clockSkew = 10 * time.Minute

// one verifies a point.
func (opts Options) one(ctx context.Context, l repo.Listed) result {
	if l.Problem != nil {
		return judge(l, l.Key, l.Problem)
	}
	p, err := opts.Repo.OpenPoint(ctx, l.Ref)
	if errors.Is(err, repo.ErrNotFound) {
		return result{gone: true}
	}
	if err != nil {
		return judge(l, l.Key, err)
	}
	object, err := opts.check(ctx, p)
	if err != nil {
		// A rotation may have taken it while it was read: manifest first, then data.
		if _, now := opts.Repo.Manifest(ctx, l.Ref); errors.Is(now, repo.ErrNotFound) {
			return result{gone: true}
		}
		return judge(l, object, err)
	}
	return result{bytes: p.StoredSize(), warnings: clocks(p.Manifest, opts.Now)}
}

// judge tells a bad point from one that could not be read.
func judge(l repo.Listed, object string, err error) result {
	if errors.Is(err, repo.ErrArchived) { // whatever else it says: nothing was read
		return result{archived: err}
	}
	if !damage(err) {
		return result{unchecked: fmt.Errorf("verify %s: %w", l.Ref, err)}
	}
	return result{bad: &Bad{ID: l.ID, Source: l.Source, Kind: l.Kind, Object: object, Problem: err.Error()}}
}

// damage tells whether err speaks about stored bytes. Everything else (network,
// rights, a newer format, another key) says nothing about the backup.
func damage(err error) bool {
	if errors.Is(err, objstore.ErrTransient) {
		return false // whatever else it looked like, somewhere a connection broke
	}
	for _, bad := range []error{repo.ErrDamaged, seal.ErrDamaged, seal.ErrEdited,
		pgarchive.ErrTruncated, pgarchive.ErrCorrupt, pgarchive.ErrNotArchive} {
		if errors.Is(err, bad) {
			return true
		}
	}
	return false
}

// check reads every stream of a point and compares them with each other. With
// an error comes the object it is about.
func (opts Options) check(ctx context.Context, p *repo.Point) (object string, err error) {
	look := inspectorOf(p.Kind)
	for _, stream := range streams(p.Manifest) {
		if err := opts.read(ctx, p, stream, look.reader(stream)); err != nil {
			return objectOf(p.Manifest, stream, err), err
		}
	}
	stream, err := look.compare(ctx, p)
	if err != nil {
		return objectOf(p.Manifest, stream, err), err
	}
	if p.RDS != nil {
		return p.RDS.Snapshot, opts.outside(ctx, p.Manifest)
	}
	return "", nil
}

// inspector looks at the plain bytes of a point beyond their checksums, as its
// kind makes sense of them.
type inspector interface {
	// reader takes the bytes of a stream and is closed after its last one.
	reader(stream string) io.WriteCloser
	// compare holds what the streams say against each other. With an error comes
	// the stream it is about.
	compare(ctx context.Context, p *repo.Point) (stream string, err error)
}

func inspectorOf(kind string) inspector {
	switch {
	case kind == logical.Kind:
		return &logicalInspector{}
	case kind == string(job.KindPhysical):
		return newBaseInspector()
	case contents.IsTar(kind):
		return &tarInspector{}
	case contents.Main(kind) != "":
		return &outputInspector{kind: kind}
	}
	return nothingMore{}
}

// nothingMore is for kinds of a newer program: their checksums are compared.
type nothingMore struct{}

func (nothingMore) reader(string) io.WriteCloser                         { return ignored{} }
func (nothingMore) compare(context.Context, *repo.Point) (string, error) { return "", nil }

// ignored takes bytes that have been looked at enough.
type ignored struct{}

func (ignored) Write(b []byte) (int, error) { return len(b), nil }
func (ignored) Close() error                { return nil }

// streams lists the streams of a manifest, each once, in the order stored.
func streams(m *repo.Manifest) []string {
	var names []string
	seen := map[string]bool{}
	for _, o := range m.Objects {
		if !seen[o.Stream] {
			seen[o.Stream] = true
			names = append(names, o.Stream)
		}
	}
	return names
}

// read passes a stream's plain bytes to w, to the very end: the checksums of an
// object are compared after its last byte.
func (opts Options) read(ctx context.Context, p *repo.Point, stream string, w io.WriteCloser) error {
	body, err := p.Open(ctx, stream)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(io.MultiWriter(w, counter{opts.Read}), body)
	// What the inspector says of bytes that end too soon is not the reason.
	if closed := w.Close(); err == nil {
		err = closed
	}
	return err
}

// counter counts what is written to it.
type counter struct{ n *atomic.Int64 }

func (c counter) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}

// objectOf finds which object of a stream an error speaks about: the reader
// names it. A fault in what the objects hold together is the stream's.
func objectOf(m *repo.Manifest, stream string, err error) string {
	objects := m.Stream(stream)
	for _, o := range objects {
		if strings.Contains(err.Error(), "object "+o.Name+":") {
			return o.Name
		}
	}
	if len(objects) == 1 {
		return objects[0].Name
	}
	return stream
}

// clocks compares the clocks that a manifest carries with each other and with
// ours. They order recovery points, so a wrong one is worth knowing.
func clocks(m *repo.Manifest, now time.Time) []string {
	var out []string
	warn := func(format string, args ...any) {
		out = append(out, fmt.Sprintf("%s: ", m.Ref())+fmt.Sprintf(format, args...))
	}
	if ahead := m.Start.Sub(now); ahead > clockSkew {
		warn("it starts %s in the future: the clock of the host that took it, or of this one, is wrong", ahead.Round(time.Second))
	}
	if m.End.Before(m.Start) {
		warn("it ends before it starts: the runner's clock was set back meanwhile")
	}
	if !m.Server.Clock.IsZero() {
		if skew := m.Server.Clock.Sub(m.Start).Abs(); skew > clockSkew && (m.Server.Clock.Before(m.Start) || m.Server.Clock.After(m.End.Add(clockSkew))) {
			warn("the server's clock and the runner's were %s apart: check time synchronisation on both", skew.Round(time.Second))
		}
	}
	return out
}
