package verify

import (
	"context"
	"fmt"
	"io"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// tarInspector reads the tar of a point to its end and holds it against the list
// of entries and the totals.
type tarInspector struct{ list *contents.Digest }

func (t *tarInspector) reader(stream string) io.WriteCloser {
	if stream != contents.StreamArchive {
		return ignored{}
	}
	return aside(func(r io.Reader) (err error) {
		t.list, err = contents.Read(r, nil)
		return err
	})
}

// aside reads beside us what is written to it.
func aside(read func(io.Reader) error) io.WriteCloser {
	from, feed := io.Pipe()
	p := &piped{PipeWriter: feed, verdict: make(chan error, 1)}
	go func() {
		err := read(from)
		from.CloseWithError(err)
		p.verdict <- err
	}()
	return p
}

// piped ends a reader that works beside us and says what it found.
type piped struct {
	*io.PipeWriter
	verdict chan error
}

func (p *piped) Close() error {
	_ = p.PipeWriter.Close() // never fails
	return <-p.verdict
}

func (t *tarInspector) compare(ctx context.Context, p *repo.Point) (stream string, err error) {
	if t.list == nil {
		return contents.StreamArchive, fmt.Errorf("%w: the manifest names no archive", repo.ErrDamaged)
	}
	return contents.StreamEntries, contents.CheckList(ctx, p, t.list)
}
