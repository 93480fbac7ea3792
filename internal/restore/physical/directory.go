package physical

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/control"
)

const (
	// markerFile is in a data directory from the first change of a restore to its last.
	markerFile = "pgbackup_restore.json"
	// stagingDir is where increments are combined, in the data directory itself: that is
	// the disk that was made for the data.
	stagingDir = "pgbackup_restore.d"
	// lostFound is at the root of a file system, and nobody's.
	lostFound = "lost+found"
)

// marker tells the next restore that what is in a directory is of one that did not end.
type marker struct {
	Format int       `json:"format"`
	Point  string    `json:"point"`
	System string    `json:"system_identifier"`
	Begun  time.Time `json:"begun"`
	// Tablespaces it writes into, by OID.
	Tablespaces map[string]string `json:"tablespaces,omitempty"`
}

const markerFormat = 1

// ground is what is where the data directory is to be.
type ground struct {
	dir    string // absolute
	exists bool
	filled bool              // something is in it that may be of use
	marker *marker           // of a restore that did not end
	wal    string            // where its pg_wal is, when it is a link
	links  map[string]string // where its tablespaces are, by OID
}

// survey looks at the directory, and refuses what a restore would destroy.
func survey(dir string, delta bool, system string, major int) (ground, error) {
	g := ground{dir: dir, links: map[string]string{}}
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return g, nil
	}
	if err != nil {
		return g, err
	}
	if !info.IsDir() || dir == filepath.Dir(dir) {
		return g, fmt.Errorf("%w: %s is not a directory for that", ErrOptions, dir)
	}
	g.exists = true
	names, err := os.ReadDir(dir)
	if err != nil {
		return g, err
	}
	other := ""
	for _, n := range names {
		switch n.Name() {
		case lostFound:
		case "postmaster.pid":
			return g, running(dir)
		case markerFile:
			if g.marker, err = readMarker(dir); err != nil {
				return g, err
			}
			other = n.Name()
		default:
			other = n.Name()
		}
	}
	if other == "" {
		return g, nil
	}
	g.filled = true
	switch {
	case g.marker != nil && g.marker.System != system:
		return g, fmt.Errorf("directory %s %w: an unfinished restore of system %s is in it, not of %s; empty it", dir, ErrForeign, g.marker.System, system)
	case g.marker != nil:
	case !delta:
		return g, fmt.Errorf("directory %s %w (%s …): give another, empty it, or --delta to bring a data directory of the same system to the backup's state", dir, ErrNotEmpty, other)
	default:
		if err := sameSystem(dir, system, major); err != nil {
			return g, err
		}
	}
	return g, g.readLinks()
}

// readLinks reads where pg_wal and tablespaces of the directory are.
func (g *ground) readLinks() error {
	wal, err := os.Readlink(filepath.Join(g.dir, walDirectory))
	if err == nil {
		g.wal = absoluteFrom(g.dir, wal)
	}
	names, err := os.ReadDir(filepath.Join(g.dir, spaces))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	for _, n := range names {
		if to, err := os.Readlink(filepath.Join(g.dir, spaces, n.Name())); err == nil {
			g.links[n.Name()] = absoluteFrom(filepath.Join(g.dir, spaces), to)
		}
	}
	return err
}

func absoluteFrom(dir, to string) string {
	if filepath.IsAbs(to) {
		return filepath.Clean(to)
	}
	return filepath.Join(dir, to)
}

// running says what is known about the server that has a directory. That it is not
// seen does not mean that it is gone: it may be in another container, or on another
// host of a shared disk.
func running(dir string) error {
	name := filepath.Join(dir, "postmaster.pid")
	data, _ := os.ReadFile(name) // what it says is a hint
	first, _, _ := strings.Cut(string(data), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err == nil && pid > 1 {
		if alive := syscall.Kill(pid, 0); alive == nil || errors.Is(alive, syscall.EPERM) {
			return fmt.Errorf("directory %s %w: process %d; stop it first (pg_ctl stop -D %s)", dir, ErrRunning, pid, dir)
		}
		return fmt.Errorf("directory %s %w, says its postmaster.pid, although process %d is not seen here: when the server is stopped for sure, also in other containers and on other hosts, remove %s", dir, ErrRunning, pid, name)
	}
	return fmt.Errorf("directory %s %w, for %s is there: when the server is stopped for sure, remove it", dir, ErrRunning, name)
}

// sameSystem holds that a directory is a data directory of the system and major
// version of the backup.
func sameSystem(dir, system string, major int) error {
	version, err := os.ReadFile(filepath.Join(dir, "PG_VERSION"))
	if err != nil {
		return fmt.Errorf("directory %s %w as the backup: it has no PG_VERSION that could be read (%w); give an empty directory", dir, ErrForeign, err)
	}
	if v := strings.TrimSpace(string(version)); v != strconv.Itoa(major) {
		return fmt.Errorf("directory %s %w as the backup: it is of PostgreSQL %.20s, the backup of %d; give an empty directory", dir, ErrForeign, v, major)
	}
	found, err := control.System(dir)
	if err != nil {
		return fmt.Errorf("directory %s %w as the backup, as far as can be told: %w; give an empty directory", dir, ErrForeign, err)
	}
	if found != system {
		return fmt.Errorf("directory %s %w as the backup: it is of system %s, the backup of %s; give an empty directory", dir, ErrForeign, found, system)
	}
	return nil
}

func readMarker(dir string) (*marker, error) {
	name := filepath.Join(dir, markerFile)
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	m := &marker{}
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("directory %s %w: %s can not be read: %w; empty the directory", dir, ErrForeign, name, err)
	}
	if m.Format != markerFormat {
		return nil, fmt.Errorf("directory %s %w: a restore of another version of this program did not end in it; empty the directory", dir, ErrForeign)
	}
	return m, nil
}
