package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/receive"
)

// archived puts base backups and WAL of some weeks into a repository, of which a
// rotation has some to delete.
func (c *cloud) archived(r *repo.Repository, source string) {
	c.t.Helper()
	at := repo.WALArchive{Source: source, System: someSystem}
	for i, days := range []int{30, 20, 10, 1} {
		segment := pgwal.Segment{Timeline: 1, Number: uint64(i + 1)}
		when := time.Now().AddDate(0, 0, -days)
		_, err := r.PutWAL(c.t.Context(), at, repo.WALInfo{
			Name: segment.Name(someSize), SegmentSize: someSize, Major: 15, First: segment.Start(someSize), Last: segment.End(someSize),
			FirstCommit: when, LastCommit: when, Archived: when,
		}, make([]byte, someSize))
		c.check(err)
		c.base(r, source, segment, when)
	}
}

// The server of base backups that were never taken.
const (
	someSystem = "7300000000000000001"
	someSize   = 1 << 20
)

// base commits a base backup that needs one segment.
func (c *cloud) base(r *repo.Repository, source string, segment pgwal.Segment, when time.Time) {
	c.t.Helper()
	p, err := r.NewPoint(source, string(job.KindPhysical), when, repo.WriterOptions{})
	c.check(err)
	c.check(p.WriteStream(c.t.Context(), "archive", []byte("a base backup")))
	start := segment.Start(someSize) + 40
	c.check(p.Commit(c.t.Context(), &repo.Manifest{
		End: when, Policy: "prod", PolicyRevision: 1, Server: repo.Server{Major: 15, SystemIdentifier: someSystem},
		Physical: &repo.Physical{StartLSN: start, StopLSN: start + 100, Timeline: 1, SegmentSize: someSize, BlockSize: 8192, Stopped: when},
	}))
}

// large gives the server segments that are too large for one request.
func (c *cloud) large() {
	c.t.Helper()
	c.pg.Exec(c.t, "postgres", "ALTER SYSTEM SET min_wal_size = '160MB'")
	c.check(c.pg.Halt(syscall.SIGINT))
	if out, err := c.pg.Command(context.Background(), "pg_resetwal", "--wal-segsize=64", "-D", c.pg.DataDir).CombinedOutput(); err != nil {
		c.t.Fatalf("pg_resetwal: %v: %s", err, out)
	}
	c.check(c.pg.Resume(context.Background()))
}

// finished ends the segment that is written, and gives its path.
func (c *cloud) finished() string {
	c.t.Helper()
	name := ""
	conn := c.pg.Connect(c.t, "postgres")
	_, err := conn.Exec(c.t.Context(), "SELECT pg_logical_emit_message(true, 'test', repeat('x', 1000))")
	c.check(err)
	c.check(conn.QueryRow(c.t.Context(), "SELECT pg_walfile_name(pg_switch_wal())").Scan(&name))
	return filepath.Join(c.pg.DataDir, "pg_wal", name)
}

// pushes hands over a segment, and once more by a server that lost its notes of that;
// then its timer runs.
func (c *cloud) pushes(j job.Job, rec *recorder) {
	c.t.Helper()
	file, segment := c.file(j), c.finished()
	for range 2 {
		c.run(rec, "wal", "push", "--job", file, "--spool", c.t.TempDir(), segment)
	}
	c.run(rec, append(j.Words(), "--job", file)...)
}

// backsUp takes base backups while a receiver is at work, of which later ones put
// earlier ones, with their WAL, beyond what the policy keeps.
func (c *cloud) backsUp(j job.Job, r *repo.Repository, rec *recorder) {
	c.t.Helper()
	ctx, stop := context.WithCancel(c.t.Context())
	ended := make(chan error, 1)
	target, err := postgres.ParseTarget(c.pg.URL("postgres"))
	c.check(err)
	go func() {
		ended <- receive.Run(ctx, receive.Options{
			Repo: r, Source: j.Source, Target: target, WAL: job.WAL{Mode: job.WALReceive, Spool: c.t.TempDir()},
			Self: repo.Self(), Log: slog.New(slog.DiscardHandler),
		})
	}()
	for range 2 {
		c.finished()
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
		c.run(rec, append(j.Words(), "--job", c.file(j))...)
	}
	stop()
	c.check(<-ended)
}

// receives streams until what was written is in the repository, as whole segments, and
// the pieces of them are gone.
func (c *cloud) receives(j job.Job, r *repo.Repository, rec *recorder) {
	c.t.Helper()
	ctx, stop := context.WithTimeout(c.t.Context(), time.Minute)
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.runUntil(ctx, rec, append(j.Words(), "--job", c.file(j), "--every", "1s")...)
	}()
	pieces, whole := false, false
	for ctx.Err() == nil && (!pieces || !whole) {
		for _, at := range must(r.WALArchives(ctx, "")) {
			for _, f := range must(r.ListWAL(ctx, at, 0)) {
				pieces, whole = pieces || f.IsPiece(), whole || !f.IsPiece()
			}
		}
		if pieces { // of the segment that now ends
			c.finished()
		}
		time.Sleep(300 * time.Millisecond)
	}
	time.Sleep(2 * time.Second) // the pieces of the whole segment go after it came
	stop()
	<-ended
	if !pieces || !whole {
		c.t.Errorf("received in a minute: pieces %v, a whole segment %v", pieces, whole)
	}
}

func must[T any](value T, _ error) T { return value }

func TestAJobOfContinuousProtectionNeedsExactlyWhatItsPolicyAllows(t *testing.T) {
	c := newCloud(t)
	c.large()
	for name, body := range map[string]job.Job{
		"wal_push":    {Kind: job.KindWAL, WAL: &job.WAL{Mode: job.WALPush, Server: c.server()}},
		"wal_receive": {Kind: job.KindWAL, WAL: &job.WAL{Mode: job.WALReceive, Server: c.server(), Spool: t.TempDir()}},
		"physical":    {Kind: job.KindPhysical, Physical: &job.Physical{Server: c.server()}},
	} {
		t.Run(name, func(t *testing.T) {
			c.exactly(t, body, iampolicy.Targets()[2], func(here *cloud, j job.Job, locked bool) *recorder {
				here.t.Helper()
				j.Source = sourceName
				r := here.repository(j)
				if j.Kind.MakesPoints() {
					here.base(r, j.Source, pgwal.Segment{Timeline: 1, Number: 1}, time.Now().AddDate(0, 0, -400))
					rotation := j // after which what will be deleted is in a tier
					rotation.Kind, rotation.Physical = job.KindRotate, nil
					here.run(nil, "rotate", "--job", here.file(rotation))
					here.litter(j, here.began(r, j.Kind, 402).Ref())
				}
				if locked {
					here.check(r.SetProtection(here.t.Context(), repo.Protection{Mode: "GOVERNANCE", Days: 1}, time.Now(), "a test"))
					here.almostOver(j)
				}
				at, err := job.ParseRepository(j.Repository)
				here.check(err)
				rec := &recorder{account: account, region: here.cfg.Region, repository: metric.Repository(at)}
				switch {
				case j.Pushes():
					here.pushes(j, rec)
				case j.Receives():
					here.receives(j, r, rec)
				default:
					here.backsUp(j, r, rec)
				}
				return rec
			})
		})
	}
}
