package testenv

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// FaultyProxy is a TCP proxy whose link can be made slow, silent or broken while
// it is in use. A fault stays until Restore. Setting one waits for the data that
// is on its way: do it while the client reads, or before it connects.
type FaultyProxy struct {
	t     testing.TB
	proxy *toxiproxy.Proxy
}

var quiet sync.Once

// Faulty starts a TCP proxy in front of upstream (host:port). It is stopped when
// the test ends.
func Faulty(t testing.TB, upstream string) *FaultyProxy {
	t.Helper()
	quiet.Do(func() { zerolog.SetGlobalLevel(zerolog.Disabled) }) // toxics log past the logger they are given
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := toxiproxy.NewProxy(server, t.Name(), "127.0.0.1:0", upstream)
	if err := p.Start(); err != nil {
		t.Fatalf("start a fault proxy in front of %s: %v", upstream, err)
	}
	f := &FaultyProxy{t: t, proxy: p}
	t.Cleanup(func() {
		f.Restore() // a stopped proxy whose link still sleeps would leak it
		p.Stop()
	})
	return f
}

// Addr is the proxy's host:port.
func (f *FaultyProxy) Addr() string { return f.proxy.Listen }

// Latency delays every answer of the upstream.
func (f *FaultyProxy) Latency(d time.Duration) {
	f.add("latency", "downstream", map[string]any{"latency": d.Milliseconds()})
}

// Bandwidth limits both directions to kilobytes per second.
func (f *FaultyProxy) Bandwidth(kbPerSecond int64) {
	f.add("bandwidth", "downstream", map[string]any{"rate": kbPerSecond})
	f.add("bandwidth", "upstream", map[string]any{"rate": kbPerSecond})
}

// Reset breaks connections with a TCP reset as soon as data flows, in either
// direction.
func (f *FaultyProxy) Reset() {
	f.add("reset_peer", "downstream", map[string]any{"timeout": 0})
	f.add("reset_peer", "upstream", map[string]any{"timeout": 0})
}

// CutAnswersAfter closes each connection once the upstream has answered n bytes
// on it.
func (f *FaultyProxy) CutAnswersAfter(n int64) {
	f.add("limit_data", "downstream", map[string]any{"bytes": n})
}

// CutRequestsAfter closes each connection once the client has sent n bytes on it.
func (f *FaultyProxy) CutRequestsAfter(n int64) {
	f.add("limit_data", "upstream", map[string]any{"bytes": n})
}

// StallAnswers swallows everything the upstream says; connections stay open.
func (f *FaultyProxy) StallAnswers() {
	f.add("timeout", "downstream", map[string]any{"timeout": 0})
}

// StallRequests swallows everything the client sends; connections stay open.
func (f *FaultyProxy) StallRequests() {
	f.add("timeout", "upstream", map[string]any{"timeout": 0})
}

// Cut stops listening and closes every connection.
func (f *FaultyProxy) Cut() { f.proxy.Stop() }

// Restore removes all faults and listens again if it was cut.
func (f *FaultyProxy) Restore() {
	f.t.Helper()
	f.proxy.Toxics.ResetToxics(context.Background())
	if f.proxy.Enabled {
		return
	}
	if err := f.proxy.Start(); err != nil {
		f.t.Errorf("restore the fault proxy: %v", err)
	}
}

func (f *FaultyProxy) add(kind, direction string, attributes map[string]any) {
	f.t.Helper()
	b, err := json.Marshal(map[string]any{"type": kind, "stream": direction, "attributes": attributes})
	if err != nil {
		f.t.Fatalf("fault %s: %v", kind, err)
	}
	if _, err := f.proxy.Toxics.AddToxicJson(bytes.NewReader(b)); err != nil {
		f.t.Fatalf("fault %s: %v", kind, err)
	}
}

// FaultyHTTP starts a reverse proxy in front of upstreamURL that asks decide for
// every request: n counts requests from 1; with intercept it answers status
// itself (an S3-style XML error, the body of the request read first) and the
// upstream never hears of it. decide may also sleep, to be slow. The Host header
// is passed on as it came, because S3 signatures cover it.
func FaultyHTTP(t testing.TB, upstreamURL string, decide func(n int, r *http.Request) (status int, intercept bool)) *httptest.Server {
	t.Helper()
	u, err := url.Parse(upstreamURL)
	if err != nil {
		t.Fatalf("fault proxy in front of %q: %v", upstreamURL, err)
	}
	transport := &http.Transport{DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, DisableCompression: true}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = u.Scheme, u.Host
			r.Out.Host = r.In.Host
		},
		Transport: transport,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	var count atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, intercept := decide(int(count.Add(1)), r)
		if !intercept {
			proxy.ServeHTTP(w, r)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			_, _ = io.WriteString(w, errorXML(status))
		}
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
		transport.CloseIdleConnections()
	})
	return s
}

// errorXML is the body S3 sends with such a status.
func errorXML(status int) string {
	code := map[int]string{
		http.StatusInternalServerError: "InternalError",
		http.StatusServiceUnavailable:  "SlowDown",
		http.StatusForbidden:           "AccessDenied",
		http.StatusConflict:            "ConditionalRequestConflict",
		http.StatusNotImplemented:      "NotImplemented",
		http.StatusInsufficientStorage: "QuotaExceeded",
	}[status]
	if code == "" {
		code = "InternalError"
	}
	return `<?xml version="1.0" encoding="UTF-8"?><Error><Code>` + code + `</Code><Message>` +
		http.StatusText(status) + `</Message><RequestId>FAULT0001</RequestId></Error>`
}
