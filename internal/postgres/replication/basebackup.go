package replication

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// BaseBackupMajor is the oldest major whose BASE_BACKUP is understood: 15 brought
// the options in parentheses and one COPY for all tablespaces.
const BaseBackupMajor = 15

// BaseBackupOptions of BaseBackup. The zero value is a full backup at once.
type BaseBackupOptions struct {
	Label       string // told in backup_label and in the server's log
	Spread      bool   // a checkpoint as slow as the server's own, instead of at once
	MaxRate     int64  // bytes a second that the server sends with; 0 = no limit
	Compression string // zstd, lz4 or gzip: how the server compresses what it sends; "" = not
	// Incremental: what changed since the backup whose manifest UploadManifest sent.
	Incremental bool
	// NoPageChecksums: the server does not verify the checksums of pages.
	NoPageChecksums bool
}

// Tablespace of a base backup. The last one, of OID 0, is the data directory.
type Tablespace struct {
	OID      uint32
	Location string // on the server
	Bytes    int64  // an estimate by the server of the tar
}

// BaseBackup is a base backup that the server is sending. Read Next until io.EOF,
// then Manifest, then End.
//
//	start position, tablespaces, then one COPY of
//	  'n' name location   an archive begins
//	  'd' bytes           of the archive, or of the manifest
//	  'p' count           progress
//	  'm'                 the manifest begins
//	stop position
//
// Source: "Streaming Replication Protocol" of PostgreSQL's documentation, BASE_BACKUP.
type BaseBackup struct {
	Start, Stop  pgwal.LSN // Stop is known after End
	Timeline     pgwal.Timeline
	StopTimeline pgwal.Timeline // known after End
	Tablespaces  []Tablespace   // in the order of the archives
	LeftOut      []string       // files that the server leaves out, since they are neither directories nor ordinary files
	Warned       []string       // what else it warned of; complete after End

	conn    *Conn
	ctx     context.Context
	release func() bool // of what ends the connection with ctx

	files   []string // that warnings are about
	archive *Archive // being read
	next    *Archive // announced
	place   place
	data    []byte // of the message received last, until the next one
}

// place is where in the COPY the reading is.
type place uint8

const (
	inArchives place = iota
	inManifest
	afterCopy
)

// UploadManifest tells the server which backup the next incremental one builds on:
// manifest is its backup_manifest (PostgreSQL 17 and newer). What it refuses is
// ErrNotIncremental.
func (c *Conn) UploadManifest(ctx context.Context, manifest io.Reader) error {
	if _, err := c.conn.CopyFrom(ctx, manifest, "UPLOAD_MANIFEST"); err != nil {
		return notIncremental(fmt.Errorf("tell %s which backup to build on: %w", c.target, err))
	}
	return nil
}

// BaseBackup begins a base backup: it returns when the server's checkpoint is
// done. ctx ends it at any time, and with it the connection. A refusal leaves the
// connection usable; that of an incremental one is ErrNotIncremental.
func (c *Conn) BaseBackup(ctx context.Context, o BaseBackupOptions) (*BaseBackup, error) {
	if c.major < BaseBackupMajor {
		return nil, fmt.Errorf("base backup of %s: it is PostgreSQL %d, and base backups are taken of %d and newer; a logical backup works with every version", c.target, c.major, BaseBackupMajor)
	}
	b := &BaseBackup{conn: c, ctx: ctx}
	b.release = context.AfterFunc(ctx, c.Break)
	fail := func(err error) (*BaseBackup, error) {
		b.release()
		err = fmt.Errorf("base backup of %s: %w", c.target, err)
		if o.Incremental {
			err = notIncremental(err)
		}
		return nil, err
	}
	c.conn.Frontend().SendQuery(&pgproto3.Query{String: o.command()})
	if err := c.conn.Frontend().Flush(); err != nil {
		return fail(b.because(err))
	}
	if err := b.begin(); err != nil {
		return fail(err)
	}
	return b, nil
}

// command writes the options as a replication command.
func (o BaseBackupOptions) command() string {
	var options []string
	add := func(name, value string) { options = append(options, name+" "+value) }
	text := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	add("LABEL", text(o.Label))
	add("PROGRESS", "true") // sizes of the tablespaces
	if o.Spread {
		add("CHECKPOINT", "'spread'")
	} else {
		add("CHECKPOINT", "'fast'")
	}
	if o.MaxRate > 0 {
		add("MAX_RATE", strconv.FormatInt(min(max(o.MaxRate>>10, 32), 1<<20), 10)) // KiB a second
	}
	// WAL goes its own way into the repository, and whether it came there is for us
	// to find out: the server would wait for its archiver alone.
	add("WAL", "false")
	add("WAIT", "false")
	// A tar with the links instead: the file would be in the manifest.
	add("TABLESPACE_MAP", "false")
	add("VERIFY_CHECKSUMS", strconv.FormatBool(!o.NoPageChecksums))
	add("MANIFEST", "'yes'")
	add("MANIFEST_CHECKSUMS", "'CRC32C'")
	if o.Compression != "" {
		add("COMPRESSION", text(o.Compression))
	}
	if o.Incremental {
		options = append(options, "INCREMENTAL")
	}
	return "BASE_BACKUP (" + strings.Join(options, ", ") + ")"
}

// begin reads what comes before the COPY.
func (b *BaseBackup) begin() (err error) {
	if b.Start, b.Timeline, err = b.position(); err != nil {
		return err
	}
	err = b.rows(3, func(row [][]byte) error {
		t := Tablespace{Location: string(row[1])}
		if row[0] != nil {
			oid, err := strconv.ParseUint(string(row[0]), 10, 32)
			if err != nil {
				return fmt.Errorf("the server names a tablespace %.40q", row[0])
			}
			t.OID = uint32(oid)
		}
		kilobytes, err := strconv.ParseInt(string(row[2]), 10, 64)
		if row[2] != nil && err != nil {
			return fmt.Errorf("the server tells %.40q as a size", row[2])
		}
		t.Bytes = kilobytes << 10
		b.Tablespaces = append(b.Tablespaces, t)
		return nil
	})
	if err != nil {
		return err
	}
	if msg, err := b.message(); err != nil {
		return err
	} else if _, ok := msg.(*pgproto3.CopyOutResponse); !ok {
		return unexpected(msg)
	}
	return b.advance()
}

// position reads a result of one row: a position and its timeline.
func (b *BaseBackup) position() (at pgwal.LSN, timeline pgwal.Timeline, err error) {
	n := 0
	err = b.rows(2, func(row [][]byte) error {
		n++
		t, err := strconv.ParseUint(string(row[1]), 10, 32)
		if err != nil || t == 0 {
			return fmt.Errorf("the server tells %.40q as its timeline", row[1])
		}
		timeline = pgwal.Timeline(t)
		at, err = pgwal.ParseLSN(string(row[0]))
		return err
	})
	if err == nil && n != 1 {
		err = fmt.Errorf("the server told %d positions instead of one", n)
	}
	return at, timeline, err
}

// rows reads one result of at least so many columns.
func (b *BaseBackup) rows(columns int, each func([][]byte) error) error {
	for {
		msg, err := b.message()
		if err != nil {
			return err
		}
		switch msg := msg.(type) {
		case *pgproto3.RowDescription:
		case *pgproto3.DataRow:
			if len(msg.Values) < columns {
				return fmt.Errorf("the server answered with %d columns instead of %d", len(msg.Values), columns)
			}
			if err := each(msg.Values); err != nil {
				return err
			}
		case *pgproto3.CommandComplete:
			return nil
		default:
			return unexpected(msg)
		}
	}
}

// message receives the next message that says something. Each is valid until the
// next one.
func (b *BaseBackup) message() (pgproto3.BackendMessage, error) {
	for {
		// Without a context: watching one costs more than a message. The connection is
		// closed when ours ends.
		msg, err := b.conn.conn.ReceiveMessage(context.Background())
		if err != nil {
			return nil, b.because(fmt.Errorf("the connection to the server broke, and its log says why if it was the server: %w", err))
		}
		switch msg := msg.(type) {
		case *pgproto3.NoticeResponse:
			b.notice(msg)
		case *pgproto3.ParameterStatus:
		case *pgproto3.ErrorResponse:
			return nil, b.refused(pgconn.ErrorResponseToPgError(msg))
		default:
			return msg, nil
		}
	}
}

// because puts first why the context ended, where that is the reason.
func (b *BaseBackup) because(err error) error {
	if cause := context.Cause(b.ctx); cause != nil {
		return cause
	}
	return err
}

// refused makes the connection ready again after an error of the server.
func (b *BaseBackup) refused(err *pgconn.PgError) error {
	for {
		msg, broken := b.conn.conn.ReceiveMessage(context.Background())
		if broken != nil {
			break
		}
		if _, ready := msg.(*pgproto3.ReadyForQuery); ready {
			break
		}
	}
	return b.because(b.explain(err))
}

// advance receives the next message of the COPY. After it data has bytes of the
// archive or the manifest, or next has the archive that begins, or place changed.
func (b *BaseBackup) advance() error {
	b.data = nil
	for {
		msg, err := b.message()
		if err != nil {
			return err
		}
		copied, ok := msg.(*pgproto3.CopyData)
		if !ok {
			if _, done := msg.(*pgproto3.CopyDone); done {
				b.place = afterCopy
				return nil
			}
			return unexpected(msg)
		}
		if len(copied.Data) == 0 {
			return errors.New("the server sent an empty message in the middle of a base backup")
		}
		switch kind, rest := copied.Data[0], copied.Data[1:]; kind {
		case 'd':
			b.data = rest
			return nil
		case 'n':
			name, location, ok := strings.Cut(string(rest), "\x00")
			if !ok || b.place != inArchives {
				return errors.New("the server began an archive in a way that is not understood")
			}
			b.next = &Archive{Name: name, Location: strings.TrimSuffix(location, "\x00"), from: b}
			return nil
		case 'm':
			b.place = inManifest
			return nil
		case 'p':
			if len(rest) < 8 || binary.BigEndian.Uint64(rest) > 1<<62 {
				return errors.New("the server told its progress in a way that is not understood")
			}
		default:
			return fmt.Errorf("the server sent a part of a base backup of type %q, which is not known", kind)
		}
	}
}

// Next is the next archive, after what is left of the one before; io.EOF after
// the last one.
func (b *BaseBackup) Next() (*Archive, error) {
	if b.archive != nil {
		if err := b.archive.discard(); err != nil {
			return nil, err
		}
	}
	switch {
	case b.next != nil:
		b.archive, b.next = b.next, nil
		return b.archive, nil
	case b.data != nil:
		return nil, errors.New("the server sent bytes that belong to no archive")
	}
	return nil, io.EOF
}

// Manifest writes the server's backup_manifest to w.
func (b *BaseBackup) Manifest(w io.Writer) (int64, error) {
	if b.place != inManifest {
		return 0, errors.New("the server sent no backup manifest")
	}
	var total int64
	for {
		if err := b.advance(); err != nil {
			return total, err
		}
		if b.place == afterCopy {
			return total, nil
		}
		if b.data == nil {
			return total, errors.New("the server sent a second manifest")
		}
		n, err := w.Write(b.data)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
}

// End reads where the backup ends. Pages whose checksum is wrong are a
// *PageChecksumError: the server tells of them while it sends, and fails at the end.
func (b *BaseBackup) End() (err error) {
	defer b.release()
	if b.place != afterCopy {
		return errors.New("the base backup did not come to its end")
	}
	if b.Stop, b.StopTimeline, err = b.position(); err != nil {
		return err
	}
	for {
		msg, err := b.message()
		if err != nil {
			return err
		}
		switch msg.(type) {
		case *pgproto3.CommandComplete:
		case *pgproto3.ReadyForQuery:
			return nil
		default:
			return unexpected(msg)
		}
	}
}

func unexpected(msg pgproto3.BackendMessage) error {
	return fmt.Errorf("the server sent %T where the protocol has something else", msg)
}

// Break cuts the connection, from any goroutine: whatever waits for the server fails.
func (c *Conn) Break() { _ = c.conn.Conn().Close() }
