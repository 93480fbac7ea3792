package s3_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// AWS answers so to a role that may list only its prefix; the servers of tests
// know no such roles.
func TestAnObjectThatIsNotThereIsToldFromOneThatMayNotBeRead(t *testing.T) {
	t.Parallel()
	srv := testenv.S3Behind(t, func(objects http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			secret := strings.HasSuffix(r.URL.Path, "/secret")
			if r.Method != http.MethodGet && r.Method != http.MethodHead || r.URL.Query().Has("list-type") {
				objects.ServeHTTP(w, r)
				return
			}
			answer := httptest.NewRecorder()
			objects.ServeHTTP(answer, r)
			if answer.Code == http.StatusNotFound || secret {
				w.Header().Set("Content-Type", "application/xml")
				w.WriteHeader(http.StatusForbidden)
				if r.Method == http.MethodGet {
					_, _ = w.Write([]byte("<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"))
				}
				return
			}
			for name, values := range answer.Header() {
				w.Header()[name] = values
			}
			w.WriteHeader(answer.Code)
			_, _ = w.Write(answer.Body.Bytes())
		})
	})
	s := open(t, config(t, srv))
	for _, key := range []string{"locks/app.json.more", "secret"} {
		if _, err := s.Put(t.Context(), key, []byte("x"), objstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for key, want := range map[string]error{"locks/app.json": objstore.ErrNotFound, "secret": objstore.ErrDenied} {
		if _, _, err := s.Get(t.Context(), key, objstore.GetOptions{}); !errors.Is(err, want) {
			t.Errorf("get %s: %v, want %v", key, err, want)
		}
		if _, err := s.Head(t.Context(), key, ""); !errors.Is(err, want) {
			t.Errorf("head %s: %v, want %v", key, err, want)
		}
	}
}
