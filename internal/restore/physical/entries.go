package physical

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// maxLine bounds one line of the list in bytes, far above the longest path.
const maxLine = 64 << 10

// Names in a data directory that have a meaning here.
const (
	controlFile  = "global/pg_control"
	autoConf     = "postgresql.auto.conf"
	mainConf     = "postgresql.conf"
	hbaConf      = "pg_hba.conf"
	labelFile    = "backup_label"
	standbyFile  = "standby.signal"
	recoveryFile = "recovery.signal"
	walDirectory = "pg_wal"
	spaces       = "pg_tblspc"
)

// maxHeld bounds in bytes what is kept in memory to be written last.
const maxHeld = 1 << 20

// entry is one of a base backup: a file or a directory, by its path in the data
// directory.
type entry struct {
	path   string
	dir    bool
	mode   int64
	size   int64
	offset int64  // of its first byte in the plain stream
	crc    string // as basemanifest.CRC32C writes it
}

// eachEntry reads the list of a base backup in the order of its tar, which is that of
// the offsets, in memory for one of them. Somebody may have edited it: no path leads
// out of the directory, and no file lies outside of the stream.
func eachEntry(ctx context.Context, p *repo.Point, plain int64, do func(entry) error) error {
	body, err := p.Open(ctx, contents.StreamEntries)
	if err != nil {
		if errors.Is(err, repo.ErrNotFound) {
			return fmt.Errorf("%s: %w: the manifest names no list of entries", p.Ref(), repo.ErrDamaged)
		}
		return err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, 4<<10), maxLine)
	var files, bytes, at int64
	for n := 1; lines.Scan(); n++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		e, err := parseEntry(lines.Bytes())
		if err == nil && !e.dir {
			files, bytes = files+1, bytes+e.size
			if e.offset < at || e.size < 0 || e.size > plain-e.offset {
				err = fmt.Errorf("%q does not lie where it could", e.path)
			}
			at = e.offset + e.size
		}
		if err != nil {
			return fmt.Errorf("%s: %w: line %d of its list of entries: %w", p.Ref(), repo.ErrDamaged, n, err)
		}
		if err := do(e); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("%w: a line of its list of entries has more than %d bytes", repo.ErrDamaged, maxLine)
		}
		return fmt.Errorf("%s: %w", p.Ref(), err)
	}
	if p.Totals.Files != files || p.Totals.Bytes != bytes {
		return fmt.Errorf("%s: %w: the manifest counts %d files with %d bytes, its list has %d with %d", p.Ref(), repo.ErrDamaged, p.Totals.Files, p.Totals.Bytes, files, bytes)
	}
	// What follows the last line is checked by reading to the end.
	_, err = io.Copy(io.Discard, body)
	return err
}

func parseEntry(line []byte) (entry, error) {
	var l contents.Entry
	if err := json.Unmarshal(line, &l); err != nil {
		return entry{}, err
	}
	e := entry{path: l.Path, mode: l.Mode, size: l.Size, offset: l.Offset}
	if e.path == "" || e.path == "." || !filepath.IsLocal(e.path) || path.Clean(e.path) != e.path || strings.ContainsRune(e.path, 0) {
		return e, fmt.Errorf("%q is no path below a data directory", l.Path)
	}
	switch l.Type {
	case contents.TypeDir:
		e.dir, e.size = true, 0
	case contents.TypeFile:
		if e.crc = l.CRC32C; len(e.crc) != 8 {
			return e, fmt.Errorf("%q has no CRC-32C", l.Path)
		}
	default:
		return e, fmt.Errorf("%q is a %s, which no base backup has", l.Path, l.Type)
	}
	return e, nil
}
