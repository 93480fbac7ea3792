package drill

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/bytesize"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/disk"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/scratch"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// scratchCluster is a server that is started for the drill alone.
type scratchCluster struct {
	run      *run
	cluster  *scratch.Cluster
	name     string // of the database
	encoding string // of the backup
	reads    *plainRole
}

func (s *scratchCluster) fresh() bool { return true }

func (s *scratchCluster) start(ctx context.Context, m *repo.Manifest) error {
	r, into := s.run, s.run.Drill.Into.ScratchCluster
	if into == nil {
		into = &job.ScratchCluster{}
	}
	s.name, s.encoding = databaseName(m.Server.Database), m.Server.Encoding
	// The names of roles are kept in the encoding of the database they are made in.
	locale := ""
	if s.encoding != "" && s.encoding != "UTF8" {
		locale = "C"
	}
	return r.phase("starting a server", true, func() (err error) {
		// It clears away the servers of drills that died.
		s.cluster, err = scratch.Start(ctx, scratch.Options{
			Directory: into.Directory, Major: m.Server.Major, Settings: into.Settings, Encoding: s.encoding, Locale: locale, Log: r.Log,
		})
		return err
	})
}

// databaseName is what the database is called in a cluster of its own: as it was,
// for what is in it may say so.
func databaseName(was string) string {
	switch was {
	case "", "postgres", "template0", "template1":
		return "restored"
	}
	return was
}

func (s *scratchCluster) about() drillreport.Place {
	p := drillreport.Place{Kind: placeKind(s.run.Drill.Into)}
	if s.cluster != nil {
		p.Where, p.Version, p.Isolation = s.run.Host, s.cluster.Version(), s.cluster.Isolation()
	}
	return p
}

func (s *scratchCluster) target() postgres.Target { return s.cluster.Target(s.name) }

func (s *scratchCluster) programs() string { return s.cluster.Bin() }

func (s *scratchCluster) doubt(context.Context) string { return "" } // its indexes were built here

// lacking makes roles that nobody can be.
func (s *scratchCluster) lacking(ctx context.Context, roles []string) (map[string]string, error) {
	conn, err := s.cluster.Target("postgres").Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer postgres.CloseSoon(conn)
	if err := postgres.PrepareSession(ctx, conn, s.encoding); err != nil {
		return nil, err
	}
	for _, role := range roles {
		if _, err := conn.Exec(ctx, "CREATE ROLE "+pgx.Identifier{role}.Sanitize()+" NOLOGIN"); err != nil {
			return nil, fmt.Errorf("make role %s, which the backup names: %w", role, err)
		}
	}
	s.run.Log.Info("made roles that the backup names and does not have", "roles", roles)
	return nil, nil
}

// restored makes the role that the user's statements are run as.
func (s *scratchCluster) restored(ctx context.Context) (err error) {
	if len(s.run.Drill.Checks) > 0 {
		s.reads, err = makePlainRole(ctx, s.target())
	}
	return err
}

func (s *scratchCluster) reader(ctx context.Context) (*pgx.Conn, error) {
	return s.reads.connect(ctx, s.target())
}

// little is how much room a disk has that a server could not go on with, in bytes:
// it writes its log ahead in pieces of 16 MiB.
const little = 16 << 20

// trouble sees a full disk, of which a server that ended for it says nothing.
func (s *scratchCluster) trouble() string {
	if free, _, ok := disk.Room(s.cluster.Directory()); ok && free < little {
		return fmt.Sprintf("the disk of %s is full (%s are left): No space left for the restored database; give scratch_cluster.directory", s.cluster.Directory(), bytesize.Text(free))
	}
	return ""
}

func (s *scratchCluster) stop(context.Context) error {
	if s.cluster == nil {
		return nil
	}
	return s.cluster.Stop()
}
