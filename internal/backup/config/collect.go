package config

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

const (
	// maxFiles and maxBytes bound what is read: a mistaken include_dir must not
	// back up a disk.
	maxFiles = 1000
	maxBytes = 64 << 20
	// maxDepth of includes, as in PostgreSQL.
	maxDepth = 10
)

// reader reads files where the configuration is: on the server or on a disk. What
// is not there is fs.ErrNotExist.
type reader interface {
	ReadFile(ctx context.Context, path string) (data []byte, modified time.Time, err error)
	ReadDir(ctx context.Context, path string) (names []string, err error)
}

// collector gathers files with what they include, each once.
type collector struct {
	reader
	files   []File
	skipped []repo.Skipped
	seen    map[string]bool
	bytes   int
}

func newCollector(r reader) *collector { return &collector{reader: r, seen: map[string]bool{}} }

// need says what is made of a file that is not there.
type need int

const (
	must  need = iota // it is an error
	ought             // the manifest and a warning say so
	may               // it is as it should be
)

// file reads one file and follows what it includes. includes finds that in the
// text; nil is for files that include nothing.
func (c *collector) file(ctx context.Context, p string, n need, includes func(string) []include, depth int) error {
	if c.seen[p] {
		return nil
	}
	c.seen[p] = true
	if depth > maxDepth {
		return fmt.Errorf("%s: files include each other %d deep", p, maxDepth)
	}
	data, modified, err := c.ReadFile(ctx, p)
	switch {
	case errors.Is(err, fs.ErrNotExist) && n == may:
		return nil
	case errors.Is(err, fs.ErrNotExist) && n == ought:
		c.skipped = append(c.skipped, repo.Skipped{What: p, Why: "there is no such file"})
		return nil
	case err != nil:
		return err
	}
	c.bytes += len(data)
	if len(c.files) == maxFiles || c.bytes > maxBytes {
		return fmt.Errorf("%s: with it the configuration has more than %d files or %d bytes: look at what include_dir names", p, maxFiles, maxBytes)
	}
	c.files = append(c.files, File{Name: strings.TrimPrefix(p, "/"), Data: data, Modified: modified})
	if includes == nil {
		return nil
	}
	for _, i := range includes(string(data)) {
		if err := c.follow(ctx, p, i, includes, depth); err != nil {
			return err
		}
	}
	return nil
}

// follow reads what a file includes.
func (c *collector) follow(ctx context.Context, from string, i include, includes func(string) []include, depth int) error {
	target := i.path
	if !path.IsAbs(target) {
		target = path.Join(path.Dir(from), target)
	}
	switch i.kind {
	case includeFile:
		return c.file(ctx, target, ought, includes, depth+1)
	case includeIfExists:
		return c.file(ctx, target, may, includes, depth+1)
	case includeNames: // a list of names, which includes nothing itself but other lists
		return c.file(ctx, target, ought, namesIncludes, depth+1)
	}
	names, err := c.ReadDir(ctx, target)
	if errors.Is(err, fs.ErrNotExist) {
		c.skipped = append(c.skipped, repo.Skipped{What: target, Why: "there is no such directory"})
		return nil
	}
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if strings.HasSuffix(name, ".conf") && !strings.HasPrefix(name, ".") {
			if err := c.file(ctx, path.Join(target, name), may, includes, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}
