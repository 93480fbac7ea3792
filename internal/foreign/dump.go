package foreign

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"sort"
	"sync/atomic"
	"syscall"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// dump is a source that was recognised.
type dump struct {
	source    *Source
	key       Key
	format    Format
	layers    []string
	encrypted bool
	head      archiveHead // of archives
	tools     postgres.Tools
	unpacked  *unpacked // of a tar of a directory archive
	read      *atomic.Int64
}

// openDump finds out what a source is. A tar of a directory archive is unpacked
// below tempDir, until close. read counts stored bytes as they are read.
func openDump(ctx context.Context, source *Source, key Key, tempDir string, read *atomic.Int64) (d *dump, err error) {
	d = &dump{source: source, key: key, read: read}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%s: %w", source.Name, err), d.close())
		}
	}()
	var head []byte
	if source.Directory != "" {
		d.format = Directory
		if head, err = d.headOfFolder(source.Directory); err != nil {
			return d, err
		}
	} else {
		s, err := d.open(ctx)
		if err != nil {
			return d, err
		}
		defer s.Close()
		d.format, d.layers, d.encrypted = s.format, s.layers, s.encrypted
		switch d.format {
		case TarFolder:
			limit, err := room(tempDir)
			if err != nil {
				return d, err
			}
			if d.unpacked, err = unpackTar(ctx, s, tempDir, limit); err != nil {
				return d, err
			}
			if head, err = d.headOfFolder(d.unpacked.folder); err != nil {
				return d, err
			}
		case Custom, Tar:
			if head, err = s.Peek(headSize); err != nil && !errors.Is(err, io.EOF) {
				return d, err
			}
			if d.format == Tar {
				head = head[min(tarBlock, len(head)):]
			}
		}
	}
	if !d.archive() {
		return d, nil
	}
	if d.head, err = parseArchiveHead(head); err != nil {
		return d, err
	}
	// pg_restore must know the archive, so it is of the pg_dump's major at least.
	d.tools, err = postgres.FindTools(ctx, majorOf(d.head.dumpVersion))
	return d, err
}

func (d *dump) headOfFolder(folder string) ([]byte, error) {
	f, err := os.Open(filepath.Join(folder, toc))
	if err != nil {
		return nil, plainPathError(err)
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, headSize))
	if err != nil {
		return nil, plainPathError(err)
	}
	if len(head) <= archiveFormat || head[archiveFormat] != formatTar {
		return nil, fmt.Errorf("%w: its %s is not that of a directory dump", ErrUnknown, toc)
	}
	return head, nil
}

// archive tells what pg_restore has to read.
func (d *dump) archive() bool { return d.format != SQL && d.format != SQLOfAll }

func (d *dump) close() error {
	if d.unpacked == nil {
		return nil
	}
	err := d.unpacked.remove()
	d.unpacked = nil
	return err
}

// path is where pg_restore can read the archive by itself, "" when it has to come
// through a pipe.
func (d *dump) path() string {
	switch {
	case d.format == Directory:
		return d.source.Directory
	case d.unpacked != nil:
		return d.unpacked.folder
	case d.archive() && len(d.layers) == 0:
		return d.source.Local
	}
	return ""
}

// checkTar reads the tar to its end.
func (d *dump) checkTar(ctx context.Context) error {
	o, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	return checkTar(ctx, o)
}

func (d *dump) as() postgres.Archive {
	formats := map[Format]string{Custom: "custom", Tar: "tar", Directory: "directory", TarFolder: "directory"}
	return postgres.Archive{Format: formats[d.format], Path: d.path()}
}

// opened is a stream over the bytes of a source, which are counted and hashed.
type opened struct {
	*stream
	raw *metered
}

func (d *dump) open(ctx context.Context) (*opened, error) {
	body, err := d.source.Open(ctx)
	if err != nil {
		return nil, err
	}
	raw := &metered{ReadCloser: body, ctx: ctx, hash: sha256.New(), n: d.read}
	s, err := unwrap(ctx, raw, d.key)
	if err != nil {
		return nil, errors.Join(err, body.Close())
	}
	return &opened{s, raw}, nil
}

// Close ends the reading.
func (o *opened) Close() {
	o.stream.Close()
	_ = o.raw.Close() // it was only read
}

// metered counts and hashes what is read, and ends with its context.
type metered struct {
	io.ReadCloser
	ctx  context.Context
	hash hash.Hash
	n    *atomic.Int64 // may be nil
}

func (m *metered) Read(p []byte) (int, error) {
	if m.ctx.Err() != nil {
		return 0, context.Cause(m.ctx)
	}
	n, err := m.ReadCloser.Read(p)
	m.hash.Write(p[:n])
	if m.n != nil {
		m.n.Add(int64(n))
	}
	return n, err
}

// script is the SQL of a dump. It ends with io.EOF only when everything up to the
// end of the source was good.
type script struct {
	io.Reader
	o       *opened // nil for an archive that pg_restore reads by itself
	process *postgres.Process
	fed     chan error
	head    bool // only the head of the source is read
	cancel  context.CancelFunc
}

// script gives the SQL of the dump. With schema that is all but the data, where
// the format allows to leave that out, and with what makes the database.
func (d *dump) script(ctx context.Context, schema bool) (*script, error) {
	s := &script{head: schema}
	ctx, s.cancel = context.WithCancel(ctx)
	var err error
	if d.path() == "" {
		if s.o, err = d.open(ctx); err != nil {
			s.cancel()
			return nil, fmt.Errorf("%s: %w", d.source.Name, err)
		}
	}
	if !d.archive() {
		s.Reader, s.head = s.o, false
		return s, nil
	}
	s.process, err = postgres.ArchiveText(ctx, d.tools, d.as(), postgres.TextOptions{SchemaOnly: schema, Create: schema})
	if err != nil {
		s.cancel()
		if s.o != nil {
			s.o.Close()
		}
		return nil, err
	}
	s.Reader = s.process.Stdout
	if s.o != nil {
		s.fed = make(chan error, 1)
		go func() {
			_, err := io.Copy(s.process.Stdin, s.o)
			if errors.Is(err, syscall.EPIPE) {
				err = nil // pg_restore has what it needs, or says why not
				if !s.head {
					_, err = io.Copy(io.Discard, s.o)
				}
			}
			if err != nil {
				s.process.Kill() // it would take a cut archive for a whole one
			}
			_ = s.process.Stdin.Close()
			s.fed <- err
		}()
	}
	return s, nil
}

// Read gives SQL. Its end is the end of all: of pg_restore, and of the source.
func (s *script) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	if s.process != nil {
		var fed error
		if s.fed != nil {
			fed, s.fed = <-s.fed, nil
		}
		waited := s.process.Wait()
		if fed != nil {
			return n, fed
		}
		if waited != nil {
			return n, waited
		}
	}
	return n, io.EOF
}

// sum is the SHA-256 of what was read of the source, in hex. It is that of the
// whole source when Read has given io.EOF; "" where pg_restore read by itself.
func (s *script) sum() (string, error) {
	if s.o == nil || s.head {
		return "", nil
	}
	// Behind the last wrapping nothing but its own end may be left.
	if _, err := io.Copy(io.Discard, s.o.raw); err != nil {
		return "", err
	}
	return hex.EncodeToString(s.o.raw.hash.Sum(nil)), nil
}

// Close ends pg_restore and the reading, wherever they are.
func (s *script) Close() {
	if s.process != nil {
		s.process.Kill()
		s.process.Stdout.Close()
	}
	s.cancel()
	if s.process != nil {
		_ = s.process.Wait() // what it has to say was heard, or nobody asks
		if s.fed != nil {
			<-s.fed //nolint:errcheck // why feeding ended was heard, or nobody asks
		}
	}
	if s.o != nil {
		s.o.Close()
	}
}

// Digest reads a source once and returns the SHA-256 of its stored bytes in hex,
// and their number. That of a directory dump is of its files' names and digests.
func Digest(ctx context.Context, source *Source) (sum string, size int64, err error) {
	if source.Directory == "" {
		body, err := source.Open(ctx)
		if err != nil {
			return "", 0, err
		}
		defer body.Close()
		m := &metered{ReadCloser: body, ctx: ctx, hash: sha256.New()}
		size, err := io.Copy(io.Discard, m)
		if err != nil {
			return "", 0, fmt.Errorf("read %s: %w", source.Name, err)
		}
		return hex.EncodeToString(m.hash.Sum(nil)), size, nil
	}
	entries, err := os.ReadDir(source.Directory)
	if err != nil {
		return "", 0, plainPathError(err)
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].Name() < entries[j].Name() })
	all := sha256.New()
	for _, e := range entries {
		if !member.MatchString(e.Name()) {
			continue
		}
		file, err := local(filepath.Join(source.Directory, e.Name()))
		if err != nil {
			return "", 0, err
		}
		one, n, err := Digest(ctx, file)
		if err != nil {
			return "", 0, err
		}
		fmt.Fprintf(all, "%s %s\n", one, e.Name())
		size += n
	}
	return hex.EncodeToString(all.Sum(nil)), size, nil
}
