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

// maintenance connects to a database of the server that is not the target.
func (r *run) maintenance(ctx context.Context) (*pgx.Conn, error) {
	conn, err := r.Target.WithDatabase("postgres").Connect(ctx)
	if errors.Is(err, postgres.ErrNoDatabase) {
		return r.Target.WithDatabase("template1").Connect(ctx)
	}
	return conn, err
}

// prepareDatabase makes sure that there is a database to restore into, on a server
// that has what the archive will ask for, before anything is restored.
func (r *run) prepareDatabase(ctx context.Context) error {
	x, err := r.examine(ctx)
	if err != nil {
		return err
	}
	if err := r.createRoles(ctx, x.roles); err != nil {
		return err
	}
	if x.exists {
		r.inserting = !r.Select.Everything()
		return nil
	}
	conn, err := r.maintenance(ctx)
	if err != nil {
		return err
	}
	at := conn.Config().Database
	postgres.CloseSoon(conn)
	s := r.point.Server
	err = postgres.CreateDatabase(ctx, r.Target.WithDatabase(at), r.Target.Database, postgres.DatabaseProperties{
		Encoding: s.Encoding, LocaleProvider: s.LocaleProvider, Collate: s.Collate, CType: s.Ctype, Locale: s.Locale, ICURules: s.ICURules,
	})
	if err != nil {
		return err
	}
	r.result.Created = true
	if err := r.comment(ctx, postgres.QuoteLiteral(unfinishedMark+r.Ref.String())); err != nil {
		r.Log.Warn("the new database could not be marked as unfinished", "database", r.Target.Database, "error", err)
	}
	return nil
}

// unfinishedMark begins the comment on a database that is being restored:
// whoever finds one after this program or its machine died knows what it is.
const unfinishedMark = "pgbackup: not complete, being restored from "

// comment puts one on the target database; literal is SQL.
func (r *run) comment(ctx context.Context, literal string) error {
	conn, err := r.maintenance(ctx)
	if err != nil {
		return err
	}
	defer postgres.CloseSoon(conn)
	_, err = conn.Exec(ctx, "COMMENT ON DATABASE "+pgx.Identifier{r.Target.Database}.Sanitize()+" IS "+literal)
	return err
}

// unfinished is the mark of a database that a restore left half-done, or "".
func unfinished(ctx context.Context, conn *pgx.Conn) string {
	var comment string
	err := conn.QueryRow(ctx, "SELECT coalesce(pg_catalog.shobj_description(oid, 'pg_database'), '') FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()").Scan(&comment)
	if err != nil || !strings.HasPrefix(comment, unfinishedMark) {
		return "" // only makes the message better
	}
	return comment
}

// undo drops a half-restored database that this run made, so that the next try
// can begin at once; it returns the error that caused it.
func (r *run) undo(ctx context.Context, cause error) error {
	if !r.result.Created {
		return fmt.Errorf("%w (database %s was there before and now holds a part of the backup: empty it before the next try)", cause, r.Target.Database)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	conn, err := r.maintenance(ctx)
	if err == nil {
		defer postgres.CloseSoon(conn)
		_, err = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{r.Target.Database}.Sanitize()+" WITH (FORCE)")
	}
	if err != nil {
		return fmt.Errorf("%w (and the unfinished database %s could not be dropped; drop it before the next try: %w)", cause, r.Target.Database, err)
	}
	r.result.Created = false
	return cause
}

// unchanged is undo where a transaction did it.
func (r *run) unchanged(_ context.Context, cause error) error {
	if r.commitLost {
		return fmt.Errorf("%w (the server did not say whether database %s has all of it or is as it was: look before the next try)", cause, r.Target.Database)
	}
	return fmt.Errorf("%w (database %s is as it was)", cause, r.Target.Database)
}
