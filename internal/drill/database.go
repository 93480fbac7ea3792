package drill

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// databasePrefix begins the names of databases that drills make.
const databasePrefix = "pgbackup_drill_"

var drillDatabase = regexp.MustCompile(`^` + databasePrefix + `[a-z0-9]{12}$`)

// databaseMark begins the comment on such a database while it is looked at; while
// it is filled, package restore has put its own mark there.
const databaseMark = "pgbackup: restored by a drill from "

// restoreMark begins the comment that package restore puts on a database that is
// not complete.
const restoreMark = "pgbackup: not complete, being restored from "

// scratchDatabase is a database on a server that may hold others.
//
// While the drill lives, a session of it holds an advisory lock that is made from
// the database's name. A session ends with its process, so a database without that
// lock belongs to a drill that died, and the next one drops it.
type scratchDatabase struct {
	run     *run
	server  postgres.Target
	name    string
	keeper  *pgx.Conn // holds the lock
	version string
}

func (s *scratchDatabase) fresh() bool { return false }

func (s *scratchDatabase) start(ctx context.Context, _ *repo.Manifest) (err error) {
	if s.server, err = s.run.databaseServer(ctx); err != nil {
		return err
	}
	if s.keeper, err = s.server.Connect(ctx); err != nil {
		return err
	}
	s.version, _, _ = strings.Cut(s.keeper.PgConn().ParameterStatus("server_version"), " ")
	if err := s.sweep(ctx); err != nil {
		s.run.warn("databases of drills that died may be left on %s: %s", s.server.Host, oneLine(err.Error()))
	}
	s.name = databasePrefix + suffix()
	if _, err := s.keeper.Exec(ctx, "SELECT pg_catalog.pg_advisory_lock($1, $2)", lockClass, lockObject(s.name)); err != nil {
		return fmt.Errorf("lock the name of the drill's database on %s: %w", s.server, err)
	}
	return nil
}

func (r *run) databaseServer(ctx context.Context) (postgres.Target, error) {
	if r.Connect == nil {
		return postgres.Target{}, errors.New("the server of the drill's database is not known")
	}
	return r.Connect(ctx)
}

// lockClass is the first half of the advisory locks of drills: "pgdr".
const lockClass = int32(0x70676472)

// lockObject is the second half, of a database.
func lockObject(name string) int32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails
	return int32(h.Sum32())      //nolint:gosec // any 32 bits will do
}

func (s *scratchDatabase) about() drillreport.Place {
	p := drillreport.Place{Kind: placeKind(s.run.Drill.Into), Version: s.version}
	if s.server.Host != "" {
		p.Where = s.server.WithDatabase(s.name).String()
		p.Isolation = []string{"a database of its own, without the owners and rights of the backup"}
	}
	return p
}

func (s *scratchDatabase) target() postgres.Target { return s.server.WithDatabase(s.name) }

func (s *scratchDatabase) trouble() string { return "" }

func (s *scratchDatabase) programs() string { return "" }

func (s *scratchDatabase) doubt(context.Context) string { return "" } // its indexes were built there

// lacking lets the drill's own role stand for others: in policies, which name
// roles even without owners and rights.
func (s *scratchDatabase) lacking(_ context.Context, roles []string) (map[string]string, error) {
	instead := make(map[string]string, len(roles))
	for _, role := range roles {
		instead[role] = s.server.User
	}
	return instead, nil
}

// restored marks the database as the drill's: the backup's own comment is on it by
// now.
func (s *scratchDatabase) restored(ctx context.Context) error {
	comment := literal(databaseMark + s.run.ref.String())
	if _, err := s.keeper.Exec(ctx, "COMMENT ON DATABASE "+pgx.Identifier{s.name}.Sanitize()+" IS "+comment); err != nil {
		return fmt.Errorf("mark the drill's database %s: %w", s.name, err)
	}
	return nil
}

// reader connects as the drill's own role: to make another one is not a drill's to
// do on a server of others.
func (s *scratchDatabase) reader(ctx context.Context) (*pgx.Conn, error) {
	conn, err := s.target().Connect(ctx)
	if err != nil {
		return nil, err
	}
	var super bool
	if err := conn.QueryRow(ctx, "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user").Scan(&super); err != nil {
		postgres.CloseSoon(conn)
		return nil, fmt.Errorf("look at the rights of %s: %w", s.server.User, err)
	}
	if super {
		s.run.warn("the checks were run as %s, a superuser of %s: give the drill a role that has CREATEDB and nothing more", s.server.User, s.server.Host)
	}
	return conn, nil
}

// stop drops the database, if it is there.
func (s *scratchDatabase) stop(ctx context.Context) error {
	if s.keeper == nil {
		return nil
	}
	defer func() { postgres.CloseSoon(s.keeper) }()
	if s.name == "" {
		return nil
	}
	if s.keeper.IsClosed() || s.keeper.Ping(ctx) != nil {
		// The lock is gone, and with it what keeps others from dropping it.
		postgres.CloseSoon(s.keeper)
		conn, err := s.server.Connect(ctx)
		if err != nil {
			return fmt.Errorf("drop the drill's database %s: %w; the next drill does it", s.name, err)
		}
		s.keeper = conn
	}
	return drop(ctx, s.keeper, s.name)
}

func drop(ctx context.Context, conn *pgx.Conn, name string) error {
	if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("drop the drill's database %s: %w", name, err)
	}
	return nil
}

// sweep drops the databases of drills that died: those with a name and a mark of
// ours whose lock nobody holds.
func (s *scratchDatabase) sweep(ctx context.Context) error {
	rows, err := s.keeper.Query(ctx, `SELECT datname, coalesce(pg_catalog.shobj_description(oid, 'pg_database'), '')
  FROM pg_catalog.pg_database WHERE datname LIKE $1 ORDER BY datname`, strings.ReplaceAll(databasePrefix, "_", `\_`)+"%")
	if err != nil {
		return fmt.Errorf("list databases: %w", err)
	}
	type database struct{ Name, Comment string }
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[database])
	if err != nil {
		return fmt.Errorf("list databases: %w", err)
	}
	var errs []error
	for _, d := range found {
		if !drillDatabase.MatchString(d.Name) {
			continue
		}
		var alive bool
		// pg_locks shows the locks that were taken in any database.
		err := s.keeper.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_locks
  WHERE locktype = 'advisory' AND objsubid = 2 AND classid = $1 AND objid = $2)`, uint32(lockClass), uint32(lockObject(d.Name))).Scan(&alive) //nolint:gosec // the same 32 bits
		switch {
		case err != nil:
			return fmt.Errorf("look whether the drill of database %s lives: %w", d.Name, err)
		case alive:
		case !strings.HasPrefix(d.Comment, databaseMark) && !strings.HasPrefix(d.Comment, restoreMark):
			s.run.warn("database %s on %s looks like that of a drill that died, but has no mark: drop it if it is", d.Name, s.server.Host)
		default:
			if err := drop(ctx, s.keeper, d.Name); err != nil {
				errs = append(errs, err)
				continue
			}
			s.run.Log.Info("dropped the database of a drill that died", "database", d.Name, "server", s.server.Host)
		}
	}
	return errors.Join(errs...)
}
