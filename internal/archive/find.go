package archive

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Find is the archive of a source and a system identifier, either of which may be
// empty: then it must be clear which is meant. Of a source whose server was made anew
// it is the archive that was written to last. repo.ErrNotFound when there is none; the
// error names the archive of the same server under another source.
func Find(ctx context.Context, r *repo.Repository, source, system string) (repo.WALArchive, error) {
	all, err := r.WALArchives(ctx, "")
	if err != nil {
		return repo.WALArchive{}, err
	}
	found := slices.DeleteFunc(slices.Clone(all), func(a repo.WALArchive) bool {
		return source != "" && a.Source != source || system != "" && a.System != system
	})
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0:
		return repo.WALArchive{}, notThere(r, all, source, system)
	}
	for _, a := range found[1:] {
		if a.Source != found[0].Source {
			return repo.WALArchive{}, fmt.Errorf("which WAL archive of %s is %w: there are %s; say which with --source", r.URL(), repo.ErrAmbiguous, names(found))
		}
	}
	return newest(ctx, r, found)
}

// newest is the archive that was written to last.
func newest(ctx context.Context, r *repo.Repository, found []repo.WALArchive) (best repo.WALArchive, err error) {
	var at time.Time
	for _, a := range found {
		for f, err := range r.EachWAL(ctx, a, 0) {
			if err != nil {
				return best, err
			}
			if best.System == "" || f.Modified.After(at) {
				best, at = a, f.Modified
			}
		}
	}
	return best, nil
}

func notThere(r *repo.Repository, all []repo.WALArchive, source, system string) error {
	what := "WAL archive"
	if source != "" {
		what += " of source " + source
	}
	if system != "" {
		what += " of the server with system identifier " + system
	}
	for _, a := range all {
		if system != "" && a.System == system {
			return fmt.Errorf("%s in %s: %w; the WAL of this server is archived as source %s: use the same name for both, with --source %s", what, r.URL(), repo.ErrNotFound, a.Source, a.Source)
		}
	}
	hint := "set up `wal push` or `wal receive` first"
	if len(all) > 0 {
		hint = "there are " + names(all)
	}
	return fmt.Errorf("%s in %s: %w; %s", what, r.URL(), repo.ErrNotFound, hint)
}

func names(all []repo.WALArchive) string {
	var text []string
	for _, a := range all[:min(len(all), 5)] {
		text = append(text, a.String())
	}
	if more := len(all) - 5; more > 0 {
		text = append(text, fmt.Sprintf("%d more", more))
	}
	return strings.Join(text, ", ")
}
