package physical

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"runtime"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
)

// durable puts all that was written on the disk: file systems as a whole where the
// system can do that and tells of failures, else file by file.
func (t *tree) durable(ctx context.Context, jobs int) error {
	roots := []*os.Root{t.root}
	for _, m := range t.mounts {
		roots = append(roots, m.root)
	}
	for _, root := range roots {
		whole, err := syncFileSystem(root)
		if err == nil && !whole {
			err = syncFiles(ctx, root, ".", jobs)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// syncFiles syncs the files of a directory, and then itself.
func syncFiles(ctx context.Context, root *os.Root, dir string, jobs int) error {
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	names, err := d.ReadDir(-1)
	if err != nil {
		return errors.Join(err, d.Close())
	}
	var files []string
	for _, n := range names {
		switch {
		case n.IsDir():
			if err := syncFiles(ctx, root, path.Join(dir, n.Name()), jobs); err != nil {
				return errors.Join(err, d.Close())
			}
		case n.Type()&fs.ModeType == 0:
			files = append(files, path.Join(dir, n.Name()))
		}
	}
	err = parallel.Each(ctx, max(jobs, runtime.NumCPU()), len(files), func(_ context.Context, i int) error {
		f, err := root.Open(files[i])
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
	return errors.Join(err, d.Sync(), d.Close())
}
