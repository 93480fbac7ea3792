package backup

import (
	"context"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Plan says what Run would do. It reads the server (with the same locks and
// checks of rights as a backup, given back at once) and writes nothing.
func Plan(ctx context.Context, o Options) (Preview, error) {
	o.defaults()
	if err := repo.CheckSource(o.Source); err != nil {
		return Preview{}, err
	}
	found, err := inspect(ctx, o)
	if err != nil {
		return Preview{}, err
	}
	snapshot, err := postgres.OpenSnapshot(ctx, o.Target, o.Selection, postgres.SnapshotOptions{LockTimeout: o.LockTimeout, Logger: o.Log})
	if err != nil {
		return Preview{}, err
	}
	defer snapshot.Release() //nolint:errcheck // it is released, and looked at, below
	p := Preview{
		Source: o.Source, Database: o.Target.Database, Server: snapshot.Server.Version, Tool: "pg_dump " + found.tools.Version,
		Tables: snapshot.Tables, TableCount: len(snapshot.Tables), DatabaseBytes: snapshot.Server.DatabaseBytes,
		Repository: o.Repo.URL(), Sealed: o.Repo.Sealed(),
	}
	for _, s := range snapshot.Skipped {
		p.Skipped = append(p.Skipped, repo.Skipped{What: "data of table " + s.Table.String(), Why: s.Reason})
	}
	return p, snapshot.Release()
}
