package scratch

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// preloads are settings that load a library into every session. Administrators keep
// them at roles and databases too, and those came with the data.
var preloads = []string{"session_preload_libraries", "local_preload_libraries"}

// secure gives the superuser a password of ours, takes away what was set for roles
// and databases to be loaded, and has everybody asked for passwords from then on.
func (c *Cluster) secure(ctx context.Context, given map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	t := c.Target("template1") // is in every server, and has seldom settings of its own
	for _, name := range preloads {
		t = t.WithSetting(name, given[name])
	}
	conn, err := t.Connect(ctx)
	if err != nil {
		return fmt.Errorf("log in to what was restored: %w", err)
	}
	defer postgres.CloseSoon(conn)
	c.version, _, _ = strings.Cut(conn.PgConn().ParameterStatus("server_version"), " ")
	if err := forgetPreloads(ctx, conn); err != nil {
		return fmt.Errorf("take away libraries that are set to be loaded: %w", err)
	}
	statement := "ALTER ROLE " + pgx.Identifier{c.superuser}.Sanitize() + " PASSWORD " + postgres.QuoteLiteral(c.password) + " VALID UNTIL 'infinity'"
	for _, s := range []string{"SET password_encryption = 'scram-sha-256'", statement} {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("give the superuser a password: %w", err)
		}
	}
	if err := c.admit("scram-sha-256"); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "SELECT pg_catalog.pg_reload_conf()"); err != nil {
		return fmt.Errorf("ask for passwords: %w", err)
	}
	return c.closed(ctx)
}

// closed waits until nobody gets in without a password any more.
func (c *Cluster) closed(ctx context.Context) error {
	for {
		conn, err := c.Target("template1").WithPassword("").Connect(ctx)
		if err != nil {
			return ctx.Err() // refused, as it should be, unless there was no time left
		}
		if err := conn.Close(ctx); err != nil {
			return fmt.Errorf("ask for passwords: %w", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// forgetPreloads resets what is set for roles, databases, and roles in databases.
func forgetPreloads(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, `SELECT CASE
		WHEN r.rolname IS NULL AND d.datname IS NULL THEN 'ALTER ROLE ALL'
		WHEN r.rolname IS NULL THEN pg_catalog.format('ALTER DATABASE %I', d.datname)
		WHEN d.datname IS NULL THEN pg_catalog.format('ALTER ROLE %I', r.rolname)
		ELSE pg_catalog.format('ALTER ROLE %I IN DATABASE %I', r.rolname, d.datname) END || ' RESET ' || n.name
		FROM pg_catalog.pg_db_role_setting s CROSS JOIN pg_catalog.unnest($1::text[]) AS n(name)
		LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
		WHERE EXISTS (SELECT FROM pg_catalog.unnest(s.setconfig) AS c WHERE pg_catalog.split_part(c, '=', 1) = n.name)`, preloads)
	if err != nil {
		return err
	}
	statements, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return err
		}
	}
	return nil
}
