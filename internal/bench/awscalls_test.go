//go:build bench

package bench

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// callCounter stands in front of an emulator of AWS and counts what is asked.
type callCounter struct {
	URL string

	mu    sync.Mutex
	calls map[string]int // by service and operation, such as "iam GetRole"
}

func newCallCounter(t *testing.T, endpoint string) *callCounter {
	t.Helper()
	to, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	c := &callCounter{calls: map[string]int{}}
	// As many idle connections as the CLI has workers: what is measured is not how
	// fast connections open.
	proxy := &httputil.ReverseProxy{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := callName(r)
		c.mu.Lock()
		c.calls[name]++
		c.mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// taken gives what was counted since the last time.
func (c *callCounter) taken() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := c.calls
	c.calls = map[string]int{}
	return calls
}

var signedFor = regexp.MustCompile(`Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request`)

// callName is the service a call is signed for and its operation. The protocols
// with JSON name it in a header, those of forms in the body, the others by method
// and path, without what is particular to one thing.
func callName(r *http.Request) string {
	service := "unsigned"
	if m := signedFor.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		service = m[1]
	}
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		return service + " " + target[strings.LastIndex(target, ".")+1:]
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		body, err := io.ReadAll(r.Body)
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
		if form, err := url.ParseQuery(string(body)); err == nil && form.Has("Action") {
			return service + " " + form.Get("Action")
		}
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	for key := range r.URL.Query() {
		if service == "s3" && key != "x-id" && key != "prefix" && key != "continuation-token" && key != "encoding-type" && key != "max-keys" {
			parts = append(parts, "?"+key)
		}
	}
	if service == "s3" && len(parts) > 2 { // bucket, prefix of the repository, folder
		parts = parts[2:3]
	} else {
		parts = parts[:1]
	}
	return strings.Join(append([]string{service, r.Method}, parts...), " ")
}

// failing ends a body with the error that reading it gave.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

// total of all calls.
func total(calls map[string]int) (n int) {
	for _, k := range calls {
		n += k
	}
	return n
}

// listed is calls as text, the most frequent first.
func listed(calls map[string]int) string {
	names := slices.SortedFunc(maps.Keys(calls), func(a, b string) int {
		if calls[a] != calls[b] {
			return calls[b] - calls[a]
		}
		return strings.Compare(a, b)
	})
	var out strings.Builder
	for _, name := range names {
		fmt.Fprintf(&out, "%6d %s\n", calls[name], name)
	}
	return out.String()
}
