package testenv

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// S3WithoutTags is S3 that refuses tags as services do that have none: in the
// words of Cloudflare R2, https://developers.cloudflare.com/r2/api/s3/api/.
func S3WithoutTags(t testing.TB, opts ...S3Option) *S3Server {
	t.Helper()
	s := S3(t, opts...)
	objects := forward(t, s.Endpoint)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := r.Header.Get("X-Amz-Tagging")
		if header == "" && !r.URL.Query().Has("tagging") {
			objects.ServeHTTP(w, r)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		message := "GetObjectTagging not implemented"
		if header != "" {
			message = "Header 'x-amz-tagging' not implemented"
		}
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusNotImplemented)
		fmt.Fprintf(w, "<Error><Code>NotImplemented</Code><Message>%s</Message></Error>", message)
	}))
	t.Cleanup(front.Close)
	s.Endpoint = front.URL
	return s
}
