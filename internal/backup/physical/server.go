package physical

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/replication"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// server is what is known before a backup begins.
type server struct {
	replication.Identity
	cluster     postgres.Cluster
	noSQL       error // why the cluster was not asked by SQL; what it alone tells is then missing
	asked       time.Time
	segmentSize uint64
	blockSize   uint32
	checksums   bool          // of pages
	archiving   bool          // archive_mode is not off
	checkpoints time.Duration // checkpoint_timeout: a spread checkpoint takes no longer
}

// inspect asks the server over the connection for replication, and by SQL for what
// that does not tell. A role that may do nothing but replicate can still back up.
func inspect(ctx context.Context, o Options, c *replication.Conn) (s server, err error) {
	if c.Major() < replication.BaseBackupMajor {
		return s, fmt.Errorf("%s is PostgreSQL %d, and base backups are taken of %d and newer; a logical backup works with every version", o.Target, c.Major(), replication.BaseBackupMajor)
	}
	if s.Identity, err = c.Identify(ctx); err != nil {
		return s, err
	}
	if s.segmentSize, err = c.SegmentSize(ctx); err != nil {
		return s, err
	}
	shown := map[string]string{}
	for _, name := range []string{"block_size", "data_checksums", "archive_mode", "checkpoint_timeout"} {
		if shown[name], err = c.Show(ctx, name); err != nil {
			return s, err
		}
	}
	size, err := strconv.ParseUint(shown["block_size"], 10, 32)
	if err != nil {
		return s, fmt.Errorf("%s tells %.40q as its block_size", o.Target, shown["block_size"])
	}
	s.blockSize, s.checksums, s.archiving = uint32(size), shown["data_checksums"] == "on", shown["archive_mode"] != "off"
	s.checkpoints = interval(shown["checkpoint_timeout"])
	s.asked = o.Clock()
	s.cluster, s.noSQL = postgres.ReadCluster(ctx, o.Target)
	if s.noSQL != nil {
		s.cluster = postgres.Cluster{Server: postgres.Server{Version: c.Version(), Major: c.Major()}}
	} else if id := s.cluster.SystemIdentifier; id != "" && id != s.System {
		return s, fmt.Errorf("%s: the connections for replication and for SQL reach two servers (system identifiers %s and %s): name one host", o.Target, s.System, id)
	}
	s.cluster.SystemIdentifier = s.System
	return s, nil
}

// clock is the server's at a moment of ours, as far as it told.
func (s server) clock(at time.Time) time.Time {
	if s.cluster.Clock.IsZero() {
		return at.UTC()
	}
	return s.cluster.Clock.Add(at.Sub(s.asked)).UTC()
}

// manifest is what the manifest says of the server.
func (s server) manifest() repo.Server {
	c := s.cluster
	return repo.Server{Version: c.Version, Major: c.Major, SystemIdentifier: c.SystemIdentifier, InRecovery: c.InRecovery, Clock: c.Clock}
}

// interval reads a time as SHOW prints one of whole units, such as 5min; an hour
// where it is written in another way.
func interval(text string) time.Duration {
	units := map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "min": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
	digits := 0
	for digits < len(text) && text[digits] >= '0' && text[digits] <= '9' {
		digits++
	}
	n, err := strconv.Atoi(text[:digits])
	unit, ok := units[text[digits:]]
	if err != nil || !ok {
		return time.Hour
	}
	return time.Duration(n) * unit
}
