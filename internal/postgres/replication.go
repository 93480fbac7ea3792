package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrNoReplication: the role may not use the replication protocol.
var ErrNoReplication = errors.New("no REPLICATION right")

// ConnectReplication opens a connection for the commands of physical replication.
// The role needs REPLICATION, and pg_hba.conf a line for the word "replication",
// which "all" does not cover. SQL can not be sent over it. Errors are those of
// Connect, and ErrNoReplication.
func (t Target) ConnectReplication(ctx context.Context) (*pgconn.PgConn, error) {
	if t.config == nil {
		return nil, errors.New("connect: the target was not made by ParseTarget")
	}
	config := t.config.Config.Copy()
	patient(config)
	config.RuntimeParams["replication"] = "true"
	if config.ValidateConnect != nil {
		config.ValidateConnect = t.validateReplication
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, t.classifyReplication(err)
	}
	return conn, nil
}

// validateReplication is target_session_attrs where SQL can not be asked: SHOW is
// all there is. Of several servers it finds the primary after a failover.
func (t Target) validateReplication(ctx context.Context, conn *pgconn.PgConn) error {
	var want string
	switch attrs := t.sessionAttrs(); attrs {
	case "read-write", "primary":
		want = "off"
	case "read-only", "standby":
		want = "on"
	default: // any, and a preference that can be given up
		return nil
	}
	results, err := conn.Exec(ctx, "SHOW transaction_read_only").ReadAll()
	if err != nil {
		return fmt.Errorf("ask whether it is a standby: %w", err)
	}
	if len(results) != 1 || len(results[0].Rows) != 1 || string(results[0].Rows[0][0]) != want {
		return fmt.Errorf("it is not what target_session_attrs=%s asks for", t.sessionAttrs())
	}
	return nil
}

func (t Target) sessionAttrs() string {
	return cmp.Or(t.params["target_session_attrs"], os.Getenv("PGTARGETSESSIONATTRS"))
}

// classifyReplication adds what only a connection for replication is refused for.
func (t Target) classifyReplication(err error) error {
	fail := func(kind error, format string, args ...any) error {
		return &reason{kind: kind, text: "connect to " + t.String() + " for replication: " + fmt.Sprintf(format, args...), cause: err}
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		switch message := pgErr.Message; {
		case strings.Contains(message, "pg_hba.conf"):
			return fail(ErrNoHBAEntry, "%s; add a line to pg_hba.conf (the word all does not include replication) and reload: host replication %s <this machine's address>/32 scram-sha-256", message, t.User)
		case strings.Contains(message, "max_wal_senders"):
			return fail(ErrTooManyConns, "%s; raise max_wal_senders (a receiver and a base backup need one each) and restart the server", message)
		case pgErr.Code == "42501":
			return fail(ErrNoReplication, "%s; ALTER ROLE %s REPLICATION", message, quoteIdent(t.User))
		}
	}
	return t.classify(err)
}
