package testenv

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
)

// S3WithLifecycle is S3 with lifecycle rules: versitygw keeps the objects, and
// since it answers 501 to requests about lifecycle rules, these go to a moto
// server with a bucket of the same name. moto loses size filters,
// NewerNoncurrentVersions and the setting for the smallest object.
func S3WithLifecycle(t testing.TB, opts ...S3Option) *S3Server {
	t.Helper()
	moto := AWS(t)
	return S3Front(t, forward(t, moto.Endpoint), opts...)
}

// S3Front is S3 behind a proxy that gives requests about lifecycle rules to
// another handler.
func S3Front(t testing.TB, lifecycle http.Handler, opts ...S3Option) *S3Server {
	t.Helper()
	return S3Behind(t, func(objects http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("lifecycle") {
				lifecycle.ServeHTTP(w, r)
				return
			}
			objects.ServeHTTP(w, r)
		})
	}, opts...)
}

// S3Behind is S3 behind a proxy that may answer what it likes and hands on the
// rest. Signatures stay good: the proxy changes nothing of a request.
func S3Behind(t testing.TB, front func(objects http.Handler) http.Handler, opts ...S3Option) *S3Server {
	t.Helper()
	s := S3(t, opts...)
	server := httptest.NewServer(front(forward(t, s.Endpoint)))
	t.Cleanup(server.Close)
	s.Endpoint = server.URL
	return s
}

// forward sends requests on as they are, Host included, which is signed.
func forward(t testing.TB, endpoint string) http.Handler {
	t.Helper()
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
		},
	}
}
