package repo

import (
	"context"
	"fmt"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// WALNamed lists the files of an archive whose names begin so: a whole name finds a
// segment with its pieces in one request, the first 22 digits of it its 255
// neighbours too.
func (r *Repository) WALNamed(ctx context.Context, a WALArchive, begin string) ([]WALFile, error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	if len(begin) < 8 || strings.Contains(begin, "/") {
		return nil, fmt.Errorf("%.40q does not begin like a file of WAL", begin)
	}
	t, err := pgwal.ParseTimeline(begin[:8])
	if err != nil {
		return nil, err
	}
	folder := a.prefix() + t.String() + "/"
	var files []WALFile
	for info, err := range r.store.List(ctx, folder+begin) {
		if err != nil {
			return nil, fmt.Errorf("list the WAL of %s in %s: %w", a, r.URL(), err)
		}
		f, err := parseWALName(a, info.Key[len(folder):])
		if err != nil || f.Timeline != t {
			continue
		}
		f.Stored, f.Modified = info.Size, info.Modified
		files = append(files, f)
	}
	return files, nil
}
