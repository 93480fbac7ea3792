package drill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/scratch"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/physical"
)

// Phases of a recovery, both part of every restore.
const (
	phaseFiles  = "restoring the files"
	phaseReplay = "replaying WAL"
)

// wholeServer: base backups are drilled, by recovering them to a moment.
func (r *run) wholeServer() bool { return r.Drill.Kind == string(job.KindPhysical) }

// drillRecovery restores a base backup, has it recovered to a moment, and looks at the
// server that came back.
func (r *run) drillRecovery(ctx context.Context) error {
	r.report.Recovery = &drillreport.Recovery{}
	var m moment
	err := r.phase(drillreport.PhaseChoosing, false, func() (err error) {
		m, err = r.chooseMoment(ctx)
		return err
	})
	if err != nil {
		if r.ref.ID == "" {
			r.report.Recovery = nil // nothing was to be recovered
		}
		return err
	}
	if r.Readable != nil && r.Drill.Archived {
		if err := r.phase("bringing it back", true, func() error { return r.Readable(ctx, r.ref, true) }); err != nil {
			return err
		}
	}
	r.Log.Info("drilling a recovery", "drill", r.Name, "point", r.ref.String(), "moment", m.at, "chosen", r.report.Point.Chosen)
	at := &recoveredServer{run: r}
	defer func() {
		if stopped := r.phase(drillreport.PhaseRemoving, false, at.stop); stopped != nil {
			r.warn("something is left of the drill: %s", oneLine(stopped.Error()))
		}
	}()
	err = at.recover(ctx, m)
	r.report.Into = at.about()
	if err != nil {
		return err
	}
	if err := r.prove(ctx, at); err != nil {
		return err
	}
	if err := at.admitReader(ctx); err != nil {
		return err
	}
	return r.look(ctx, at)
}

// recoveredServer is a server that is started on a restored data directory for the
// drill alone.
type recoveredServer struct {
	run     *run
	cluster *scratch.Cluster
	reads   *plainRole
}

// recover restores the files and starts the server, which replays WAL until the
// moment.
func (s *recoveredServer) recover(ctx context.Context, m moment) error {
	r, into := s.run, s.run.Drill.Into.ScratchCluster
	if into == nil {
		into = &job.ScratchCluster{}
	}
	about := m.base.Manifest
	var filled time.Duration
	var data string // the data directory, known before any WAL is asked for
	begun := time.Now()
	fill := func(ctx context.Context, where, tablespaces string) error {
		data = where
		step := phaseFiles
		r.Progress.Step.Store(&step)
		begun := time.Now()
		defer func() { filled = time.Since(begun) }()
		if err := s.fill(ctx, m, data, tablespaces); err != nil {
			return err
		}
		step = phaseReplay
		r.Progress.Step.Store(&step)
		return nil
	}
	cluster, err := scratch.Start(ctx, scratch.Options{
		Directory: into.Directory, Major: about.Server.Major, Settings: into.Settings, Log: r.Log,
		Filled: &scratch.Filled{
			Fill: fill, Superuser: about.Physical.Superuser, SegmentSize: about.Physical.SegmentSize, Had: about.Physical.Settings,
			Recovery: &scratch.Recovery{Target: recoverySettings(m), Fetch: func(ctx context.Context, name, path string) error { return r.fetchWAL(ctx, m, data, name, path) }},
		},
	})
	s.cluster = cluster
	r.took(phaseFiles, filled.Seconds(), true)
	r.took(phaseReplay, (time.Since(begun) - filled).Seconds(), true)
	return err
}

// fill restores the files of the base backup.
func (s *recoveredServer) fill(ctx context.Context, m moment, data, tablespaces string) error {
	r := s.run
	progress := &physical.Progress{}
	done := make(chan struct{})
	defer close(done)
	go r.follow(progress, done)
	result, err := physical.Run(ctx, physical.Options{
		Repo: r.Repo, Source: r.Source, Archive: r.archive, Target: m.target, Point: m.base.Ref.ID,
		Directory: data, TablespaceDir: tablespaces, ArchiveMode: physical.ArchiveOff, Jobs: r.Drill.Jobs,
		// Of no use to the server, whose configuration is replaced: it gets WAL from us.
		RestoreCommand: "false %f %p", Now: r.Now, Log: r.Log, Progress: progress,
	})
	r.report.Warnings = append(r.report.Warnings, result.Warnings...)
	r.report.Recovery.Files, r.report.Recovery.Bytes = result.Files, result.Bytes
	return err
}

// follow shows the progress of the files as that of the drill.
func (r *run) follow(p *physical.Progress, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-time.After(100 * time.Millisecond):
			r.Progress.Expected.Store(p.Expected.Load())
			r.Progress.Loaded.Store(p.Done.Load())
		}
	}
}

// recoverySettings tell a server how far to go.
func recoverySettings(m moment) map[string]string {
	settings := map[string]string{"recovery_target_timeline": fmt.Sprint(uint32(m.window.Timeline))}
	switch {
	case m.target.Immediate:
		settings["recovery_target"] = "immediate"
	case !m.target.Time.IsZero():
		settings["recovery_target_time"] = m.target.Time.UTC().Format("2006-01-02 15:04:05.999999") + "+00"
	}
	return settings
}

func (s *recoveredServer) about() drillreport.Place {
	p := drillreport.Place{Kind: placeKind(s.run.Drill.Into)}
	if s.cluster == nil {
		return p
	}
	p.Where, p.Version, p.Isolation = s.run.Host, s.cluster.Version(), s.cluster.Isolation()
	if !s.cluster.Isolated() {
		s.run.warn("%s: of a whole server nothing is left out, such as foreign servers and their passwords; run the drill where a process may have a network namespace of its own, or where nothing can be reached", s.cluster.Isolation()[1])
	}
	return p
}

func (s *recoveredServer) target() postgres.Target { return s.cluster.Target(s.database()) }

// database that the user's statements are run in.
func (s *recoveredServer) database() string {
	if s.run.Drill.Database != "" {
		return s.run.Drill.Database
	}
	return "postgres"
}

func (s *recoveredServer) programs() string { return s.cluster.Bin() }

// admitReader makes the role that the user's statements are run as.
func (s *recoveredServer) admitReader(ctx context.Context) (err error) {
	if len(s.run.Drill.Checks) > 0 {
		if s.reads, err = makePlainRole(ctx, s.target()); err != nil {
			return fmt.Errorf("checks in database %s of the restored server: %w", s.database(), err)
		}
	}
	return nil
}

func (s *recoveredServer) reader(ctx context.Context) (*pgx.Conn, error) {
	return s.reads.connect(ctx, s.target())
}

// doubt: where the system sorts texts otherwise than that of the backup, indexes of
// them are in another order than a server here expects.
func (s *recoveredServer) doubt(ctx context.Context) string {
	differ, err := s.otherCollations(ctx)
	switch {
	case err != nil:
		return "whether texts are sorted here as on the server that was backed up is not known: " + oneLine(err.Error())
	case differ != "":
		return "the libraries of this machine sort texts otherwise than those of the server that was backed up (" + differ + "), and indexes of texts can not be judged here; drill in an image of the same system"
	}
	return ""
}

func (s *recoveredServer) otherCollations(ctx context.Context) (string, error) {
	if s.cluster.Major() < 15 {
		return "", errors.New("a server before PostgreSQL 15 keeps no version of its databases' collations")
	}
	conn, err := s.cluster.Target("postgres").Connect(ctx)
	if err != nil {
		return "", err
	}
	defer postgres.CloseSoon(conn)
	var differ string
	err = conn.QueryRow(ctx, `SELECT coalesce((SELECT pg_catalog.format('database %s: %s then, %s here', datname, datcollversion, actual)
		FROM pg_catalog.pg_database, pg_catalog.pg_database_collation_actual_version(oid) AS actual
		WHERE datcollversion IS DISTINCT FROM actual ORDER BY 1 LIMIT 1), '')`).Scan(&differ)
	return differ, err
}

func (s *recoveredServer) stop() error {
	if s.cluster == nil {
		return nil
	}
	return s.cluster.Stop()
}
