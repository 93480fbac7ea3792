package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// stallClient ends requests in which nothing moves. A timeout for the whole
// request would not do: how long 8 MiB take is the network's affair, that some
// of it moves is ours.
type stallClient struct {
	inner awss3.HTTPClient
	limit time.Duration
}

// drainFactor: how much longer than the limit the answer to a body may take. The
// last megabytes wait in the kernel's send buffer where we can not see them move.
const drainFactor = 3

// errStall is the cause with which a request is cancelled.
var errStall = errors.New("stalled")

// patience lets the requests of one context be silent for longer.
type patience struct{}

func withPatience(ctx context.Context, factor int) context.Context {
	return context.WithValue(ctx, patience{}, factor)
}

func (c *stallClient) Do(req *http.Request) (*http.Response, error) {
	limit := c.limit
	if factor, ok := req.Context().Value(patience{}).(int); ok {
		limit *= time.Duration(factor)
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	w := &watch{ctx: ctx, cancel: cancel, limit: limit}
	w.timer = time.AfterFunc(limit, func() { cancel(errStall) })

	req = req.WithContext(ctx)
	if req.Body != nil && req.Body != http.NoBody {
		req.Body = &sending{req.Body, w}
	}
	res, err := c.inner.Do(req)
	w.timer.Stop()
	if err != nil {
		err = w.explain(err)
		cancel(nil)
		return nil, err
	}
	res.Body = &receiving{res.Body, w}
	return res, nil
}

// watch is the timer of one request.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	limit  time.Duration
}

// explain replaces the cancellation we caused by its reason.
func (w *watch) explain(err error) error {
	if err != nil && errors.Is(context.Cause(w.ctx), errStall) {
		return fmt.Errorf("%w: nothing moved for %s", objstore.ErrTransient, w.limit)
	}
	return err
}

// sending sees the transport take the request's body: each piece is progress.
type sending struct {
	io.ReadCloser
	w *watch
}

func (b *sending) Read(p []byte) (int, error) {
	// A server may answer before the body is through; the timer is stopped then
	// and must stay so, which Reset on a request that ended would undo.
	if b.w.timer.Stop() {
		b.w.timer.Reset(b.w.limit)
	}
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF && b.w.timer.Stop() {
		b.w.timer.Reset(drainFactor * b.w.limit)
	}
	return n, err
}

// receiving watches only while somebody waits for bytes: a slow reader is not a
// stalled server.
type receiving struct {
	io.ReadCloser
	w *watch
}

func (b *receiving) Read(p []byte) (int, error) {
	b.w.timer.Reset(b.w.limit)
	n, err := b.ReadCloser.Read(p)
	b.w.timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.w.explain(err)
	}
	return n, err
}

func (b *receiving) Close() error {
	err := b.ReadCloser.Close()
	b.w.cancel(nil)
	return err
}
