package postgres

import (
	"fmt"
	"net"

	"github.com/jackc/pgx/v5"
)

// PrivateTarget is a server of our own on a Unix socket. Nothing of the
// environment counts for it: a service file or PGHOSTADDR that is meant for
// another server must not lead a client program there.
func PrivateTarget(socketDir string, port uint16, user, password, database string) (Target, error) {
	config, err := pgx.ParseConfig("")
	if err != nil {
		return Target{}, fmt.Errorf("PG… environment variables: %s", parseReason(err))
	}
	config.Host, config.Port, config.User, config.Password, config.Database = socketDir, port, user, password, database
	config.TLSConfig, config.Fallbacks, config.SSLNegotiation = nil, nil, ""
	config.RuntimeParams = map[string]string{}
	config.ValidateConnect, config.AfterConnect, config.RequireAuth = nil, nil, ""
	config.KerberosSrvName, config.KerberosSpn, config.ChannelBinding = "", "", ""
	config.DialFunc = (&net.Dialer{}).DialContext
	return Target{
		Host: socketDir, Port: port, User: user, Database: database,
		config: config, params: map[string]string{"sslmode": "disable"}, private: true,
	}, nil
}
