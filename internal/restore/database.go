package restore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// maintenance is the database to be connected to while the target is made.
const maintenance = "postgres"

// examineDatabase tells whether the target database exists; ErrNotEmpty when it
// does and holds something.
func (r *run) examineDatabase(ctx context.Context) (bool, error) {
	conn, err := r.Target.Connect(ctx)
	if errors.Is(err, postgres.ErrNoDatabase) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := postgres.DatabaseEmpty(ctx, conn); err != nil {
		return true, fmt.Errorf("%w: %s: %w; name a database that does not exist yet, or empty this one", ErrNotEmpty, r.Target.Database, err)
	}
	return true, nil
}

// prepareDatabase makes sure that there is an empty target and that the roles
// that will own things exist, before anything is restored.
func (r *run) prepareDatabase(ctx context.Context) error {
	exists, err := r.examineDatabase(ctx)
	if err != nil {
		return err
	}
	if r.Globals {
		if err := r.createRoles(ctx); err != nil {
			return err
		}
	} else if !r.NoOwner {
		missing, err := r.missingRoles(ctx)
		if err != nil {
			return err
		}
		if len(missing) > 0 {
			return missingRolesError(missing)
		}
	}
	if exists {
		return nil
	}
	s := r.point.Server
	err = postgres.CreateDatabase(ctx, r.Target.WithDatabase(maintenance), r.Target.Database, postgres.DatabaseProperties{
		Encoding: s.Encoding, LocaleProvider: s.LocaleProvider, Collate: s.Collate, CType: s.Ctype, Locale: s.Locale, ICURules: s.ICURules,
	})
	if err != nil {
		return fmt.Errorf("create database %s: %w", r.Target.Database, err)
	}
	r.result.Created = true
	return nil
}

func missingRolesError(missing []string) error {
	return fmt.Errorf("the server lacks the roles %s that own things in the backup: --globals creates them from the backup, --no-owner restores without owners", strings.Join(missing, ", "))
}

// missingRoles returns the roles that the archive gives things to and the server
// does not have.
func (r *run) missingRoles(ctx context.Context) ([]string, error) {
	have, err := r.serverRoles(ctx)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, e := range r.toc.Entries {
		if e.Owner != "" && !have[e.Owner] {
			have[e.Owner] = true
			missing = append(missing, e.Owner)
		}
	}
	return missing, nil
}

func (r *run) serverRoles(ctx context.Context) (map[string]bool, error) {
	conn, err := r.Target.WithDatabase(maintenance).Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, "SELECT rolname FROM pg_catalog.pg_roles")
	if err != nil {
		return nil, fmt.Errorf("list roles: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list roles: %w", err)
	}
	have := map[string]bool{}
	for _, n := range names {
		have[n] = true
	}
	return have, nil
}

// undo drops a half-restored database that this run made, so that the next try
// can begin at once; it returns the error that caused it.
func (r *run) undo(ctx context.Context, cause error) error {
	if !r.result.Created {
		return fmt.Errorf("%w (database %s was there before and now holds a part of the backup: empty it before the next try)", cause, r.Target.Database)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	conn, err := r.Target.WithDatabase(maintenance).Connect(ctx)
	if err == nil {
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{r.Target.Database}.Sanitize()+" WITH (FORCE)")
	}
	if err != nil {
		return fmt.Errorf("%w (and the unfinished database %s could not be dropped: %w)", cause, r.Target.Database, err)
	}
	r.result.Created = false
	return cause
}
