package physical

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/bytesize"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/disk"
)

// need is the room that something takes on the disk of a directory.
type need struct {
	dir   string
	bytes int64
}

// enough holds that every file system has the room that is asked of it. Directories
// that are not there yet count as the one that they will be made in.
func enough(needs []need) error {
	type mount struct {
		need
		free int64
	}
	disks := map[uint64]*mount{}
	for _, n := range needs {
		free, device, ok := disk.Room(nearestThere(n.dir))
		if !ok {
			continue
		}
		if disks[device] == nil {
			disks[device] = &mount{need{dir: n.dir}, free}
		}
		disks[device].bytes += n.bytes
	}
	var short []error
	for _, d := range disks {
		if d.bytes > d.free {
			short = append(short, fmt.Errorf("%w on the disk of %s: %s are needed, %s are free", ErrNoRoom, d.dir, bytesize.Text(d.bytes), bytesize.Text(d.free)))
		}
	}
	return errors.Join(short...)
}

func nearestThere(dir string) string {
	for {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// weight is how many bytes the files of a directory have, those of links not counted.
func weight(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what can not be read frees no room either
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}
