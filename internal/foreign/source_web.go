package foreign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Fetcher sends a request; an *http.Client is one.
type Fetcher interface {
	Do(*http.Request) (*http.Response, error)
}

const (
	webTimeout = 30 * time.Second // to connect, and for the first byte of an answer
	webStall   = 5 * time.Minute  // without a byte
	webRetries = 4
)

var errInsecure = errors.New("it leads to an open line (http)")

// newFetcher tries again what fails before an answer begins. What breaks later is
// an error: the file may be another by then.
func newFetcher() Fetcher {
	client := &retryablehttp.Client{
		HTTPClient: &http.Client{
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: webTimeout}).DialContext,
				TLSHandshakeTimeout: webTimeout, ResponseHeaderTimeout: webTimeout, ForceAttemptHTTP2: true,
				DisableCompression: true, // .gz files come as they are
			},
			CheckRedirect: checkRedirect,
		},
		RetryMax: webRetries, RetryWaitMin: time.Second, RetryWaitMax: 10 * time.Second,
		Backoff: retryablehttp.DefaultBackoff, ErrorHandler: retryablehttp.PassthroughErrorHandler,
		CheckRetry: func(ctx context.Context, response *http.Response, err error) (bool, error) {
			if errors.Is(err, errInsecure) {
				return false, nil
			}
			return retryablehttp.DefaultRetryPolicy(ctx, response, err)
		},
	}
	return client.StandardClient()
}

// checkRedirect never follows back to an open line.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if req.URL.Scheme != "https" {
		return errInsecure
	}
	if len(via) >= 10 {
		return errors.New("it leads from place to place without an end")
	}
	return nil
}

// web finds a file on a web server. Its name leaves out what a presigned URL
// proves itself with.
func (p Places) web(ctx context.Context, place string) (*Source, error) {
	u, err := url.Parse(place)
	if err != nil || u.Host == "" {
		return nil, errors.New("https://…: it is not a valid URL")
	}
	shown := &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	fetcher := p.HTTP
	if fetcher == nil {
		fetcher = newFetcher()
	}
	s := &Source{Name: shown.String(), Base: path.Base(u.Path), Size: -1}
	s.open = func(ctx context.Context) (io.ReadCloser, error) {
		body, _, err := fetch(ctx, fetcher, u)
		return body, err
	}
	// A presigned URL is good for GET alone, so the first bytes are asked for and left.
	body, header, err := fetch(ctx, fetcher, u)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.Name, err)
	}
	defer body.Close()
	s.Size = body.size
	s.Modified, _ = http.ParseTime(header.Get("Last-Modified")) // zero when it is not told
	return s, nil
}

func fetch(ctx context.Context, fetcher Fetcher, u *url.URL) (*webBody, http.Header, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		cancel(nil)
		return nil, nil, errors.New("it is not a valid URL")
	}
	response, err := fetcher.Do(req)
	if err != nil {
		cancel(nil)
		var inURL *url.Error
		if errors.As(err, &inURL) {
			err = inURL.Err // the URL may hold a signature
		}
		return nil, nil, err
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		cancel(nil)
		return nil, nil, fmt.Errorf("the server answers %s", response.Status)
	}
	b := &webBody{body: response.Body, size: response.ContentLength, ctx: ctx, cancel: cancel}
	b.stall = time.AfterFunc(webStall, func() {
		cancel(fmt.Errorf("no byte came for %s", webStall))
	})
	b.stall.Stop() // until somebody waits for a byte
	return b, response.Header, nil
}

// webBody ends when nothing comes for webStall.
type webBody struct {
	body   io.ReadCloser
	size   int64
	ctx    context.Context
	cancel context.CancelCauseFunc
	stall  *time.Timer
}

func (b *webBody) Read(p []byte) (int, error) {
	b.stall.Reset(webStall)
	n, err := b.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		if cause := context.Cause(b.ctx); cause != nil {
			err = cause
		}
	}
	// Only waiting counts, not what is done with the bytes meanwhile.
	b.stall.Stop()
	return n, err
}

func (b *webBody) Close() error {
	b.stall.Stop()
	b.cancel(nil)
	return b.body.Close()
}
