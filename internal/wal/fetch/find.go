package fetch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/control"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// ErrNoArchive: nothing was ever archived under that source, or of that system. It is
// not ErrNotThere: a slip in a name must not look like the end of the log.
var ErrNoArchive = errors.New("no such WAL archive")

// identify reads which system the server is, out of the control file of the data
// directory; "" where there is none.
func (f *fetcher) identify() (string, error) {
	directory := f.DataDirectory
	if directory == "" {
		directory = "."
	}
	for _, d := range []string{directory, filepath.Dir(filepath.Dir(f.to))} {
		system, err := control.System(d)
		if err == nil {
			return system, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", nil
}

// find chooses the archive. Where source and system are both known nothing is asked: a
// file that is found there is of the right server.
func (f *fetcher) find(ctx context.Context) (repo.WALArchive, error) {
	if f.Source != "" && f.system != "" {
		return repo.WALArchive{Source: f.Source, System: f.system}, nil
	}
	all, err := f.repo.WALArchives(ctx, f.Source)
	if err != nil {
		return repo.WALArchive{}, err
	}
	fit := slices.DeleteFunc(slices.Clone(all), func(a repo.WALArchive) bool { return f.system != "" && a.System != f.system })
	switch len(fit) {
	case 1:
		return fit[0], nil
	case 0:
		return repo.WALArchive{}, f.noArchive(all)
	}
	return repo.WALArchive{}, fmt.Errorf("%w is the only one: there are %s; say which by --source, in the data directory of the server", ErrNoArchive, list(fit))
}

// notThere is ErrNotThere, if the archive is there at all.
func (f *fetcher) notThere(ctx context.Context) error {
	all, err := f.repo.WALArchives(ctx, "")
	if err != nil {
		return err
	}
	if !slices.Contains(all, f.archive) {
		return f.noArchive(all)
	}
	return fmt.Errorf("%w %s", ErrNotThere, f.archive)
}

func (f *fetcher) noArchive(all []repo.WALArchive) error {
	of := "of any server"
	if f.system != "" {
		of = "of system " + f.system
	}
	under := ""
	if f.Source != "" {
		under = fmt.Sprintf(" under the source %q", f.Source)
	}
	hint := "the repository has none"
	if same := slices.DeleteFunc(slices.Clone(all), func(a repo.WALArchive) bool { return a.System != f.system }); len(same) > 0 {
		hint = fmt.Sprintf("that system is archived under another source: give --source '%s'", same[0].Source)
	} else if len(all) > 0 {
		hint = "there are " + list(all)
	}
	return fmt.Errorf("%w %s%s in %s; %s", ErrNoArchive, of, under, f.repo.URL(), hint)
}

// list names a few archives.
func list(archives []repo.WALArchive) string {
	const few = 5
	var names []string
	for _, a := range archives[:min(few, len(archives))] {
		names = append(names, a.String())
	}
	if len(archives) > few {
		names = append(names, fmt.Sprintf("%d more", len(archives)-few))
	}
	return strings.Join(names, ", ")
}
