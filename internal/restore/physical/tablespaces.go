package physical

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// space is a tablespace and where it goes.
type space struct {
	oid   string
	old   string // on the server of the backup
	dir   string // absolute
	bytes int64  // as the server estimated
	ours  bool   // the directory to bring up to date has it there already
}

// prefix is its path in the data directory.
func (s space) prefix() string { return spaces + "/" + s.oid }

// place says where each tablespace goes and refuses what is in somebody's way.
func place(o Options, g ground, list []repo.Tablespace) ([]space, error) {
	used := map[string]bool{}
	var placed []space
	for _, t := range list {
		s := space{oid: strconv.FormatUint(uint64(t.OID), 10), old: t.Location, bytes: t.Bytes}
		for _, key := range []string{s.oid, t.Location} {
			if to, ok := o.Tablespaces[key]; ok {
				used[key], s.dir = true, to
			}
		}
		if s.dir == "" {
			switch there := g.links[s.oid]; {
			case o.TablespaceDir != "":
				s.dir = filepath.Join(o.TablespaceDir, s.oid)
			case there != "":
				s.dir = there
			default:
				s.dir = t.Location
			}
		}
		if err := s.check(g, placed); err != nil {
			return nil, err
		}
		placed = append(placed, s)
	}
	for _, key := range slices.Sorted(maps.Keys(o.Tablespaces)) {
		if !used[key] {
			return nil, fmt.Errorf("%w: no tablespace of the backup was at %s; %s", ErrOptions, key, theseAre(placed))
		}
	}
	for i := range placed {
		if err := placed[i].vacant(g); err != nil {
			return nil, err
		}
	}
	return placed, nil
}

func theseAre(list []space) string {
	if len(list) == 0 {
		return "it has none"
	}
	var names []string
	for _, s := range list {
		names = append(names, fmt.Sprintf("%s (%s)", s.old, s.oid))
	}
	return "it has " + strings.Join(names, ", ")
}

// check holds that a tablespace has a place of its own.
func (s *space) check(g ground, others []space) error {
	if !filepath.IsAbs(s.dir) {
		return fmt.Errorf("%w: tablespace %s is to go to %q: give an absolute path", ErrOptions, s.oid, s.dir)
	}
	s.dir = filepath.Clean(s.dir)
	if within(s.dir, g.dir) || within(g.dir, s.dir) {
		return fmt.Errorf("%w: tablespace %s would go to %s, and the data directory is %s: neither may be in the other", ErrOptions, s.oid, s.dir, g.dir)
	}
	for _, o := range others {
		if within(s.dir, o.dir) || within(o.dir, s.dir) {
			return fmt.Errorf("%w: tablespaces %s and %s would go to %s and %s: each needs a directory of its own", ErrOptions, o.oid, s.oid, o.dir, s.dir)
		}
	}
	return nil
}

// vacant holds that nothing is where a tablespace goes, unless the data directory that
// is brought up to date has it there, or a restore that did not end.
func (s *space) vacant(g ground) error {
	if g.filled && g.links[s.oid] == s.dir || g.marker != nil && g.marker.Tablespaces[s.oid] == s.dir {
		s.ours = true
		return nil
	}
	names, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("tablespace %s: %w", s.oid, err)
	}
	for _, n := range names {
		if n.Name() != lostFound {
			return fmt.Errorf("tablespace %s would go to %s, which %w (%s …): give another place with --tablespace-map %s=DIRECTORY", s.oid, s.dir, ErrNotEmpty, n.Name(), s.oid)
		}
	}
	return nil
}

// within tells whether a path is a directory or in it.
func within(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}
