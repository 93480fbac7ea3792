package replication

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// Conn is a connection in replication mode. It does one thing at a time.
type Conn struct {
	conn   *pgconn.PgConn
	target postgres.Target
	major  int
}

// Connect opens a connection for replication. Errors say in one line what to do,
// and are those of postgres.Target.ConnectReplication.
func Connect(ctx context.Context, t postgres.Target) (*Conn, error) {
	conn, err := t.ConnectReplication(ctx)
	if err != nil {
		return nil, err
	}
	version := conn.ParameterStatus("server_version") // 15.6 (Debian …), 18beta1
	digits := version[:len(version)-len(strings.TrimLeft(version, "0123456789"))]
	major, err := strconv.Atoi(digits)
	if err != nil {
		_ = conn.Close(ctx)
		return nil, fmt.Errorf("the server %s tells its version as %q, which is not understood", t, version)
	}
	return &Conn{conn: conn, target: t, major: major}, nil
}

// Major is the server's major version.
func (c *Conn) Major() int { return c.major }

// Version is the server's version in its own words: "15.6 (Debian 15.6-0+deb12u1)".
func (c *Conn) Version() string { return c.conn.ParameterStatus("server_version") }

// Target is what the connection was made to.
func (c *Conn) Target() postgres.Target { return c.target }

// Raw is the connection below, for commands of which this type knows nothing.
func (c *Conn) Raw() *pgconn.PgConn { return c.conn }

// closeTime bounds how long the goodbye may take; the server may be gone.
const closeTime = 2 * time.Second

// Close ends the connection, whatever it is in the middle of. Again does nothing.
func (c *Conn) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	_ = c.conn.Close(ctx) // it is gone either way
}

// one runs a command that answers with one row; a NULL is "".
func (c *Conn) one(ctx context.Context, command string) ([]string, error) {
	results, err := c.conn.Exec(ctx, command).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		return nil, errors.New("the server answered with something else than one row")
	}
	row := make([]string, len(results[0].Rows[0]))
	for i, value := range results[0].Rows[0] {
		row[i] = string(value)
	}
	return row, nil
}

// quoteIdent quotes a name as replication commands want it.
func quoteIdent(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// sqlState is the five-character code of a server's error, or "".
func sqlState(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	return ""
}
