package physical

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"sync/atomic"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/basemanifest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// comparison of a directory with a base backup, by the size and checksum of every
// file. It holds a bit and a number for each, not its name.
type comparison struct {
	same   []bool // by the ordinal of the entry
	seed   maphash.Seed
	known  map[uint64]struct{} // hashes of paths that the backup has, and their parents
	reused atomic.Int64        // bytes that are the same
	extra  int64               // files that the backup does not have
	fixes  bool
}

func newComparison() *comparison {
	return &comparison{seed: maphash.MakeSeed(), known: map[uint64]struct{}{}}
}

func (c *comparison) know(p string) {
	for ; p != "."; p = path.Dir(p) {
		h := maphash.String(c.seed, p)
		if _, there := c.known[h]; there {
			return
		}
		c.known[h] = struct{}{}
	}
}

func (c *comparison) knows(p string) bool {
	_, ok := c.known[maphash.String(c.seed, p)]
	return ok
}

func (c *comparison) keeps(ordinal int64) bool { return c.same[ordinal] }

// compare reads every file of the tree that has the size it should, jobs at once. With
// fix it also gives them their mode and owner; without it changes nothing.
func (c *comparison) compare(ctx context.Context, p *repo.Point, plain int64, t *tree, jobs int, drop, always func(string) bool, progress *atomic.Int64) error {
	type candidate struct {
		entry
		ordinal int
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	work := make(chan candidate)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range max(jobs, 1) {
		wg.Go(func() {
			buffer := make([]byte, copyBuffer)
			for e := range work {
				same, err := t.holds(ctx, e.entry, buffer, c.fixes)
				if err != nil {
					fail(err)
				}
				if same {
					mu.Lock()
					c.same[e.ordinal] = true
					mu.Unlock()
					c.reused.Add(e.size)
				}
				progress.Add(e.size)
			}
		})
	}
	err := eachEntry(ctx, p, plain, func(e entry) error {
		mu.Lock()
		ordinal := len(c.same)
		c.same = append(c.same, false)
		mu.Unlock()
		if drop(e.path) {
			return nil
		}
		c.know(e.path)
		if e.dir || always(e.path) {
			return nil
		}
		select {
		case work <- candidate{e, ordinal}:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	if err != nil {
		fail(err)
	}
	close(work)
	wg.Wait()
	return context.Cause(ctx)
}

// holds tells whether a file is there with the size and checksum it should have.
// What can not be read is not: it is written anew.
func (t *tree) holds(ctx context.Context, e entry, buffer []byte, fix bool) (bool, error) {
	root, rel := t.at(e.path)
	info, err := root.Lstat(rel)
	if err != nil || !info.Mode().IsRegular() || info.Size() != e.size {
		return false, nil
	}
	f, err := root.Open(rel)
	if err != nil {
		return false, nil
	}
	defer f.Close()
	sum := uint32(0)
	for {
		n, err := f.Read(buffer)
		sum = basemanifest.Sum(sum, buffer[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return false, nil
		}
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
	}
	if basemanifest.CRC32C(sum) != e.crc {
		return false, nil
	}
	if fix {
		return true, t.own(root, rel, info, fileMode(e.mode))
	}
	return true, nil
}

// remove takes away what the backup does not have, below the roots of the tree and
// nowhere else: links are removed, never followed. With dry it only counts.
func (c *comparison) remove(ctx context.Context, t *tree, dry bool) error {
	if err := c.prune(ctx, t, t.root, ".", "", dry); err != nil {
		return err
	}
	for _, m := range t.mounts {
		if err := c.prune(ctx, t, m.root, ".", m.prefix, dry); err != nil {
			return err
		}
	}
	return nil
}

// prune looks through dir of a root, which stands for the path at in the data directory.
func (c *comparison) prune(ctx context.Context, t *tree, root *os.Root, dir, at string, dry bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	d, err := root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	names, err := d.ReadDir(-1)
	d.Close()
	if err != nil {
		return err
	}
	for _, n := range names {
		p, rel := path.Join(at, n.Name()), path.Join(dir, n.Name())
		top := dir == "."
		switch {
		case top && (n.Name() == lostFound || at == "" && n.Name() == markerFile), t.mounted(p):
		case c.knows(p) && n.IsDir():
			if err := c.prune(ctx, t, root, rel, p, dry); err != nil {
				return err
			}
		case c.knows(p) && n.Type().IsRegular():
		case top && at != "" && at != walDirectory:
			// A tablespace may be shared with other versions of the server.
		default:
			c.extra++
			if dry {
				continue
			}
			if err := root.RemoveAll(rel); err != nil {
				return err
			}
		}
	}
	return nil
}

// mounted tells whether a path of the data directory is a link to one of the roots.
func (t *tree) mounted(p string) bool {
	for _, m := range t.mounts {
		if m.prefix == p {
			return true
		}
	}
	return false
}
