package push

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/control"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// identify finds the system identifier: of a segment in its own header, which must be
// that of the data directory where there is one; of other files there alone.
func (p *pusher) identify() (string, error) {
	data := p.dataDirectory()
	of, err := control.System(data)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	kind, _ := pgwal.KindOfFile(p.asked)
	if kind == pgwal.HistoryFile || kind == pgwal.BackupFile {
		if of == "" {
			return "", fmt.Errorf("it does not say which server it is of, and %s has no global/pg_control: give --data-directory", data)
		}
		return of, nil
	}
	f, err := os.Open(filepath.Join(p.folder, p.asked))
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	first := make([]byte, 40)
	if n, err := io.ReadFull(f, first); err != nil {
		return "", fmt.Errorf("%w: it has %d bytes", pgwal.ErrNotWAL, n)
	}
	number, _, _, _, err := pgwal.LongHeader(first)
	if err != nil {
		return "", err
	}
	system := strconv.FormatUint(number, 10)
	if of != "" && of != system {
		return "", fmt.Errorf("%w: it is of system %s, and the data directory %s of system %s: it came from another server", pgwal.ErrNotWAL, system, data, of)
	}
	return system, nil
}

// dataDirectory is the one given, or what the file's folder lies in. pg_wal may be a
// symbolic link to elsewhere: then the server gives a path relative to it.
func (p *pusher) dataDirectory() string {
	if p.DataDirectory != "" {
		return p.DataDirectory
	}
	if here, err := os.Getwd(); err == nil && !filepath.IsAbs(p.Path) {
		return here
	}
	return filepath.Dir(p.folder)
}

// sumOf is the SHA-256 of a file in hexadecimal, read with little memory.
func sumOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{f}, make([]byte, 256<<10)); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// open opens a file to be stored.
func (p *pusher) open(name string) (*os.File, int64, error) {
	f, err := os.Open(filepath.Join(p.folder, name))
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() == 0) {
		err = fmt.Errorf("%w: it has %d bytes and mode %s", pgwal.ErrNotWAL, info.Size(), info.Mode())
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// describe checks that the content is what the name says, of this server, and tells what
// is in it.
func (p *pusher) describe(name string, f io.Reader) (repo.WALInfo, error) {
	h := sha256.New()
	seen := io.TeeReader(f, h)
	info, system, err := repo.DescribeWALFrom(name, seen, p.Now().Truncate(time.Microsecond), p.Host)
	switch {
	case err != nil && (system == "" || errors.Is(err, pgwal.ErrNotWAL)):
		return info, err
	case system != "" && system != p.system:
		return info, fmt.Errorf("%w: it is of system %s", pgwal.ErrNotWAL, system)
	case err != nil:
		// It is what the server has. Kept out, it would hold up all that comes after it.
		p.Log.Warn("a segment is archived as it is, but recovery will end in it", "error", err)
	}
	if _, err := io.Copy(io.Discard, seen); err != nil {
		return info, err
	}
	info.SHA256 = hex.EncodeToString(h.Sum(nil))
	return info, nil
}
