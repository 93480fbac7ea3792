package scratch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

const (
	// feedAhead is how many segments are fetched ahead of the server, and feedBytes how
	// many bytes of them; two at least.
	feedAhead = 8
	feedBytes = 128 << 20
	feedJobs  = 4
	feedEvery = 10 * time.Millisecond
	feedTold  = 30 * time.Second // how often the log says where recovery is
)

// The folders through which server and runner talk.
const (
	feedFresh  = "fresh"  // files that are being fetched
	feedReady  = "ready"  // files for the server, which takes them away
	feedAsked  = "asked"  // an empty file for each that it waits for
	feedNone   = "none"   // an empty file for each that there is not
	feedBroken = "broken" // a file: nothing more comes
)

// fetchScript asks for a file and waits. It ends with 1 for one that does not exist;
// with 126, which makes the server stop, where the runner has trouble or is gone.
const fetchScript = `#!/bin/sh
wal=%s
mv -f "$wal/ready/$1" "$2" 2>/dev/null && exit 0
: >"$wal/asked/$1" || exit 126
while [ -d "$wal/asked" ]; do
  if [ -e "$wal/ready/$1" ]; then mv -f "$wal/ready/$1" "$2" && exit 0; exit 126; fi
  if [ -e "$wal/none/$1" ]; then rm -f "$wal/none/$1"; exit 1; fi
  if [ -e "$wal/broken" ]; then exit 126; fi
  sleep 0.02
done
exit 126
`

// feed gives the server of a recovery its WAL.
type feed struct {
	dir         string
	root        *os.Root // of dir
	user        account
	fetch       func(ctx context.Context, name, path string) error
	segmentSize uint64
	log         *slog.Logger

	next  pgwal.Segment // to be fetched ahead; the zero Segment is none
	stop  context.CancelFunc
	ended sync.WaitGroup
	mutex sync.Mutex
	err   error
}

// openFeed makes the folders and the script, and begins to answer.
func (c *Cluster) openFeed(f *Filled, log *slog.Logger) (script string, err error) {
	dir := filepath.Join(c.dir, "wal")
	script = filepath.Join(dir, "fetch")
	for _, d := range []string{dir, filepath.Join(dir, feedFresh), filepath.Join(dir, feedReady), filepath.Join(dir, feedAsked), filepath.Join(dir, feedNone)} {
		if err := errors.Join(os.Mkdir(d, 0o700), c.user.own(d)); err != nil {
			return "", err
		}
	}
	if err := os.WriteFile(script, fmt.Appendf(nil, fetchScript, shellQuote(dir)), 0o500); err != nil {
		return "", err
	}
	if err := c.user.own(script); err != nil {
		return "", err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	size := f.SegmentSize
	if size == 0 {
		size = pgwal.DefaultSegmentSize
	}
	if err := pgwal.CheckSegmentSize(size); err != nil {
		return "", errors.Join(err, root.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	c.feed = &feed{
		dir: dir, root: root, user: c.user, segmentSize: size, log: log, stop: stop,
		fetch: f.Recovery.Fetch,
	}
	c.feed.ended.Go(func() { c.feed.answer(ctx) })
	return script, nil
}

// close ends the answering, and waits for it. nil has nothing to end.
func (f *feed) close() error {
	if f == nil {
		return nil
	}
	f.stop()
	f.ended.Wait()
	return f.root.Close()
}

// trouble is why a file could not be given.
func (f *feed) trouble() error {
	if f == nil {
		return nil
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.err
}

func (f *feed) fail(err error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.err == nil {
		f.err = fmt.Errorf("bring WAL to the server: %w", err)
	}
	// Without this file the server waits on, until it is ended.
	if err := f.write(feedBroken, nil); err != nil {
		f.log.Warn("a scratch server could not be told that its WAL does not come", "error", err)
	}
}

// answer serves until it is told to end.
func (f *feed) answer(ctx context.Context) {
	told := time.Now()
	for ctx.Err() == nil && f.trouble() == nil {
		asked, err := f.names(feedAsked)
		for _, name := range asked {
			if err == nil {
				err = f.give(ctx, name)
			}
		}
		if err == nil {
			err = f.fetchAhead(ctx)
		}
		if err != nil && ctx.Err() == nil {
			f.fail(err)
		}
		if f.next.Timeline != 0 && time.Since(told) > feedTold {
			told = time.Now()
			f.log.Info("a scratch server is recovering", "segment", f.next.Name(f.segmentSize))
		}
		select {
		case <-ctx.Done():
		case <-time.After(feedEvery):
		}
	}
}

// give answers a question.
func (f *feed) give(ctx context.Context, name string) error {
	if kind, _ := pgwal.KindOfFile(name); kind == pgwal.NoFile {
		return fmt.Errorf("the server asks for %.60q, which is no file of WAL", name)
	}
	found, err := f.place(ctx, name)
	if err != nil {
		return err
	}
	if !found {
		err = f.write(filepath.Join(feedNone, name), nil)
	} else if s, segmentErr := pgwal.ParseSegment(name, f.segmentSize); segmentErr == nil {
		err = f.follow(s)
	}
	return errors.Join(err, ignoreMissing(f.root.Remove(filepath.Join(feedAsked, name))))
}

// follow goes on ahead of a segment that the server asked for: where it left the
// timeline, what lies ready of the old one is of no more use.
func (f *feed) follow(s pgwal.Segment) error {
	if f.next.Timeline != 0 && f.next.Timeline != s.Timeline {
		ready, err := f.names(feedReady)
		if err != nil {
			return err
		}
		for _, name := range ready {
			if old, err := pgwal.ParseSegment(name, f.segmentSize); err == nil && old.Timeline != s.Timeline {
				if err := ignoreMissing(f.root.Remove(filepath.Join(feedReady, name))); err != nil {
					return err
				}
			}
		}
	}
	f.next = s.Next()
	return nil
}

// fetchAhead fills up what lies ready.
func (f *feed) fetchAhead(ctx context.Context) error {
	if f.next.Timeline == 0 {
		return nil
	}
	ready, err := f.names(feedReady)
	if err != nil {
		return err
	}
	ahead := max(2, min(feedAhead, int(feedBytes/f.segmentSize)))
	n := ahead - len(ready)
	if n <= 0 {
		return nil
	}
	found := make([]bool, n)
	first := f.next
	if err := parallel.Each(ctx, feedJobs, n, func(ctx context.Context, i int) (err error) {
		s := pgwal.Segment{Timeline: first.Timeline, Number: first.Number + uint64(i)} //nolint:gosec // an index
		found[i], err = f.place(ctx, s.Name(f.segmentSize))
		return err
	}); err != nil {
		return err
	}
	for _, there := range found {
		if !there {
			f.next = pgwal.Segment{} // until the server asks for one itself
			return nil
		}
		f.next = f.next.Next()
	}
	return nil
}

// place puts a file where the server takes it from; false if there is none.
func (f *feed) place(ctx context.Context, name string) (bool, error) {
	ready := filepath.Join(feedReady, name)
	if _, err := f.root.Lstat(ready); err == nil {
		return true, nil
	}
	fresh := filepath.Join(feedFresh, name)
	err := f.fetch(ctx, name, filepath.Join(f.dir, fresh))
	if err == nil && f.user.credential != nil {
		err = f.root.Lchown(fresh, int(f.user.uid), int(f.user.gid))
	}
	if err == nil {
		return true, f.root.Rename(fresh, ready)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return false, fmt.Errorf("%s: %w", name, err)
}

func (f *feed) write(name string, data []byte) error {
	to, err := f.root.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = to.Write(data)
	if f.user.credential != nil {
		err = errors.Join(err, to.Chown(int(f.user.uid), int(f.user.gid)))
	}
	return errors.Join(err, to.Close())
}

func (f *feed) names(dir string) ([]string, error) {
	d, err := f.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// shellQuote is for /bin/sh, whatever a folder is called.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
