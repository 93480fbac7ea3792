package repo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
)

// ErrPlaceTaken: objects that are not a repository's lie where its own would, or a
// repository is above or below.
var ErrPlaceTaken = errors.New("the place is not free")

// Bounds of the look around a place: it is to find what is there, and not to search
// the whole of a large bucket. What lies deeper than they reach is not harmed by a
// repository, whose keys have a form of their own.
const (
	lookFolders = 1000
	lookKeys    = 10_000 // of each family
	lookTime    = 20 * time.Second
)

// CheckPlace is ErrPlaceTaken where a repository would mix with what is there:
// above it or below it is another one, whose lifecycle rules, replication and
// destruction would reach into it, or its folders hold what is not pgbackup's. A
// repository at the place itself is none of its business: see Create.
func CheckPlace(ctx context.Context, store objstore.Store, log *slog.Logger) error {
	failed := func(err error) error { return fmt.Errorf("create repository at %s: %w", store.URL(), err) }
	above, err := store.Above(ctx, repositoryKey)
	if err != nil {
		return failed(err)
	}
	if len(above) > 0 {
		return failed(fmt.Errorf("%w: it lies inside the repository at %s; choose a place beside that one", ErrPlaceTaken, above[0]))
	}
	below, err := repositoryBelow(ctx, store, logger(log))
	if err != nil {
		return failed(err)
	}
	if below != "" {
		return failed(fmt.Errorf("%w: the repository at %s/%s lies inside it; choose a place beside that one", ErrPlaceTaken, store.URL(), below))
	}
	var foreign Strangers
	for _, f := range families {
		seen := 0
		for info, err := range store.List(ctx, f.prefix) {
			if err != nil {
				return failed(err)
			}
			if !f.ours(strings.TrimPrefix(info.Key, f.prefix)) {
				foreign.add(info.Key)
			}
			if seen++; seen == lookKeys || foreign.Objects > told {
				break
			}
		}
	}
	if foreign.Objects > 0 {
		return failed(fmt.Errorf("%w: %s is there, in a folder that a repository has for itself, and is not pgbackup's; choose a prefix or directory of its own for the repository", ErrPlaceTaken, foreign.First[0]))
	}
	return nil
}

// repositoryBelow is the folder of a repository below a place, "" for none that was
// found. It looks at one level of folders after the other.
func repositoryBelow(ctx context.Context, store objstore.Store, log *slog.Logger) (string, error) {
	lister, can := store.(objstore.FolderLister)
	if !can {
		return "", nil
	}
	limited, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	level, looked := []string{""}, 0
	for len(level) > 0 && looked < lookFolders {
		level = level[:min(len(level), lookFolders-looked)]
		looked += len(level)
		names := make([][]string, len(level))
		err := parallel.Each(limited, loaders, len(level), func(ctx context.Context, i int) (err error) {
			names[i], err = lister.Folders(ctx, level[i])
			return err
		})
		if err != nil && limited.Err() != nil && ctx.Err() == nil {
			break
		}
		if err != nil {
			return "", err
		}
		var next []string
		for i, folder := range level {
			if folder != "" && slices.Contains(names[i], folder+repositoryKey) {
				return path.Clean(folder), nil
			}
			for _, name := range names[i] {
				if strings.HasSuffix(name, "/") {
					next = append(next, name)
				}
			}
		}
		level = next
	}
	if len(level) > 0 {
		log.Warn("not every folder below the new repository was looked at for another one", "place", store.URL(), "folders", looked)
	}
	return "", nil
}
