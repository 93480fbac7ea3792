package observe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Bounds of a message on its way. What a receiver does, or somebody in its place,
// must not hold up or fill up a run; the caller's context bounds all of it together.
const (
	attemptTimeout = 10 * time.Second
	connectTimeout = 5 * time.Second
	attempts       = 4
	firstWait      = 500 * time.Millisecond
	longestWait    = 5 * time.Second
	maxRedirects   = 3
	maxHeader      = 64 << 10 // bytes of the headers of an answer
	maxAnswer      = 512      // bytes that are read of what an answer says
)

// errRedirect: an answer leads to a place that the message is not for.
var errRedirect = errors.New("it leads elsewhere")

// newClient makes a client for one message.
func newClient() *retryablehttp.Client {
	return &retryablehttp.Client{
		HTTPClient: &http.Client{
			Timeout: attemptTimeout,
			Transport: &http.Transport{
				Proxy:                  http.ProxyFromEnvironment,
				DialContext:            (&net.Dialer{Timeout: connectTimeout}).DialContext,
				TLSHandshakeTimeout:    connectTimeout,
				MaxResponseHeaderBytes: maxHeader,
				DisableCompression:     true,
				DisableKeepAlives:      true,
				ForceAttemptHTTP2:      true,
			},
			CheckRedirect: checkRedirect,
		},
		Logger:       nil, // it would log the URL
		RetryMax:     attempts - 1,
		RetryWaitMin: firstWait,
		RetryWaitMax: longestWait,
		CheckRetry: func(ctx context.Context, response *http.Response, err error) (bool, error) {
			if errors.Is(err, errRedirect) {
				return false, nil
			}
			return retryablehttp.DefaultRetryPolicy(ctx, response, err)
		},
		// Retry-After is the receiver's word, and may be an hour.
		Backoff: func(first, longest time.Duration, attempt int, response *http.Response) time.Duration {
			return min(longest, retryablehttp.DefaultBackoff(first, longest, attempt, response))
		},
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
}

// checkRedirect follows only to the same server, never back to an open line, and
// not where the body would be left behind.
func checkRedirect(next *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("%w: more than %d redirects", errRedirect, maxRedirects)
	case next.Method != first.Method:
		return fmt.Errorf("%w: a redirect that drops the message; give the URL it leads to", errRedirect)
	case first.URL.Scheme == "https" && next.URL.Scheme != "https":
		return fmt.Errorf("%w: a redirect from https to an open line", errRedirect)
	case !sameServer(first.URL, next.URL):
		return fmt.Errorf("%w: a redirect to another server; give the URL it leads to", errRedirect)
	}
	return nil
}

// sameServer also takes the step from http to https of a server with the usual
// ports for one server.
func sameServer(a, b *url.URL) bool {
	if a.Scheme == "http" && b.Scheme == "https" && a.Port() == "" && b.Port() == "" {
		return strings.EqualFold(a.Hostname(), b.Hostname())
	}
	return a.Scheme == b.Scheme && strings.EqualFold(a.Host, b.Host)
}

// explain words an error of a message that got no answer. The errors of net/http
// repeat the URL, so only what is inside them is told.
func explain(ctx context.Context, err error, at *url.URL) error {
	if whole := (*url.Error)(nil); errors.As(err, &whole) {
		err = whole.Err
	}
	timeout := net.Error(nil)
	dns, op := (*net.DNSError)(nil), (*net.OpError)(nil)
	switch {
	case errors.Is(err, errRedirect):
		return err
	case errors.Is(ctx.Err(), context.Canceled):
		return errors.New("stopped before it answered")
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("it did not answer in time")
	case errors.As(err, &dns):
		return errors.New("the name of its server is not known to DNS")
	case errors.As(err, &op):
		return errors.New("it cannot be reached: " + scrub(op.Err.Error(), at))
	}
	return errors.New("it cannot be reached: " + scrub(err.Error(), at))
}

// word is an answer such as Slack gives: invalid_payload, no_service.
var word = regexp.MustCompile(`^[a-z_]{1,40}$`)

// refused words an answer that is no success. Of what it says, only a plain word
// is repeated: the rest may be anything, our own URL among it.
func refused(response *http.Response, at *url.URL) error {
	said := fmt.Sprintf("it answered %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if text := strings.TrimSpace(string(body)); err == nil && word.MatchString(text) && !strings.Contains(at.String(), text) {
		said += ": " + text
	}
	return errors.New(strings.TrimSpace(said))
}

// hidden stands for what was taken out of a text.
const hidden = "[…]"

// scrub takes out of a text all that only those may know who know the URL.
func scrub(text string, at *url.URL) string {
	secrets := []string{at.String(), at.RequestURI(), at.Path, at.EscapedPath(), at.RawQuery, at.Host}
	secrets = append(secrets, strings.Split(at.Path, "/")...)
	for _, values := range at.Query() {
		secrets = append(secrets, values...)
	}
	if at.User != nil {
		password, _ := at.User.Password()
		secrets = append(secrets, at.User.String(), at.User.Username(), password)
	}
	// The longest first: a part of one may be all of another.
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	for _, s := range secrets {
		if len(s) > 3 {
			text = strings.ReplaceAll(text, s, hidden)
		}
	}
	return text
}
