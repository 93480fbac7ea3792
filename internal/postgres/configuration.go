package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// maxConfigFile bounds one configuration file in bytes. The largest seen are
// hundreds of kilobytes.
const maxConfigFile = 8 << 20

// ErrConfigDenied: the role may not read the server's configuration files.
var ErrConfigDenied = errors.New("the role may not read the server's configuration files")

// ConfigPlaces are the files a server reads its configuration from, absolute.
type ConfigPlaces struct {
	Config, HBA, Ident, Data string
}

// Setting is one parameter as the server runs with it.
type Setting struct {
	Name           string  `json:"name"`
	Value          *string `json:"value"` // what a new session gets
	Unit           *string `json:"unit,omitempty"`
	Default        *string `json:"default,omitempty"`
	Source         *string `json:"source,omitempty"` // where the value comes from; null for what this session set itself
	File           *string `json:"file,omitempty"`
	Line           *int    `json:"line,omitempty"`
	PendingRestart bool    `json:"pending_restart,omitempty"` // the file says something else
}

// RoleSetting is what ALTER ROLE and ALTER DATABASE SET have set.
type RoleSetting struct {
	Database string `json:"database,omitempty"` // "" = all
	Role     string `json:"role,omitempty"`     // "" = all
	Setting  string `json:"setting"`            // name=value
}

// ConfigReader reads the configuration of a server over one connection.
type ConfigReader struct {
	Server Server
	target Target
	conn   *pgx.Conn
}

// OpenConfig connects. Close the reader in the end.
func OpenConfig(ctx context.Context, t Target) (*ConfigReader, error) {
	conn, err := t.Connect(ctx)
	if err != nil {
		return nil, err
	}
	server, err := readServer(ctx, conn)
	if err != nil {
		CloseSoon(conn)
		return nil, fmt.Errorf("configuration of %s: %w", t, err)
	}
	return &ConfigReader{Server: server, target: t, conn: conn}, nil
}

// Close ends the connection.
func (c *ConfigReader) Close() { CloseSoon(c.conn) }

// Places asks where the files are.
func (c *ConfigReader) Places(ctx context.Context) (ConfigPlaces, error) {
	var p ConfigPlaces
	err := c.conn.QueryRow(ctx, `SELECT pg_catalog.current_setting('config_file'), pg_catalog.current_setting('hba_file'),
  pg_catalog.current_setting('ident_file'), pg_catalog.current_setting('data_directory')`).Scan(&p.Config, &p.HBA, &p.Ident, &p.Data)
	return p, c.explain("where they are", err)
}

// ReadFile reads a file of the server. One that is not there is fs.ErrNotExist.
func (c *ConfigReader) ReadFile(ctx context.Context, path string) ([]byte, error) {
	var data []byte
	err := c.conn.QueryRow(ctx, "SELECT pg_catalog.pg_read_binary_file($1, 0, $2)", path, maxConfigFile+1).Scan(&data)
	if err == nil && len(data) > maxConfigFile {
		return nil, fmt.Errorf("read %s of %s: it has more than %d bytes, which no configuration has", path, c.target, maxConfigFile)
	}
	return data, c.explain(path, err)
}

// ReadDir lists the names in a directory of the server.
func (c *ConfigReader) ReadDir(ctx context.Context, path string) ([]string, error) {
	rows, err := c.conn.Query(ctx, "SELECT pg_catalog.pg_ls_dir($1)", path)
	if err != nil {
		return nil, c.explain(path, err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return names, c.explain(path, err)
}

// Settings lists every parameter by name, as new sessions get it.
func (c *ConfigReader) Settings(ctx context.Context) ([]Setting, error) {
	rows, err := c.conn.Query(ctx, `SELECT name, reset_val, unit, boot_val,
  CASE WHEN source IN ('session', 'client') THEN NULL ELSE source END, sourcefile, sourceline, pending_restart
FROM pg_catalog.pg_settings ORDER BY name COLLATE "C"`)
	if err != nil {
		return nil, c.explain("pg_settings", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Setting])
	return list, c.explain("pg_settings", err)
}

// RoleSettings lists what is set for roles and databases.
func (c *ConfigReader) RoleSettings(ctx context.Context) ([]RoleSetting, error) {
	rows, err := c.conn.Query(ctx, `SELECT coalesce(d.datname, ''), coalesce(r.rolname, ''), c.setting
FROM pg_catalog.pg_db_role_setting s
LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c(setting)
ORDER BY 1, 2, 3`)
	if err != nil {
		return nil, c.explain("pg_db_role_setting", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[RoleSetting])
	return list, c.explain("pg_db_role_setting", err)
}

// explain says what to grant.
func (c *ConfigReader) explain(what string, err error) error {
	if err == nil {
		return nil
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		switch pgErr.Code {
		case "58P01": // undefined_file
			return fmt.Errorf("read %s of %s: %w", what, c.target, fs.ErrNotExist)
		case "42501": // insufficient_privilege, also of the file system
			if strings.Contains(pgErr.Message, "Permission denied") {
				return fmt.Errorf("read %s of %s: %s: the server itself may not read it; look at the owner and the rights of the file on the server: %w", what, c.target, pgErr.Message, fs.ErrPermission)
			}
			return &reason{kind: ErrConfigDenied, cause: err, text: fmt.Sprintf(
				"read the configuration of %s (%s): %s; GRANT pg_read_all_settings, pg_read_server_files TO %s and, in database %s, GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_binary_file(text, bigint, bigint), pg_catalog.pg_ls_dir(text) TO %[4]s; on RDS give rds_instance or rds_cluster instead",
				c.target, what, pgErr.Message, quoteIdent(c.target.User), quoteIdent(c.target.Database))}
		}
	}
	return fmt.Errorf("read %s of %s: %w", what, c.target, err)
}

// ReadServer asks a server about itself.
func ReadServer(ctx context.Context, t Target) (Server, error) {
	c, err := OpenConfig(ctx, t)
	if err != nil {
		return Server{}, err
	}
	defer c.Close()
	return c.Server, nil
}
