package repo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// The write-ahead log of a server lies in
//
//	wal/<source>-<system identifier>/<timeline>/<file>
//
// where file is what PostgreSQL calls it. What a receiver has of a segment that is not
// finished are pieces of it, each with the range of its bytes:
//
//	000000010000000000000003.piece-00000000-0004A000
//
// All are written once and never overwritten. A piece goes when the whole segment is
// there.

// ErrWALDiffers: a file of that name is in the archive, with another content.
var ErrWALDiffers = errors.New("another file of that name is in the archive")

// WALArchive is the log of one server: what is below one folder of wal/. Source is
// that of its base backups; System its system identifier, in decimal digits.
type WALArchive struct {
	Source string `json:"source"`
	System string `json:"system_identifier"`
}

// String names it for people.
func (a WALArchive) String() string { return a.Source + " (system " + a.System + ")" }

// Check says why an archive can not have that name.
func (a WALArchive) Check() error {
	if err := CheckSource(a.Source); err != nil {
		return err
	}
	if n := len(escape(a.Source)); n > maxWALSourceBytes {
		return fmt.Errorf("source name %q is too long for an archive of WAL: its escaped form has %d bytes, %d are allowed; give a shorter --source NAME", a.Source, n, maxWALSourceBytes)
	}
	if n, err := strconv.ParseUint(a.System, 10, 64); err != nil || strconv.FormatUint(n, 10) != a.System || n == 0 {
		return fmt.Errorf("%.40q is no system identifier of a server: pg_controldata shows it", a.System)
	}
	return nil
}

// maxWALSourceBytes leaves room for the system identifier in the same part of a key, and
// for what WALLease adds.
const maxWALSourceBytes = maxSourceBytes - 12

func (a WALArchive) prefix() string { return walPrefix + escape(a.Source) + "-" + a.System + "/" }

// WALLease is the name of the lease that whoever receives the log of a source holds.
func WALLease(source string) string { return source + " (wal)" }

func parseWALArchive(folder string) (WALArchive, error) {
	i := strings.LastIndexByte(folder, '-')
	if i < 0 {
		return WALArchive{}, fmt.Errorf("%q is not <source>-<system identifier>", folder)
	}
	source, err := unescape(folder[:i])
	if err != nil {
		return WALArchive{}, err
	}
	a := WALArchive{Source: source, System: folder[i+1:]}
	return a, a.Check()
}

// WALFile is one object of an archive, as a listing shows it.
type WALFile struct {
	Archive  WALArchive
	Timeline pgwal.Timeline
	Name     string // as PostgreSQL calls the file
	// PieceFrom and PieceTo are the bytes of the segment that a piece holds, PieceTo
	// being the first it does not. 0 and 0 is the whole file.
	PieceFrom, PieceTo uint32
	Stored             int64     // bytes in the store
	Modified           time.Time // by the store's clock
}

// Kind tells what the file is; pgwal.PieceFile for a piece.
func (f WALFile) Kind() pgwal.FileKind {
	if f.IsPiece() {
		return pgwal.PieceFile
	}
	kind, _ := pgwal.KindOfFile(f.Name)
	return kind
}

// IsPiece tells whether it is a part of a segment.
func (f WALFile) IsPiece() bool { return f.PieceTo != 0 }

// String names it for people and messages.
func (f WALFile) String() string { return f.base() + " of " + f.Archive.String() }

// Key of its object.
func (f WALFile) Key() string { return f.Archive.prefix() + f.Timeline.String() + "/" + f.base() }

func (f WALFile) base() string {
	if f.IsPiece() {
		return fmt.Sprintf("%s.piece-%08X-%08X", f.Name, f.PieceFrom, f.PieceTo)
	}
	return f.Name
}

// NewWALFile names a file, or a piece of one, of an archive.
func NewWALFile(a WALArchive, name string, pieceFrom, pieceTo uint32) (WALFile, error) {
	if err := a.Check(); err != nil {
		return WALFile{}, err
	}
	kind, timeline := pgwal.KindOfFile(name)
	f := WALFile{Archive: a, Timeline: timeline, Name: name, PieceFrom: pieceFrom, PieceTo: pieceTo}
	switch {
	case kind == pgwal.NoFile:
		return f, fmt.Errorf("%.80q is no name of a file that a server archives", name)
	case pieceTo == 0 && pieceFrom != 0, pieceTo != 0 && (pieceFrom >= pieceTo || pieceTo > 1<<30 || kind != pgwal.SegmentFile):
		return f, fmt.Errorf("%.80q has no bytes %d to %d", name, pieceFrom, pieceTo)
	}
	return f, nil
}

// parseWALKey is the reverse of WALFile.Key.
func parseWALKey(key string) (WALFile, error) {
	rest, _ := strings.CutPrefix(key, walPrefix)
	parts := strings.Split(rest, "/")
	if len(parts) != 3 {
		return WALFile{}, fmt.Errorf("key %q has not the form wal/<source>-<system identifier>/<timeline>/<file>", key)
	}
	a, err := parseWALArchive(parts[0])
	if err != nil {
		return WALFile{}, fmt.Errorf("key %q: %w", key, err)
	}
	f, err := parseWALName(a, parts[2])
	if err == nil && f.Timeline.String() != parts[1] {
		err = fmt.Errorf("a file of timeline %s is in the folder of another", f.Timeline)
	}
	if err != nil {
		return WALFile{}, fmt.Errorf("key %q: %w", key, err)
	}
	return f, nil
}

func parseWALName(a WALArchive, base string) (WALFile, error) {
	name, piece, is := strings.Cut(base, ".piece-")
	if !is {
		return NewWALFile(a, base, 0, 0)
	}
	from, to, _ := strings.Cut(piece, "-")
	first, err := strconv.ParseUint(from, 16, 32)
	if err != nil {
		return WALFile{}, err
	}
	end, err := strconv.ParseUint(to, 16, 32)
	if err != nil {
		return WALFile{}, err
	}
	f, err := NewWALFile(a, name, uint32(first), uint32(end))
	if err == nil && (f.base() != base || !f.IsPiece()) {
		err = fmt.Errorf("%.80q is not the name of a piece", base)
	}
	return f, err
}

// WALArchives lists the archives of a source; "" is all of them.
func (r *Repository) WALArchives(ctx context.Context, source string) ([]WALArchive, error) {
	prefix := walPrefix
	if source != "" {
		prefix += escape(source) + "-"
	}
	var archives []WALArchive
	add := func(key string) {
		folder, _, _ := strings.Cut(strings.TrimPrefix(key, walPrefix), "/")
		a, err := parseWALArchive(folder)
		if err == nil && (source == "" || a.Source == source) && !slices.Contains(archives, a) {
			archives = append(archives, a)
		}
	}
	failed := func(err error) error {
		return fmt.Errorf("list the WAL archives of %s: %w", r.URL(), err)
	}
	if folders, can := r.store.(objstore.FolderLister); can {
		names, err := folders.Folders(ctx, walPrefix)
		if err != nil && !errors.Is(err, objstore.ErrNotFound) {
			return nil, failed(err)
		}
		for _, name := range names {
			add(name)
		}
		return archives, nil
	}
	for info, err := range r.store.List(ctx, prefix) {
		if err != nil {
			return nil, failed(err)
		}
		add(info.Key)
	}
	return archives, nil
}
