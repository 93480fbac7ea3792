package files_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"golang.org/x/sys/unix"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/files"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// The test binary run again with these variables is a process that takes one
// backup, to be killed.
const (
	runRepo = "FILES_TEST_REPO"
	runTree = "FILES_TEST_TREE"
)

func TestMain(m *testing.M) {
	if os.Getenv(runRepo) == "" {
		os.Exit(m.Run())
	}
	store, err := dir.Open(os.Getenv(runRepo))
	if err == nil {
		var r *repo.Repository
		if r, err = repo.Open(context.Background(), store, repo.OpenOptions{}); err == nil {
			_, err = files.Run(context.Background(), options(r, os.Getenv(runTree)))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("committed")
	os.Exit(0)
}

func options(r *repo.Repository, paths ...string) files.Options {
	return files.Options{Options: point.Options{Repo: r, Source: "app", Self: repo.Self()}, Selection: job.Files{Paths: paths}}
}

func create(t *testing.T, store objstore.Store) *repo.Repository {
	t.Helper()
	r, err := repo.Create(t.Context(), store, repo.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func inDir(t *testing.T) (*repo.Repository, objstore.Store) {
	t.Helper()
	store, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return create(t, store), store
}

func write(t *testing.T, name, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func take(t *testing.T, o files.Options) point.Result {
	t.Helper()
	result, err := files.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// entries reads the stored tar back.
func entries(t *testing.T, r *repo.Repository, ref repo.Ref) (map[string]*tar.Header, map[string]string) {
	t.Helper()
	headers, data := map[string]*tar.Header{}, map[string]string{}
	archive := tar.NewReader(bytes.NewReader(stored(t, r, ref)))
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return headers, data
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		headers[h.Name], data[h.Name] = h, string(b)
	}
}

func stored(t *testing.T, r *repo.Repository, ref repo.Ref) []byte {
	t.Helper()
	p, err := r.OpenPoint(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	body, err := p.Open(t.Context(), "archive")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestATreeIsStoredWithAllThatMakesItsFiles(t *testing.T) {
	t.Parallel()
	r, _ := inDir(t)
	tree := t.TempDir()
	write(t, tree+"/a", "alpha")
	write(t, tree+"/sub/ünï", "beta")
	for _, err := range []error{
		os.Link(tree+"/a", tree+"/b"), os.Symlink("/etc", tree+"/out"), unix.Chmod(tree+"/sub", 0o2750), unix.Chmod(tree+"/a", 0o4711),
		unix.Setxattr(tree+"/a", "user.note", []byte("x\x00y"), 0), syscall.Mkfifo(tree+"/pipe", 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	socket, err := net.Listen("unix", tree+"/socket")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	result := take(t, options(r, tree))
	root := strings.TrimPrefix(tree, "/")
	h, data := entries(t, r, result.Manifest.Ref())
	switch {
	case data[root+"/a"] != "alpha" || data[root+"/sub/ünï"] != "beta":
		t.Errorf("contents: %q", data)
	case h[root+"/b"].Typeflag != tar.TypeLink || h[root+"/b"].Linkname != root+"/a":
		t.Errorf("hard link: %+v", h[root+"/b"])
	case h[root+"/out"].Typeflag != tar.TypeSymlink || h[root+"/out"].Linkname != "/etc":
		t.Errorf("symbolic link: %+v", h[root+"/out"])
	case h[root+"/a"].Mode != 0o4711 || h[root+"/sub/"].Mode != 0o2750:
		t.Errorf("modes %o %o", h[root+"/a"].Mode, h[root+"/sub/"].Mode)
	case h[root+"/a"].PAXRecords["SCHILY.xattr.user.note"] != "x\x00y":
		t.Errorf("attributes %q", h[root+"/a"].PAXRecords)
	case h[root+"/pipe"] != nil || h[root+"/socket"] != nil || len(h) != 7-1:
		t.Errorf("%d entries", len(h))
	}
	if len(result.Warnings) != 0 || len(result.Manifest.Skipped) != 2 {
		t.Errorf("warnings %q, skipped %q", result.Warnings, result.Manifest.Skipped)
	}
	if again := take(t, options(r, tree)); !bytes.Equal(stored(t, r, result.Manifest.Ref()), stored(t, r, again.Manifest.Ref())) {
		t.Error("two backups of the same tree differ")
	}
}

func TestARootThatIsASymbolicLinkIsRefused(t *testing.T) {
	t.Parallel()
	r, _ := inDir(t)
	link := t.TempDir() + "/link"
	if err := os.Symlink("/etc", link); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Run(t.Context(), options(r, link)); err == nil || !strings.Contains(err.Error(), "give the path it leads to") {
		t.Error(err)
	}
}

func TestTheRepositoryDoesNotBackUpItself(t *testing.T) {
	t.Parallel()
	tree := t.TempDir()
	write(t, tree+"/a", "alpha")
	if err := os.Mkdir(tree+"/backups", 0o700); err != nil {
		t.Fatal(err)
	}
	store, err := dir.Open(tree + "/backups")
	if err != nil {
		t.Fatal(err)
	}
	o := options(create(t, store), tree)
	o.Omit = tree + "/backups"
	if m := take(t, o).Manifest; m.Totals.Files != 1 || len(m.Skipped) != 1 {
		t.Errorf("%+v %q", m.Totals, m.Skipped)
	}
}

// noise makes a file that does not compress.
func noise(t *testing.T, name string, size int64) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.CopyN(f, rand.Reader, size); err != nil {
		t.Fatal(err)
	}
}

// During the backup, which the store's speed holds up, one file is cut, one grows
// and one vanishes.
func TestWhatChangesMeanwhileIsStoredNamedAndWarnedOf(t *testing.T) {
	t.Parallel()
	store, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := create(t, objstore.RateLimit(store, 24<<20))
	tree := t.TempDir()
	noise(t, tree+"/cut", 200<<20)
	write(t, tree+"/gone", "soon")
	o := options(r, tree)
	o.Progress = &point.Progress{}
	done := make(chan error, 1)
	go func() {
		for o.Progress.Plain.Load() < 8<<20 {
			time.Sleep(time.Millisecond)
		}
		done <- errors.Join(os.Truncate(tree+"/cut", 9<<20), os.Remove(tree+"/gone"))
	}()
	result := take(t, o)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if w := strings.Join(result.Warnings, "\n"); !strings.Contains(w, "changed while being read") || !strings.Contains(w, "cut") || !strings.Contains(w, "vanished") || !strings.Contains(w, "gone") {
		t.Errorf("warnings %q", w)
	}
	if !slices.ContainsFunc(result.Manifest.Skipped, func(s repo.Skipped) bool {
		return s.What == tree+"/cut" && strings.Contains(s.Why, "bytes are zeros")
	}) {
		t.Errorf("skipped %q", result.Manifest.Skipped)
	}
	if h, _ := entries(t, r, result.Manifest.Ref()); h[strings.TrimPrefix(tree, "/")+"/cut"].Size != 200<<20 {
		t.Error("the size in the tar is not the announced one")
	}
}

func TestAKilledBackupLeavesNothingThatTheNextDoesNotClear(t *testing.T) {
	t.Parallel()
	place, tree := t.TempDir(), t.TempDir()
	store, err := dir.Open(place)
	if err != nil {
		t.Fatal(err)
	}
	r := create(t, store)
	for i := range 3 {
		noise(t, fmt.Sprintf("%s/%d", tree, i), 40<<20)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	committed := 0
	for i := range 6 {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), runRepo+"="+place, runTree+"="+tree)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(time.Duration(i)*150*time.Millisecond, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // it was killed, or not
		kill.Stop()
		if strings.Contains(out.String(), "committed") {
			committed++
		}
	}
	take(t, options(r, tree))
	points, err := r.List(t.Context(), repo.Filter{})
	if err != nil || len(points) != committed+1 && len(points) != committed+2 { // killed between commit and its word
		t.Fatalf("%d points, %d said that they committed: %v", len(points), committed, err)
	}
	listed := map[string]bool{}
	for _, p := range points {
		listed[p.DataPrefix()] = true
		stored(t, r, p.Ref)
	}
	for info, err := range store.List(t.Context(), "points/") {
		if err != nil {
			t.Fatal(err)
		}
		if !listed[info.Key[:strings.LastIndex(info.Key, "/")+1]] {
			t.Errorf("left behind: %s", info.Key)
		}
	}
}

func TestFilesAreStoredInABucket(t *testing.T) {
	t.Parallel()
	server := testenv.S3(t)
	store, err := s3.Open(t.Context(), s3.Config{Bucket: server.Bucket, Endpoint: server.Endpoint,
		AWSConfig: &aws.Config{Region: server.Region, Credentials: credentials.NewStaticCredentialsProvider(server.AccessKey, server.SecretKey, "")}})
	if err != nil {
		t.Fatal(err)
	}
	r := create(t, store)
	tree := t.TempDir()
	noise(t, tree+"/big", 20<<20)
	write(t, tree+"/small", "x")
	o := options(r, tree)
	o.Verify = "stored"
	m := take(t, o).Manifest
	if m.Totals.Files != 2 || m.Verification.StoreChecksum == "" {
		t.Errorf("%+v %+v", m.Totals, m.Verification)
	}
	if _, data := entries(t, r, m.Ref()); data[strings.TrimPrefix(tree, "/")+"/small"] != "x" {
		t.Error("it reads otherwise")
	}
}

func TestACancelledBackupLeavesNothing(t *testing.T) {
	t.Parallel()
	place, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := create(t, objstore.RateLimit(place, 4<<20))
	tree := t.TempDir()
	noise(t, tree+"/big", 60<<20)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("a test ends it")
	o := options(r, tree)
	o.Progress = &point.Progress{}
	go func() {
		for o.Progress.Plain.Load() < 4<<20 {
			time.Sleep(time.Millisecond)
		}
		cancel(why)
	}()
	if _, err := files.Run(ctx, o); !errors.Is(err, why) {
		t.Error(err)
	}
	for info, err := range place.List(t.Context(), "points/") {
		t.Error(info.Key, err)
	}
	if n, err := place.PendingUploads(t.Context(), ""); n != 0 || err != nil {
		t.Error(n, err)
	}
}
