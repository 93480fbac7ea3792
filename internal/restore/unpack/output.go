package unpack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Output writes the main stream of a point, such as the output of a command, to a
// file, which appears when it is whole and checked. It returns its size in bytes.
func Output(ctx context.Context, r *repo.Repository, ref repo.Ref, name string, overwrite bool) (n int64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("restore %s to %s: %w", ref, name, err)
		}
	}()
	p, err := r.OpenPoint(ctx, ref)
	if err != nil {
		return 0, err
	}
	info, err := os.Lstat(name)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return 0, fmt.Errorf("it is there and no file (%s): %w", info.Mode().Type(), ErrNotEmpty)
	case err == nil && !overwrite:
		return 0, fmt.Errorf("the file is there and %w: give another, or --overwrite", ErrNotEmpty)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return 0, err
	}
	body, err := p.Open(ctx, contents.Main(ref.Kind))
	if err != nil {
		return 0, err
	}
	defer body.Close()
	f, err := os.CreateTemp(filepath.Dir(name), ".pgbackup-*") // 0600
	if err != nil {
		return 0, err
	}
	defer func() {
		f.Close()
		if err != nil {
			_ = os.Remove(f.Name()) // the error that counts is known
		}
	}()
	if n, err = io.Copy(f, body); err != nil {
		return n, err
	}
	if err := f.Close(); err != nil {
		return n, err
	}
	return n, os.Rename(f.Name(), name)
}
