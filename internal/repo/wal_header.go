package repo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// An object of an archive is a header in clear and the file's bytes in chunks, as in a
// recovery point:
//
//	0  4  magic "PGW1"
//	4  4  bytes of the header that follows (big endian)
//	8     the header: a JSON document beside its SHA-256 and, of a sealed repository,
//	      its HMAC under the object's key
//	      the chunks
//
// A sealed one has a random key of its own, wrapped in the header. It is bound to the
// repository and to the object's key in the store, as the HMAC is, so that no file can
// stand for another. The key is never made from the name: what goes by one name may
// have different contents, such as the same segment of two servers that were promoted.

const (
	walMagic = "PGW1"
	walFixed = 8
	// WALFormat is the newest form that this program reads and writes.
	WALFormat = 1
	// maxWALHeader bounds a header in bytes.
	maxWALHeader = 64 << 10
	// headerRead is how much is read to have a header, in bytes: most are a fraction.
	headerRead = 4 << 10
)

// WALInfo says what a file of an archive is. What a scan found is zero for files that
// are no segments, and where a segment could not be scanned.
type WALInfo struct {
	Name      string `json:"file"`
	PieceFrom uint32 `json:"piece_from,omitempty"` // 0 and 0: the whole file
	PieceTo   uint32 `json:"piece_to,omitempty"`
	Size      int64  `json:"size"`   // plain bytes
	SHA256    string `json:"sha256"` // of the same, hex

	SegmentSize uint64 `json:"segment_size,omitempty"` // of the server, in bytes
	Major       int    `json:"server_major,omitempty"`
	// First is where the first record begins, and Last where the last whole one ends.
	First pgwal.LSN `json:"first_lsn,omitzero"`
	Last  pgwal.LSN `json:"last_lsn,omitzero"`
	// FirstCommit and LastCommit are when transactions ended, by the server's clock.
	FirstCommit time.Time `json:"first_commit,omitzero"`
	LastCommit  time.Time `json:"last_commit,omitzero"`
	// MinXID and MaxXID of these transactions.
	MinXID        uint32               `json:"min_xid,omitempty"`
	MaxXID        uint32               `json:"max_xid,omitempty"`
	RestorePoints []pgwal.RestorePoint `json:"restore_points,omitempty"`

	Archived time.Time `json:"archived"` // by the clock of the runner
	Host     string    `json:"host,omitempty"`
}

// Take notes what a scan found.
func (i *WALInfo) Take(s pgwal.Scan) {
	i.SegmentSize, i.Major = s.SegmentSize, s.Major
	i.First, i.Last = s.Start, s.End
	i.FirstCommit, i.LastCommit = s.FirstCommit, s.LastCommit
	i.MinXID, i.MaxXID = s.MinXID, s.MaxXID
	i.RestorePoints = s.RestorePoints
}

// walHeader is the document in the header.
type walHeader struct {
	Format     int    `json:"format"`
	Repository string `json:"repository"`
	WALArchive
	WALInfo
	Seal *SealHeader `json:"seal,omitempty"`
}

// walEnvelope is a header as stored, like that of a manifest.
type walEnvelope struct {
	Header json.RawMessage `json:"wal"`
	SHA256 []byte          `json:"sha256"`
	HMAC   []byte          `json:"hmac,omitempty"`
}

func (h walHeader) encode(f WALFile, key *seal.RepositoryKey) ([]byte, error) {
	doc, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(doc)
	env := walEnvelope{Header: doc, SHA256: sum[:]}
	if key != nil {
		env.HMAC = key.MAC(f.Key(), doc)
	}
	data, err := json.Marshal(env)
	if err == nil && len(data) > maxWALHeader {
		err = fmt.Errorf("its header has %d bytes, at most %d can be read back", len(data), maxWALHeader)
	}
	if err != nil {
		return nil, err
	}
	out := binary.BigEndian.AppendUint32([]byte(walMagic), uint32(len(data)))
	return append(out, data...), nil
}

// decodeWALHeader reads the header of the object of f.
func (r *Repository) decodeWALHeader(data []byte, f WALFile) (walHeader, error) {
	damaged := func(err error) (walHeader, error) {
		return walHeader{}, fmt.Errorf("WAL file %s: %w: %w", f.Key(), ErrDamaged, err)
	}
	var env walEnvelope
	if err := decodeOne(data, &env); err != nil {
		return damaged(err)
	}
	sum := sha256.Sum256(env.Header)
	if !bytes.Equal(sum[:], env.SHA256) {
		return damaged(errors.New("the SHA-256 of its header is not that of its content"))
	}
	var h walHeader
	if err := json.Unmarshal(env.Header, &h); err != nil {
		return damaged(err)
	}
	if h.Format > WALFormat {
		return walHeader{}, fmt.Errorf("WAL file %s: %w: format %d, this pgbackup reads up to %d; use a newer pgbackup-runner", f.Key(), ErrNewerFormat, h.Format, WALFormat)
	}
	if r.key != nil {
		if err := r.key.CheckMAC(f.Key(), env.Header, env.HMAC); err != nil {
			return damaged(err)
		}
	}
	if err := h.check(f, r.header.ID, r.header.Sealed); err != nil {
		return damaged(err)
	}
	return h, nil
}

// check holds what a header says against where it was found, and bounds what a reader
// trusts.
func (h walHeader) check(f WALFile, repository string, sealed bool) error {
	says := WALFile{Archive: h.WALArchive, Name: h.Name, PieceFrom: h.PieceFrom, PieceTo: h.PieceTo}
	switch {
	case h.Format < 1:
		return errors.New("it has no format")
	case h.Repository != repository:
		return fmt.Errorf("it belongs to repository %.40q", h.Repository)
	case says.Archive != f.Archive || says.base() != f.base():
		return fmt.Errorf("it says it is %.80s of %.200s: it was moved or edited", says.base(), says.Archive)
	case sealed != (h.Seal != nil):
		return errors.New("whether it is sealed does not agree with repository.json")
	case f.IsPiece() && h.Size != int64(f.PieceTo-f.PieceFrom):
		return fmt.Errorf("it says it has %d bytes", h.Size)
	}
	return h.checkSize(f.Kind())
}

// maxSmallWAL bounds history and backup files, in bytes.
const maxSmallWAL = 16 << 20

func (i WALInfo) checkSize(kind pgwal.FileKind) error {
	switch kind {
	case pgwal.HistoryFile, pgwal.BackupFile:
		if i.Size < 0 || i.Size > maxSmallWAL {
			return fmt.Errorf("it has %d bytes, of such a file at most %d are expected", i.Size, maxSmallWAL)
		}
		return nil
	case pgwal.PieceFile:
		if uint64(i.PieceTo) > i.SegmentSize {
			return fmt.Errorf("its bytes %d to %d are not in a segment of %d", i.PieceFrom, i.PieceTo, i.SegmentSize)
		}
	default:
		if uint64(i.Size) != i.SegmentSize {
			return fmt.Errorf("it has %d bytes, segments of its server have %d", i.Size, i.SegmentSize)
		}
	}
	if err := pgwal.CheckSegmentSize(i.SegmentSize); err != nil {
		return err
	}
	_, err := pgwal.ParseSegment(i.Name[:24], i.SegmentSize)
	return err
}

// WALInfo reads what the header of a file says, of a small part of its object.
// ErrNotFound when it is gone.
func (r *Repository) WALInfo(ctx context.Context, f WALFile) (WALInfo, error) {
	failed := func(err error) (WALInfo, error) {
		return WALInfo{}, fmt.Errorf("read the header of WAL file %s: %w", f.Key(), notFound(err))
	}
	part, err := r.readRange(ctx, f.Key(), 0, headerRead)
	if err != nil {
		return failed(err)
	}
	n, err := walHeaderSize(part)
	if err != nil {
		return failed(err)
	}
	if more := walFixed + n - len(part); more > 0 {
		rest, err := r.readRange(ctx, f.Key(), int64(len(part)), int64(more))
		if err != nil {
			return failed(err)
		}
		part = append(part, rest...)
	}
	if len(part) < walFixed+n {
		return failed(ErrTruncated)
	}
	h, err := r.decodeWALHeader(part[walFixed:walFixed+n], f)
	return h.WALInfo, err
}

// walHeaderSize reads what an object begins with.
func walHeaderSize(b []byte) (int, error) {
	if len(b) < walFixed {
		return 0, ErrTruncated
	}
	n := binary.BigEndian.Uint32(b[4:])
	if string(b[:4]) != walMagic || n > maxWALHeader {
		return 0, fmt.Errorf("%w: it does not begin like a file of WAL", ErrFlipped)
	}
	return int(n), nil
}

func (r *Repository) readRange(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	body, _, err := r.store.Get(ctx, key, objstore.GetOptions{Offset: offset, Length: length})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(io.LimitReader(body, length))
}
