package testenv

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Archive makes a server's objects look as if they lay in an archive class: they are
// described as such, not read, and brought back on request, as S3 documents it.
// versitygw has one class, and moto no Object Lock beside it.
//
// Source: Amazon S3 API Reference, RestoreObject, HeadObject and GetObject.
type Archive struct {
	mu     sync.Mutex
	frozen []frozen
	copies map[string]*thawing // by path and version
	asked  []AskedBack
	looks  int
	refuse string
}

type frozen struct{ part, class string }

type thawing struct {
	looks int // descriptions until the copy is there
	until time.Time
}

// AskedBack is one request for a copy that the server took.
type AskedBack struct {
	Path, Version, Tier string
	Days                int
}

// S3WithArchive is S3 behind an Archive in which nothing lies yet.
func S3WithArchive(t testing.TB, opts ...S3Option) (*S3Server, *Archive) {
	t.Helper()
	a := &Archive{copies: map[string]*thawing{}}
	return S3Behind(t, a.front, opts...), a
}

// Freeze moves the objects whose path has a part in it into a class.
func (a *Archive) Freeze(part, class string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.frozen = append(a.frozen, frozen{part, class})
}

// Looks sets how often a copy that was asked for is described as on its way.
func (a *Archive) Looks(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.looks = n
}

// Refuse answers requests for copies with an error of this code; "" takes them.
func (a *Archive) Refuse(code string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refuse = code
}

// Asked lists the requests for copies that were taken.
func (a *Archive) Asked() []AskedBack {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]AskedBack(nil), a.asked...)
}

func (a *Archive) front(objects http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		version := query.Get("versionId")
		query.Del("versionId")
		switch {
		case r.Method == http.MethodPost && query.Has("restore"):
			a.restore(w, r, version)
			return
		case r.Method == http.MethodHead:
			w = a.describe(w, r.URL.Path, version)
		case r.Method == http.MethodGet && (len(query) == 0 || query.Has("x-id")) && !a.readable(r.URL.Path, version):
			a.fail(w, http.StatusForbidden, "InvalidObjectState", "<StorageClass>"+a.class(r.URL.Path)+"</StorageClass>")
			return
		}
		objects.ServeHTTP(w, r)
	})
}

func (a *Archive) fail(w http.ResponseWriter, status int, code, more string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>as S3 says it</Message>%s</Error>", code, more)
}

// class is the one a path lies in; "" is the usual one.
func (a *Archive) class(path string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, f := range a.frozen {
		if strings.Contains(path, f.part) {
			return f.class
		}
	}
	return ""
}

func (a *Archive) readable(path, version string) bool {
	class := a.class(path)
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.copies[path+" "+version]
	return class == "" || class == "GLACIER_IR" || c != nil && c.looks <= 0 && time.Now().Before(c.until)
}

// describe adds to the answer what S3 says of an archived object.
func (a *Archive) describe(w http.ResponseWriter, path, version string) http.ResponseWriter {
	class := a.class(path)
	if class == "" {
		return w
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	more := map[string]string{"x-amz-storage-class": class}
	if c := a.copies[path+" "+version]; c != nil {
		if c.looks > 0 {
			more["x-amz-restore"] = `ongoing-request="true"`
		} else {
			more["x-amz-restore"] = `ongoing-request="false", expiry-date="` + c.until.UTC().Format(http.TimeFormat) + `"`
		}
		c.looks--
	}
	return &adding{ResponseWriter: w, headers: more}
}

func (a *Archive) restore(w http.ResponseWriter, r *http.Request, version string) {
	var request struct {
		Days                 int
		GlacierJobParameters struct{ Tier string }
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = xml.Unmarshal(body, &request)
	}
	class := a.class(r.URL.Path)
	a.mu.Lock()
	defer a.mu.Unlock()
	at := r.URL.Path + " " + version
	switch c := a.copies[at]; {
	case err != nil || request.Days < 1:
		a.fail(w, http.StatusBadRequest, "MalformedXML", "")
	case a.refuse == "GlacierExpeditedRetrievalNotAvailable":
		a.fail(w, http.StatusServiceUnavailable, a.refuse, "")
	case a.refuse != "":
		a.fail(w, http.StatusForbidden, a.refuse, "")
	case class == "":
		a.fail(w, http.StatusForbidden, "InvalidObjectState", "<StorageClass>STANDARD</StorageClass>")
	case c != nil && c.looks > 0:
		a.fail(w, http.StatusConflict, "RestoreAlreadyInProgress", "")
	default:
		a.asked = append(a.asked, AskedBack{r.URL.Path, version, request.GlacierJobParameters.Tier, request.Days})
		until := time.Now().AddDate(0, 0, request.Days)
		if c != nil {
			c.until = until
			return // 200 for a copy that is there
		}
		a.copies[at] = &thawing{looks: a.looks, until: until}
		w.WriteHeader(http.StatusAccepted)
	}
}

// adding puts headers into an answer in the place of its own.
type adding struct {
	http.ResponseWriter
	headers map[string]string
}

func (w *adding) WriteHeader(status int) {
	if status == http.StatusOK {
		for name, value := range w.headers {
			w.Header().Set(name, value)
		}
	}
	w.ResponseWriter.WriteHeader(status)
}
