package bucket

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// recorder keeps a lifecycle document as the bytes it was sent, as S3 does in
// effect and moto does not, and checks what S3 checks of a request. It stands
// behind testenv.S3Front; objects are versitygw's.
type recorder struct {
	t  *testing.T
	mu sync.Mutex

	raw      []byte // "" = NoSuchLifecycleConfiguration
	minimum  string // the header
	requests []string
	answer   func(method string, w http.ResponseWriter) bool // instead of the usual; under mu
	afterPut func()                                          // under mu
}

// mixed finds a rule of S3's older form as these tests write them.
var mixed = regexp.MustCompile(`</ID><Prefix>`)

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		r.t.Errorf("the body broke off: %v", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, req.Method)
	r.check(req, body)
	if r.answer != nil && r.answer(req.Method, w) {
		return
	}
	const header = "x-amz-transition-default-minimum-object-size"
	switch req.Method {
	case http.MethodGet:
		if r.raw == nil {
			fail(w, http.StatusNotFound, "NoSuchLifecycleConfiguration")
			return
		}
		w.Header().Set(header, r.minimum)
		_, _ = w.Write(r.raw)
	case http.MethodPut:
		if mixed.Match(body) && bytes.Contains(body, []byte("<Filter")) {
			fail(w, http.StatusBadRequest, "InvalidRequest") // "Filter element can only be used in Lifecycle V2."
			return
		}
		r.raw, r.minimum = body, req.Header.Get(header)
		if r.minimum == "" {
			r.minimum = "all_storage_classes_128K"
		}
		if r.afterPut != nil {
			r.afterPut()
		}
	case http.MethodDelete:
		r.raw, r.minimum = nil, ""
		w.WriteHeader(http.StatusNoContent)
	}
}

func (r *recorder) check(req *http.Request, body []byte) {
	if !strings.HasPrefix(req.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
		r.t.Errorf("%s is not signed", req.Method)
	}
	if req.Method != http.MethodPut {
		return
	}
	sum, digest := md5.Sum(body), sha256.Sum256(body)
	if got := req.Header.Get("Content-MD5"); got != base64.StdEncoding.EncodeToString(sum[:]) {
		r.t.Errorf("Content-MD5 %q", got)
	}
	if got := req.Header.Get("x-amz-content-sha256"); got != hex.EncodeToString(digest[:]) {
		r.t.Errorf("x-amz-content-sha256 %q", got)
	}
	for _, signed := range []string{"content-md5", "x-amz-content-sha256"} {
		if !strings.Contains(req.Header.Get("Authorization"), signed) {
			r.t.Errorf("%s is not signed", signed)
		}
	}
}

func fail(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	_, _ = w.Write([]byte("<Error><Code>" + code + "</Code><Message>no</Message></Error>"))
}

// count of the requests of a method so far.
func (r *recorder) count(method string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(r.requests), func(m string) bool { return m != method }))
}

func (r *recorder) document() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return string(r.raw)
}

// recorded is a bucket whose lifecycle document a recorder keeps.
func recorded(t *testing.T, raw string) (*Bucket, *recorder) {
	t.Helper()
	r := &recorder{t: t}
	if raw != "" {
		r.raw, r.minimum = []byte(raw), "varies_by_storage_class"
	}
	return open(testenv.S3Front(t, r)), r
}

func open(s *testenv.S3Server) *Bucket {
	cfg := aws.Config{Region: s.Region, Credentials: credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, "")}
	return Open(cfg, s.Bucket, Options{Endpoint: s.Endpoint, Settle: time.Second})
}
