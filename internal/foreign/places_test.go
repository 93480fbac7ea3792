package foreign

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestAFileOnAWebServerIsReadAsItComes(t *testing.T) {
	t.Parallel()
	changed := time.Date(2024, 2, 29, 1, 2, 3, 0, time.UTC)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/app.sql":
			if r.Method != http.MethodGet || r.URL.Query().Get("X-Amz-Signature") != "secret" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			http.ServeContent(w, r, "", changed, strings.NewReader("SELECT 1;"))
		case "/cut":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "SELECT 1;")
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	places := Places{HTTP: server.Client()}
	s, err := places.Find(t.Context(), server.URL+"/app.sql?X-Amz-Signature=secret")
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != server.URL+"/app.sql" || s.Base != "app.sql" || s.Size != 9 || !s.Modified.Equal(changed) {
		t.Errorf("%+v", s)
	}
	for range 2 { // as often as needed
		if sum, n, err := Digest(t.Context(), s); err != nil || n != 9 || len(sum) != 64 {
			t.Errorf("%s, %d, %v", sum, n, err)
		}
	}
	if cut, err := places.Find(t.Context(), server.URL+"/cut"); err != nil {
		t.Error(err)
	} else if _, _, err := Digest(t.Context(), cut); err == nil {
		t.Error("a broken transfer is a whole file")
	}
	if _, err := places.Find(t.Context(), server.URL+"/missing?X-Amz-Signature=secret"); !strings.Contains(errText(err), "404") || strings.Contains(errText(err), "secret") {
		t.Error(err)
	}
	if _, err := places.Find(t.Context(), "http://example.org/app.sql"); !strings.Contains(errText(err), "https://") {
		t.Error(err)
	}
	if _, err := places.Find(t.Context(), "ftp://user:secret@example.org/app.sql"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

func TestAWebServerThatLeadsToAnOpenLineIsNotFollowed(t *testing.T) {
	t.Parallel()
	followed := false
	open := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed = true }))
	defer open.Close()
	server := httptest.NewTLSServer(http.RedirectHandler(open.URL, http.StatusFound))
	defer server.Close()
	client := server.Client()
	client.CheckRedirect = checkRedirect
	if _, err := (Places{HTTP: client}).Find(t.Context(), server.URL); !strings.Contains(errText(err), "open line") || followed {
		t.Errorf("%v, followed: %v", err, followed)
	}
}

func TestObjectsOfABucketAreFoundByKeyAndByPrefix(t *testing.T) {
	t.Parallel()
	srv := testenv.S3(t)
	places := Places{Store: func(ctx context.Context, at job.RepositoryURL) (objstore.Store, error) {
		at.Endpoint, at.PathStyle, at.Region = srv.Endpoint, true, srv.Region
		cfg := aws.Config{Region: srv.Region, Credentials: credentials.NewStaticCredentialsProvider(srv.AccessKey, srv.SecretKey, "")}
		return location.Open(ctx, at, location.OpenOptions{AWS: &cfg})
	}}
	store, err := places.Store(t.Context(), job.RepositoryURL{Bucket: srv.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"old/app 2024-01-02.sql", "old/b.sql", "other/c.sql"} {
		if _, err := store.Put(t.Context(), key, []byte("SELECT 1; -- "+key), objstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	one, err := places.Find(t.Context(), "s3://"+srv.Bucket+"/old/app 2024-01-02.sql")
	if err != nil || one.Base != "app 2024-01-02.sql" || one.Size == 0 || one.Modified.IsZero() {
		t.Fatalf("%+v, %v", one, err)
	}
	if f, err := Examine(t.Context(), Options{Source: one}); err != nil || f.Format != SQL {
		t.Errorf("%+v, %v", f, err)
	}
	if all, err := places.FindAll(t.Context(), "s3://"+srv.Bucket+"/old/"); err != nil || len(all) != 2 || all[1].Base != "b.sql" {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := places.Find(t.Context(), "s3://"+srv.Bucket+"/none"); !strings.Contains(errText(err), "/none") {
		t.Error(err)
	}
	if _, err := places.FindAll(t.Context(), "s3://"+srv.Bucket+"/none/"); !strings.Contains(errText(err), "no objects") {
		t.Error(err)
	}
}

func TestAFolderIsItsFilesUnlessItIsADump(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"b.sql", "a.sql", ".hidden", "dump/toc.dat", "other/x.sql"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := Places{}.FindAll(t.Context(), dir)
	if err != nil || len(found) != 3 || found[0].Base != "a.sql" || found[2].Directory == "" {
		t.Errorf("%v, %v", found, err)
	}
	if found, err = (Places{}).FindAll(t.Context(), filepath.Join(dir, "dump")); err != nil || len(found) != 1 || found[0].Directory == "" {
		t.Errorf("%v, %v", found, err)
	}
	for _, bad := range []string{dir, "/dev/null", filepath.Join(dir, "missing"), "file://host/x", "s3://bucket/key"} {
		if _, err := (Places{}).Find(t.Context(), bad); err == nil {
			t.Errorf("%s is a file", bad)
		}
	}
}

func TestTheDateIsThatOfTheDumpItsNameOrItsFile(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"app-2024-02-29.sql.gz": "2024-02-29T00:00:00Z", "app_20240229_023001.dump": "2024-02-29T02:30:01Z", "2024-02-29T02-30.sql": "2024-02-29T02:30:00Z",
		"20240229T023001Z.dump": "2024-02-29T02:30:01Z", "app-2024-02-30.sql": "", "app-1234567890.sql": "", "app.sql": "", "backup_2024-02-29-0230.sql": "2024-02-29T02:30:00Z",
	} {
		got := ""
		if at := dateInName(name); !at.IsZero() {
			got = at.Format(time.RFC3339)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for text, want := range map[string]string{
		"2024-02-29 02:30:00 UTC": "2024-02-29T02:30:00Z", "2024-02-29 02:30:00 +02": "2024-02-29T00:30:00Z", "2024-02-29 02:30:00 CET": "2024-02-29T02:30:00Z", "yesterday": "",
	} {
		at, from := parseStarted(text)
		if got := at.Format(time.RFC3339); want != "" && got != want || (want == "") != at.IsZero() {
			t.Errorf("%s: %s", text, got)
		}
		if strings.Contains(text, "CET") != strings.Contains(from, "CET") {
			t.Errorf("%s: %s", text, from)
		}
	}
	source := file(t, "app-2024-02-29.sql", "SELECT 1;")
	if err := os.Chtimes(source.Local, time.Now(), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	source = find(t, source.Local)
	if at, from := (&Facts{}).Date(source); at.Year() != 2024 || !strings.Contains(from, "name") {
		t.Errorf("%s by %s", at, from)
	}
	source.Base = "app.sql"
	if at, from := (&Facts{}).Date(source); at.Year() != 2020 || !strings.Contains(from, "last changed") {
		t.Errorf("%s by %s", at, from)
	}
}
