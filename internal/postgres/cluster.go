package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Cluster is what SQL tells of a whole server, beyond the replication protocol.
type Cluster struct {
	Server
	Superuser     string            // the role that initdb made
	DataDirectory string            // "" where the role may not know
	Settings      map[string]string // those of startSettings, as numbers and words without units
}

// startSettings must be at least as high, or the same, where a copy of the data
// directory is started: a standby or a recovery refuses to begin otherwise.
// (PostgreSQL's documentation, "Administrator's Overview" of hot standby; a library
// that writes records of its own into the log has to be loaded to replay them.)
var startSettings = []string{"max_connections", "max_worker_processes", "max_wal_senders", "max_prepared_transactions", "max_locks_per_transaction",
	"wal_level", "shared_preload_libraries"}

// ReadCluster asks a server about itself, through any of its databases.
func ReadCluster(ctx context.Context, t Target) (Cluster, error) {
	r, err := OpenConfig(ctx, t)
	if err != nil {
		return Cluster{}, err
	}
	defer r.Close()
	c := Cluster{Server: r.Server, Settings: map[string]string{}}
	failed := func(err error) (Cluster, error) {
		return c, fmt.Errorf("ask %s about itself: %w", t, err)
	}
	if err := r.conn.QueryRow(ctx, "SELECT rolname::text FROM pg_catalog.pg_roles WHERE oid = 10").Scan(&c.Superuser); err != nil {
		return failed(err)
	}
	rows, err := r.conn.Query(ctx, "SELECT name, setting FROM pg_catalog.pg_settings WHERE name = ANY($1) AND setting <> ''", append([]string{"data_directory"}, startSettings...))
	if err != nil {
		return failed(err)
	}
	var name, value string
	if _, err := pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		if name == "data_directory" {
			c.DataDirectory = value
		} else {
			c.Settings[name] = value
		}
		return nil
	}); err != nil {
		return failed(err)
	}
	return c, nil
}
