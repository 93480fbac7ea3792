// Package basemanifest reads the backup_manifest that a server makes of a base
// backup: which files there are, how long they are and what their checksum is, and
// which WAL the backup needs.
//
// What lives here: the format, of all versions, its own checksum, and whether it says
// of files what was seen of them. What must not: where either comes from (packages
// backup/physical, verify and restore/physical).
package basemanifest

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// Name of the manifest in a base backup.
const Name = "backup_manifest"

// ErrDamaged: it is not what a server writes.
var ErrDamaged = errors.New("the backup manifest is damaged")

// File is one file of a base backup.
type File struct {
	Path   string // below the data directory; tablespaces below pg_tblspc/<oid>/
	Size   int64
	CRC32C string // as the function CRC32C writes it
}

// Range is WAL that the backup needs, from the first byte that is to one past the
// last.
type Range struct {
	Timeline   pgwal.Timeline
	Start, End pgwal.LSN
}

// Manifest is all but the files.
type Manifest struct {
	Version int
	System  string // identifier, of version 2 and newer (PostgreSQL 17)
	Files   int64
	Ranges  []Range // oldest first
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Sum adds bytes to a CRC-32C that begins with 0.
func Sum(crc uint32, data []byte) uint32 { return crc32.Update(crc, castagnoli, data) }

// CRC32C writes a sum as manifests have it: hexadecimal, the lowest byte first, as
// it lies in the memory of nearly every server.
func CRC32C(crc uint32) string {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], crc)
	return hex.EncodeToString(b[:])
}

// Read reads a manifest to its end, checks its own checksum, and hands every file
// to each, in order, before it knows that the checksum is right. It needs little
// memory, however many files there are.
//
// Source: "Backup Manifest Format" of PostgreSQL's documentation.
func Read(r io.Reader, each func(File) error) (Manifest, error) {
	sum := newSum()
	dec := json.NewDecoder(io.TeeReader(r, sum))
	m, want, err := read(dec, each)
	if err != nil {
		return m, err
	}
	// What the decoder did not take is a line feed.
	if _, err := io.Copy(sum, r); err != nil {
		return m, err
	}
	return m, sum.check(want)
}

// fileLine is a file as it is written.
type fileLine struct {
	Path      string
	Encoded   string `json:"Encoded-Path"` // hexadecimal, of a name that is not UTF-8
	Size      int64
	Algorithm string `json:"Checksum-Algorithm"`
	Checksum  string
}

// rangeLine is a range as it is written.
type rangeLine struct {
	Timeline pgwal.Timeline
	Start    pgwal.LSN `json:"Start-LSN"`
	End      pgwal.LSN `json:"End-LSN"`
}

func read(dec *json.Decoder, each func(File) error) (m Manifest, checksum string, err error) {
	if err := delimiter(dec, '{'); err != nil {
		return m, "", err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return m, "", damaged(err)
		}
		switch key {
		case "PostgreSQL-Backup-Manifest-Version":
			err = damaged(dec.Decode(&m.Version))
			if err == nil && m.Version != 1 && m.Version != 2 {
				err = fmt.Errorf("the backup manifest is of version %d, and this program knows 1 and 2: use a newer pgbackup-runner", m.Version)
			}
		case "System-Identifier":
			var number json.Number
			err = damaged(dec.Decode(&number))
			m.System = number.String()
		case "Files":
			err = list(dec, func() error {
				var line fileLine
				if err := damaged(dec.Decode(&line)); err != nil {
					return err
				}
				f, err := line.file()
				if err != nil {
					return err
				}
				m.Files++
				return each(f)
			})
		case "WAL-Ranges":
			err = list(dec, func() error {
				var line rangeLine
				if err := damaged(dec.Decode(&line)); err != nil {
					return err
				}
				if line.Timeline == 0 || line.End < line.Start {
					return fmt.Errorf("%w: WAL from %s to %s of timeline %s", ErrDamaged, line.Start, line.End, line.Timeline)
				}
				m.Ranges = append(m.Ranges, Range(line))
				return nil
			})
		case "Manifest-Checksum":
			err = damaged(dec.Decode(&checksum))
		default:
			err = fmt.Errorf("%w: it has %.40q in it", ErrDamaged, key)
		}
		if err != nil {
			return m, "", err
		}
	}
	if err := delimiter(dec, '}'); err != nil {
		return m, "", err
	}
	if m.Version == 0 || len(m.Ranges) == 0 {
		return m, "", fmt.Errorf("%w: it has no version or names no WAL", ErrDamaged)
	}
	// A server writes the newest timeline first.
	slices.SortStableFunc(m.Ranges, func(a, b Range) int { return cmp.Compare(a.Start, b.Start) })
	return m, checksum, nil
}

func (l fileLine) file() (File, error) {
	if l.Encoded != "" {
		name, err := hex.DecodeString(l.Encoded)
		if err != nil {
			return File{}, fmt.Errorf("%w: a path %.80q", ErrDamaged, l.Encoded)
		}
		l.Path = string(name)
	}
	switch {
	case l.Path == "" || path.Clean(l.Path) != l.Path || path.IsAbs(l.Path) || l.Path == ".." || strings.HasPrefix(l.Path, "../"):
		return File{}, fmt.Errorf("%w: a path %.80q", ErrDamaged, l.Path)
	case l.Size < 0:
		return File{}, fmt.Errorf("%w: %s has %d bytes", ErrDamaged, l.Path, l.Size)
	case l.Algorithm != "CRC32C" || len(l.Checksum) != 8:
		return File{}, fmt.Errorf("%w: the checksum of %s is no CRC32C", ErrDamaged, l.Path)
	}
	return File{Path: l.Path, Size: l.Size, CRC32C: strings.ToLower(l.Checksum)}, nil
}

func list(dec *json.Decoder, each func() error) error {
	if err := delimiter(dec, '['); err != nil {
		return err
	}
	for dec.More() {
		if err := each(); err != nil {
			return err
		}
	}
	return delimiter(dec, ']')
}

func delimiter(dec *json.Decoder, want json.Delim) error {
	got, err := dec.Token()
	if err != nil {
		return damaged(err)
	}
	if got != want {
		return fmt.Errorf("%w: %v stands where %v belongs", ErrDamaged, got, want)
	}
	return nil
}

// damaged tells bytes that are wrong from those that could not be read.
func damaged(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: it was cut off", ErrDamaged)
	case errors.As(err, &syntax), errors.As(err, &kind):
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}
