package verify

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// outputInspector is for kinds that store what a program wrote: it is not empty,
// has the size that the manifest says and, of pg_dumpall, its last line.
type outputInspector struct {
	kind string
	size int64
	end  []byte // the last bytes
}

func (o *outputInspector) reader(stream string) io.WriteCloser {
	if stream != contents.Main(o.kind) {
		return ignored{}
	}
	return o
}

// endKept is more than what pg_dumpall writes after its last words.
const endKept = 4096

// Write implements io.Writer.
func (o *outputInspector) Write(b []byte) (int, error) {
	o.size += int64(len(b))
	o.end = append(o.end, b[max(0, len(b)-endKept):]...)
	o.end = append(o.end[:0], o.end[max(0, len(o.end)-endKept):]...)
	return len(b), nil
}

// Close implements io.Closer.
func (o *outputInspector) Close() error { return nil }

func (o *outputInspector) compare(_ context.Context, p *repo.Point) (stream string, err error) {
	stream = contents.Main(o.kind)
	switch {
	case o.size == 0:
		return stream, fmt.Errorf("%w: it is empty", repo.ErrDamaged)
	case o.size != p.Totals.Bytes:
		return stream, fmt.Errorf("%w: the manifest counts %d bytes, there are %d", repo.ErrDamaged, p.Totals.Bytes, o.size)
	case o.kind == string(job.KindGlobals) && !bytes.Contains(o.end, []byte(logical.GlobalsEnd)):
		return stream, fmt.Errorf("%w: the last line of pg_dumpall is missing", repo.ErrDamaged)
	}
	return stream, nil
}
