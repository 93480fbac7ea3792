package physical

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/basemanifest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/replication"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

const (
	// buffers is how many chunks of plain bytes are in memory: one that is filled, one
	// of the list, two that are compressed, and two in between.
	buffers = 6
	// parts are small, and two of them on their way while a third is filled.
	parts = 3
)

// chunkOf is how many bytes are compressed at once. Small chunks keep the memory
// small, and restores read by ranges; an index of them is read whole, so that there
// may not be too many: at most some 130,000 up to a terabyte.
func chunkOf(expected int64) int {
	size := 512 << 10
	for size < repo.ChunkSize && expected/int64(size) > 1<<17 {
		size *= 2
	}
	return size
}

// run is one base backup.
type run struct {
	Options
	abort   context.CancelCauseFunc // ends it from outside of its steps
	conn    *replication.Conn
	server  server
	archive repo.WALArchive
	found   bool // the archive is there
	base    *replication.BaseBackup
}

// lookForArchive finds the archive of the server's log. There may be none yet where the
// server archives: the backup makes it finish a segment.
func (r *run) lookForArchive(ctx context.Context) (err error) {
	r.archive, err = findArchive(ctx, r.Repo, r.Source, r.server.System)
	if errors.Is(err, ErrNoArchive) && r.server.archiving {
		return nil
	}
	if err != nil {
		return err
	}
	r.found = true
	return alive(ctx, r.Repo, r.archive, r.server.Timeline, r.server.At, r.server.segmentSize)
}

// begin has the server begin, under the source's lease: an incremental backup where one
// is wanted and possible, else a full one.
func (r *run) begin(ctx context.Context, w *point.Writing) (parent string, err error) {
	w.ServerAsked(r.server.asked)
	for _, s := range r.server.unknown() {
		w.Skip(s.What, s.Why)
	}
	ref, why, err := r.parent(ctx, r.Clock())
	if err != nil {
		return "", err
	}
	// A spread checkpoint says nothing for as long as the server's checkpoints take.
	limit := r.StallTimeout
	if r.What.Checkpoint == job.CheckpointSpread {
		limit += r.server.checkpoints
	}
	err = w.Timed("checkpoint", func() error {
		timer := time.AfterFunc(limit, func() {
			r.abort(fmt.Errorf("%w for %s: the server's checkpoint does not end; stall_timeout sets how long to wait", point.ErrStalled, limit))
		})
		defer timer.Stop()
		if ref.ID != "" {
			if err = r.upload(ctx, ref); err == nil {
				err = r.start(ctx, true)
			}
			if err == nil || hopeless(err) {
				return err
			}
			ref, why = repo.Ref{}, err.Error()
		}
		return r.start(ctx, false)
	})
	if why != "" && err == nil {
		w.Warn("%s", fallback(why))
	}
	if err == nil {
		w.Memory = point.Memory{Chunk: chunkOf(r.expected()), Buffers: max(buffers, 3*r.Compressors), Parts: parts, PartSize: objstore.MinPartSize}
	}
	return ref.ID, err
}

// expected is the server's estimate of all that is in its data directory, in bytes.
func (r *run) expected() (n int64) {
	for _, t := range r.base.Tablespaces {
		n += t.Bytes
	}
	return n
}

func fallback(why string) string {
	return "this is a full backup, and an incremental one was wanted: " + why + "; it needs PostgreSQL 17 or newer and summarize_wal = on, since before the backup it builds on"
}

func (r *run) start(ctx context.Context, incremental bool) (err error) {
	r.base, err = r.conn.BaseBackup(ctx, replication.BaseBackupOptions{
		Label: "pgbackup " + r.Source, Spread: r.What.Checkpoint == job.CheckpointSpread,
		MaxRate: r.What.MaxRate, Compression: r.What.Compression, Incremental: incremental,
	})
	return err
}

// fill stores what the server sends, and waits for the log of it.
func (r *run) fill(ctx context.Context, w *point.Writing) (m *repo.Manifest, err error) {
	w.Progress.Expected.Store(r.expected())
	if !r.found {
		if r.archive, err = waitForArchive(ctx, r.Repo, r.Source, r.server.System, r.walTimeout()); err != nil {
			return nil, err
		}
	}
	c := &copying{run: r, w: w, list: contents.NewDigest()}
	if err := w.Timed("copying", func() error { return c.copy(ctx) }); err != nil {
		return nil, err
	}
	stopped := r.server.clock(time.Now())
	if err := c.storeIndex(ctx); err != nil {
		return nil, err
	}
	for _, s := range r.base.LeftOut {
		w.Skip(s, "it is neither a directory nor an ordinary file: the server sends what a link leads to for tablespaces and pg_wal alone")
	}
	for _, s := range r.base.Warned {
		w.Warn("the server warned: %s", s)
	}
	if err := w.Timed("waiting for WAL", func() error {
		return waitForWAL(ctx, r.Repo, r.archive, c.manifest.Ranges, r.server.segmentSize, r.walTimeout())
	}); err != nil {
		return nil, err
	}
	return r.manifest(c, stopped), nil
}

// manifest of the point.
func (r *run) manifest(c *copying, stopped time.Time) *repo.Manifest {
	m := &repo.Manifest{
		Tool:         "BASE_BACKUP",
		Server:       r.server.manifest(),
		Verification: repo.Verification{Archive: true},
		Totals:       repo.Totals{Files: c.list.Files, Bytes: c.list.Bytes},
		Physical: &repo.Physical{
			StartLSN: r.base.Start, StopLSN: r.base.Stop, Timeline: r.base.Timeline,
			SegmentSize: r.server.segmentSize, BlockSize: r.server.blockSize, Stopped: stopped,
			PageChecksums: r.server.checksums, DataDirectory: r.server.cluster.DataDirectory,
			Superuser: r.server.cluster.Superuser, Settings: r.server.cluster.Settings, Full: c.list.Bytes,
		},
	}
	m.Server.LSN, m.Server.Timeline = r.base.Start.String(), uint32(r.base.Timeline)
	if c.w.Ref().Parent != "" {
		m.Physical.Full = r.expected()
	}
	for _, t := range r.base.Tablespaces {
		if t.OID != 0 {
			m.Physical.Tablespaces = append(m.Physical.Tablespaces, repo.Tablespace{OID: t.OID, Location: t.Location, Bytes: t.Bytes})
		}
	}
	return m
}

// copying is the part of a run in which the server sends.
type copying struct {
	*run
	w        *point.Writing
	list     *contents.Digest
	manifest basemanifest.Manifest
	kept     *kept // the manifest as it came
	chunks   []repo.Chunk
}

// copy stores the tar and its list. The first failure ends all: the server's own words,
// not what followed from them.
func (c *copying) copy(ctx context.Context) error {
	archive := c.w.NewStream(ctx, contents.StreamArchive)
	ctx = archive.Context()
	entries := c.w.Stream(ctx, contents.StreamEntries, 1)
	// A store that hangs must end the reading too.
	stop := context.AfterFunc(ctx, c.conn.Break)
	err := c.relay(archive, entries)
	stop()
	if err != nil {
		entries.Fail(err)
	}
	_, listErr := entries.Close()
	if err == nil {
		err = listErr
	}
	err = archive.Close(err)
	c.chunks = archive.Chunks()
	return err
}

// relay passes the archives on, holds them against the server's manifest, and ends
// the backup on the server.
func (c *copying) relay(archive, entries io.Writer) error {
	seen := basemanifest.NewSeen()
	to := &relay{to: archive, seen: seen, list: func(e contents.Entry) error {
		line, err := c.list.Add(e)
		if err == nil {
			_, err = entries.Write(line)
		}
		c.w.Progress.Item.Store(&e.Path)
		return err
	}}
	for i := 0; ; i++ {
		a, err := c.base.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if i >= len(c.base.Tablespaces) || a.Location != c.base.Tablespaces[i].Location {
			return fmt.Errorf("the server sent an archive %s of %q, which it did not announce", a.Name, a.Location)
		}
		below := ""
		if oid := c.base.Tablespaces[i].OID; oid != 0 {
			below = belowOf(oid)
		}
		to.begin(below)
		if _, err := a.WriteTo(to); err != nil {
			return err
		}
		if err := to.end(); err != nil {
			return err
		}
	}
	if err := c.readManifest(); err != nil {
		return err
	}
	if err := c.base.End(); err != nil {
		return err
	}
	if err := c.compare(seen); err != nil {
		return err
	}
	body, err := c.kept.open()
	if err != nil {
		return err
	}
	defer body.Close()
	return to.close(body, c.kept.size, c.Clock())
}

func (c *copying) readManifest() (err error) {
	if c.kept, err = newKept(); err != nil {
		return err
	}
	if _, err = c.base.Manifest(c.kept); err != nil {
		return err
	}
	return c.kept.Close()
}

// compare holds every file that came against the server's manifest, and that against
// its own checksum and where the server says that the backup lies.
func (c *copying) compare(seen *basemanifest.Seen) error {
	body, err := c.kept.open()
	if err != nil {
		return err
	}
	defer body.Close()
	if c.manifest, err = basemanifest.Read(body, seen.Check); err != nil {
		return err
	}
	if err := seen.Complete(); err != nil {
		return err
	}
	first, last := c.manifest.Ranges[0], c.manifest.Ranges[len(c.manifest.Ranges)-1]
	if first.Timeline != c.base.Timeline || first.Start != c.base.Start || last.Timeline != c.base.StopTimeline || last.End != c.base.Stop {
		return fmt.Errorf("the server says that the backup lies from %s to %s, and its manifest from %s to %s", c.base.Start, c.base.Stop, first.Start, last.End)
	}
	if s := c.manifest.System; s != "" && s != c.server.System {
		return fmt.Errorf("the server has system identifier %s, and its manifest %s", c.server.System, s)
	}
	return nil
}

// storeIndex stores where the tar lies, and the manifest for the next incremental one.
func (c *copying) storeIndex(ctx context.Context) error {
	data, err := json.Marshal(&repo.Index{Format: 1, Stream: contents.StreamArchive, Chunks: c.chunks})
	if err != nil {
		return err
	}
	if err := c.w.WriteStream(ctx, repo.StreamIndex, data); err != nil {
		return err
	}
	body, err := c.kept.open()
	if err != nil {
		return err
	}
	defer body.Close()
	s := c.w.Stream(ctx, contents.StreamManifest, 1)
	if _, err := io.Copy(s, body); err != nil {
		s.Fail(err)
	}
	_, err = s.Close()
	return err
}

// because puts first why the context ended, where that is the reason.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}
