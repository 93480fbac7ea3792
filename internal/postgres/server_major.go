package postgres

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ServerMajor returns the major version of the server that conn is connected to,
// from what it told at connection.
func ServerMajor(conn *pgx.Conn) (int, error) {
	version := conn.PgConn().ParameterStatus("server_version")
	digits := version[:len(version)-len(strings.TrimLeft(version, "0123456789"))]
	major, err := strconv.Atoi(digits)
	if err != nil {
		return 0, fmt.Errorf("the server tells its version as %q, which is not understood", version)
	}
	return major, nil
}
