package push_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/control"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/push"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/spool"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/waltest"
)

const segments = waltest.Segments

func wal(t *testing.T) map[string][]byte {
	t.Helper()
	files, _ := waltest.Made(t)
	return files
}

// cluster is a data directory with finished segments, and a repository.
type cluster struct {
	t      *testing.T
	system string
	dir    string
	names  []string
	repo   *repo.Repository
	spool  string
	opens  int
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: t.TempDir(), spool: filepath.Join(t.TempDir(), "spool")}
	_, c.system = waltest.Made(t)
	c.fill()
	store, err := dir.Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if c.repo, err = repo.Create(context.Background(), store, repo.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return c
}

// fill writes the files of the server, all of them waiting for the archiver.
func (c *cluster) fill() {
	c.t.Helper()
	c.names = nil
	for name, data := range wal(c.t) {
		c.write(name, data)
		if strings.HasPrefix(name, "pg_wal/") {
			c.names = append(c.names, filepath.Base(name))
			c.write("pg_wal/archive_status/"+filepath.Base(name)+".ready", nil)
		}
	}
	slices.Sort(c.names)
}

func (c *cluster) write(name string, data []byte) {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600)); err != nil {
		c.t.Fatal(err)
	}
}

// done marks a file as the server does that was told of success.
func (c *cluster) done(name string) {
	c.t.Helper()
	status := filepath.Join(c.dir, "pg_wal", "archive_status", name)
	if err := os.Rename(status+".ready", status+".done"); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) options(name string) push.Options {
	return push.Options{
		Path: "pg_wal/" + name, DataDirectory: c.dir, Spool: c.spool, Place: "here db1", Host: "testhost",
		Open:   func(context.Context) (*repo.Repository, error) { c.opens++; return c.repo, nil },
		Source: func(context.Context) (string, error) { return "db1", nil },
	}
}

func (c *cluster) push(name string) push.Result {
	c.t.Helper()
	result, err := push.Run(c.t.Context(), c.options(name))
	if err != nil {
		c.t.Fatal(err)
	}
	return result
}

func (c *cluster) archive() repo.WALArchive {
	return repo.WALArchive{Source: "db1", System: c.system}
}

// stored is what the repository has of a file.
func (c *cluster) stored(name string) []byte {
	c.t.Helper()
	in, err := c.repo.OpenWAL(c.t.Context(), c.archive(), name)
	if err != nil {
		c.t.Fatal(err)
	}
	defer in.Close()
	data, err := io.ReadAll(in)
	if err != nil {
		c.t.Fatal(err)
	}
	return data
}

func TestAnArchivedFileIsInTheRepositoryAsTheServerHasIt(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	o := c.options(c.names[0])
	o.Ahead = -1
	result, err := push.Run(t.Context(), o)
	if err != nil || result.Known || result.Already || result.Ahead != 0 || result.System != c.system {
		t.Fatalf("%+v %v", result, err)
	}
	if !bytes.Equal(c.stored(c.names[0]), wal(t)["pg_wal/"+c.names[0]]) {
		t.Error("it is stored with another content")
	}
	if files, err := c.repo.ListWAL(t.Context(), c.archive(), 0); err != nil || len(files) != 1 {
		t.Errorf("%v %v", files, err)
	}
	if again := c.push(c.names[0]); !again.Already {
		t.Errorf("a second time: %+v", again)
	}
}

func TestFilesThatWaitGoAlongAndAreAnsweredWithoutTheRepository(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	if result := c.push(c.names[0]); result.Ahead != segments-1 {
		t.Fatalf("%+v", result)
	}
	c.done(c.names[0])
	for _, name := range c.names[1:] {
		if result := c.push(name); !result.Known {
			t.Errorf("%s: %+v", name, result)
		}
		if !bytes.Equal(c.stored(name), wal(t)["pg_wal/"+name]) {
			t.Errorf("%s is stored with another content", name)
		}
		c.done(name)
	}
	if c.opens != 1 {
		t.Errorf("the repository was opened %d times", c.opens)
	}
}

func TestNoMoreGoAlongThanAskedFor(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	o := c.options(c.names[0])
	o.Ahead, o.Jobs = 3, 1
	if result, err := push.Run(t.Context(), o); err != nil || result.Ahead != 3 {
		t.Fatalf("%+v %v", result, err)
	}
	files, err := c.repo.ListWAL(t.Context(), c.archive(), 0)
	if err != nil || len(files) != 4 || files[3].Name != c.names[3] {
		t.Errorf("%v %v", files, err)
	}
}

func TestHistoriesGoBeforeSegments(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	history := []byte("1\t0/3000000\tno recovery target specified\n")
	c.write("pg_wal/00000002.history", history)
	c.write("pg_wal/archive_status/00000002.history.ready", nil)
	o := c.options(c.names[0])
	o.Ahead, o.Jobs = 1, 1
	if _, err := push.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(c.stored("00000002.history"), history) {
		t.Error("the history is stored with another content")
	}
	if result := c.push("00000002.history"); !result.Known {
		t.Errorf("%+v", result)
	}
}

func TestNotesOfFilesThatNobodyWaitsForAreRemoved(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.push(c.names[0])
	for _, name := range c.names {
		c.done(name)
	}
	c.push(c.names[0])
	found, err := filepath.Glob(filepath.Join(c.spool, "push-*", "0*"))
	if err != nil || len(found) != 0 {
		t.Errorf("%v %v", found, err)
	}
}

func TestAFileOfTheSameNameWithOtherContentIsAnErrorThatNamesBoth(t *testing.T) {
	t.Parallel()
	for _, noted := range []bool{false, true} {
		c := newCluster(t)
		name := c.names[1]
		if noted {
			c.push(c.names[0]) // it goes along
		} else {
			c.push(name)
		}
		before := c.stored(name)
		changed := bytes.Clone(before)
		// Another user table's byte: the record's checksum does not fit any more, which is
		// the server's trouble, and told in the log.
		changed[len(changed)/4] ^= 1
		c.write("pg_wal/"+name, changed)
		_, err := push.Run(t.Context(), c.options(name))
		if !errors.Is(err, repo.ErrWALDiffers) {
			t.Fatalf("noted %v: %v", noted, err)
		}
		for _, data := range [][]byte{before, changed} {
			if sum := sha256.Sum256(data); !strings.Contains(err.Error(), hex.EncodeToString(sum[:])) {
				t.Errorf("%x is not named in: %v", sum, err)
			}
		}
		if !bytes.Equal(c.stored(name), before) {
			t.Error("what was stored changed")
		}
	}
}

// A copy of a server that goes on with the same timeline is refused at the first segment
// that differs. What it wrote behind that one must not come into the archive either: it
// would stand between segments of the first server, and keep the right ones out.
func TestNothingBehindAFileThatIsRefusedIsStored(t *testing.T) {
	t.Parallel()
	for _, asked := range []int{1, 2} {
		c := newCluster(t)
		alone := c.options(c.names[2])
		alone.Ahead = -1
		if _, err := push.Run(t.Context(), alone); err != nil {
			t.Fatal(err)
		}
		before := c.stored(c.names[2])
		changed := bytes.Clone(before)
		changed[len(changed)/4] ^= 1
		c.write("pg_wal/"+c.names[2], changed)
		for range 3 { // as the archiver does
			if _, err := push.Run(t.Context(), c.options(c.names[asked])); (asked == 2) != errors.Is(err, repo.ErrWALDiffers) {
				t.Fatal(err)
			}
		}
		files, err := c.repo.ListWAL(t.Context(), c.archive(), 0)
		if err != nil || len(files) == 0 || files[len(files)-1].Name != c.names[2] {
			t.Errorf("asked for %s: %v %v", c.names[asked], files, err)
		}
	}
}

// The history of another server's timeline keeps out all of that timeline.
func TestNothingGoesAlongWithAHistoryThatIsRefused(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	name := "00000002.history"
	c.write("pg_wal/"+name, []byte("1\t0/3000000\tno recovery target specified\n"))
	c.push(name)
	before, err := c.repo.ListWAL(t.Context(), c.archive(), 0)
	if err != nil {
		t.Fatal(err)
	}
	c.write("pg_wal/"+name, []byte("1\t0/4000000\tno recovery target specified\n"))
	extra := strings.Replace(c.names[len(c.names)-1], "00000001", "00000002", 1)
	c.write("pg_wal/"+extra, wal(t)["pg_wal/"+c.names[len(c.names)-1]])
	c.write("pg_wal/archive_status/"+extra+".ready", nil)
	if _, err := push.Run(t.Context(), c.options(name)); !errors.Is(err, repo.ErrWALDiffers) {
		t.Fatal(err)
	}
	if after, err := c.repo.ListWAL(t.Context(), c.archive(), 0); err != nil || len(after) != len(before) {
		t.Errorf("%v %v, before %v", after, err, before)
	}
}

// Another cluster means another system identifier. Its files have the same names.
func TestASecondClusterWithTheSameSpoolKnowsNothingOfTheFirst(t *testing.T) {
	t.Parallel()
	first := newCluster(t)
	first.push(first.names[0])
	second := newCluster(t)
	second.spool = first.spool
	other := []byte("AnotherX")
	for name, data := range wal(t) {
		data = bytes.Clone(data)
		at := 0
		if strings.HasPrefix(name, "pg_wal/") {
			at = 24 // xlp_sysid of the long header
		}
		copy(data[at:], other)
		second.write(name, data)
	}
	result := second.push(second.names[1])
	system, err := control.System(second.dir)
	if err != nil || result.Known || result.System != system || system == first.system {
		t.Errorf("%+v %s %v", result, system, err)
	}
	if again := first.push(first.names[1]); !again.Known {
		t.Errorf("the first: %+v", again)
	}
}

func TestASegmentOfAnotherServerIsRefused(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	foreign := bytes.Clone(wal(t)["pg_wal/"+c.names[0]])
	copy(foreign[24:], "AnotherX")
	misnamed := wal(t)["pg_wal/"+c.names[1]]
	for name, data := range map[string][]byte{c.names[0]: foreign, c.names[2]: misnamed, c.names[3]: misnamed[:1<<19], c.names[4]: []byte("hello"), c.names[5]: make([]byte, 1<<20)} {
		c.write("pg_wal/"+name, data)
		if _, err := push.Run(t.Context(), c.options(name)); !errors.Is(err, pgwal.ErrNotWAL) && (err == nil || !strings.Contains(err.Error(), "bytes")) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := c.repo.OpenWAL(t.Context(), c.archive(), name); !errors.Is(err, repo.ErrNotFound) {
			t.Errorf("%s is stored: %v", name, err)
		}
	}
	if _, err := push.Run(t.Context(), c.options("../postgresql.conf")); !errors.Is(err, push.ErrNotArchived) {
		t.Error(err)
	}
}

// A note there would make the server remove what nobody has.
func TestASpoolThatOthersCanWriteIntoIsRefused(t *testing.T) {
	t.Parallel()
	for what, spoil := range map[string]func(*cluster) error{
		"symbolic link": func(c *cluster) error {
			elsewhere := t.TempDir()
			return os.Symlink(elsewhere, c.spool)
		},
		"world writable": func(c *cluster) error { return errors.Join(os.Mkdir(c.spool, 0o700), os.Chmod(c.spool, 0o777)) },
		"inside world writable": func(c *cluster) error {
			c.push(c.names[0])
			found, err := filepath.Glob(filepath.Join(c.spool, "push-*"))
			return errors.Join(err, os.Chmod(found[0], 0o770))
		},
		"a file": func(c *cluster) error { return os.WriteFile(c.spool, nil, 0o600) },
	} {
		c := newCluster(t)
		if err := spoil(c); err != nil {
			t.Fatal(err)
		}
		opens := c.opens
		_, err := push.Run(t.Context(), c.options(c.names[1]))
		if what != "a file" && (!errors.Is(err, spool.ErrUnsafe) || c.opens != opens) {
			t.Errorf("%s: %v", what, err)
		}
		if what == "a file" && err != nil { // nobody's notes: archived without any
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestASpoolOfAnotherUserIsRefused(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		// An ordinary user has one spool of another user at hand: the system's directories.
		if _, err := spool.Open("/", "x"); err == nil {
			t.Error("the root directory was taken for a spool")
		}
		return
	}
	c := newCluster(t)
	if err := errors.Join(os.Mkdir(c.spool, 0o700), os.Chown(c.spool, 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	if _, err := push.Run(t.Context(), c.options(c.names[0])); !errors.Is(err, spool.ErrUnsafe) || !strings.Contains(err.Error(), "another user") {
		t.Error(err)
	}
}

func TestNotesOfARepositoryThatWasThereBeforeDoNotCount(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.push(c.names[0])
	store, err := dir.Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if c.repo, err = repo.Create(t.Context(), store, repo.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.push(c.names[0]) // the first call that opens it finds out
	if result := c.push(c.names[1]); !result.Known {
		t.Errorf("%+v", result)
	}
	if !bytes.Equal(c.stored(c.names[1]), wal(t)["pg_wal/"+c.names[1]]) {
		t.Error("it is not in the new repository")
	}
}

// What a crash leaves of a note is none.
func TestANoteThatWasCutShortIsNone(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.push(c.names[0])
	found, err := filepath.Glob(filepath.Join(c.spool, "push-*", c.names[1]))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	note, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 30, 64} {
		if err := os.WriteFile(found[0], note[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		if result := c.push(c.names[1]); result.Known {
			t.Errorf("a note of %d bytes was believed", size)
		}
	}
}
