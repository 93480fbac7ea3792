package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Reasons a server can not be used, for errors.Is. The text of what is returned
// is one line with the fix.
var (
	ErrBadPassword   = errors.New("login refused")
	ErrUnreachable   = errors.New("server unreachable")
	ErrNoDatabase    = errors.New("no such database")
	ErrNoHBAEntry    = errors.New("not admitted by pg_hba.conf")
	ErrTLS           = errors.New("TLS mismatch")
	ErrTooManyConns  = errors.New("too many connections")
	ErrStartingUp    = errors.New("server not ready")
	ErrPooler        = errors.New("a connection pooler is in between")
	ErrLockTimeout   = errors.New("a table is locked")
	ErrLockTableFull = errors.New("the server's lock table is too small")
	ErrNoMatch       = errors.New("a pattern matches nothing")
	ErrSeveralHosts  = errors.New("several servers")
	ErrUnstable      = errors.New("tables keep being created or dropped")
)

// reason joins a reason for errors.Is with the line that is shown.
type reason struct {
	kind  error
	text  string
	cause error
}

func (r *reason) Error() string   { return r.text }
func (r *reason) Unwrap() []error { return []error{r.kind, r.cause} }

// Connect opens a session whose timeouts are switched off, whatever is set for
// the role or the database.
func (t Target) Connect(ctx context.Context) (*pgx.Conn, error) {
	if t.config == nil {
		return nil, errors.New("connect: the target was not made by ParseTarget")
	}
	config := t.config.Copy()
	patient(&config.Config)
	config.RuntimeParams["timezone"] = "UTC"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, t.classify(err)
	}
	if _, err := conn.PgConn().Exec(ctx, timeoutsOff(serverMajor(conn))).ReadAll(); err != nil {
		_ = conn.Close(ctx)
		return nil, fmt.Errorf("prepare the session on %s: %w", t, err)
	}
	return conn, nil
}

// patient readies a connection that is meant to live long: it takes a bounded time to
// come about, and says who we are.
func patient(config *pgconn.Config) {
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 15 * time.Second
	}
	dialer := &net.Dialer{
		Timeout: config.ConnectTimeout,
		// A firewall that forgets the idle connection that holds the snapshot, or a stream
		// that says nothing for long, must be noticed.
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 6},
	}
	config.DialFunc = dialer.DialContext
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = applicationName
	}
	config.OnNotice = nil
}

// timeoutsOff switches every timeout off for the session.
func timeoutsOff(major int) string {
	var b strings.Builder
	for _, s := range sessionTimeouts {
		if major >= s.major {
			b.WriteString("SET " + s.name + " = 0; ")
		}
	}
	return b.String()
}

// serverMajor is ServerMajor where 0 will do for a version not understood.
func serverMajor(conn *pgx.Conn) int {
	major, _ := ServerMajor(conn)
	return major
}

func leadingInt(s string) int {
	end := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(s)
	}
	n, _ := strconv.Atoi(s[:end]) // "" gives 0
	return n
}

// classify turns a failed connection into one line that says what to do.
func (t Target) classify(err error) error {
	fail := func(kind error, format string, args ...any) error {
		return &reason{kind: kind, text: "connect to " + t.String() + ": " + fmt.Sprintf(format, args...), cause: err}
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return t.classifyServer(pgErr, fail)
	}
	text := err.Error()
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("connect to %s: %w", t, context.Canceled)
	case errors.As(err, &dns):
		return fail(ErrUnreachable, "the host name %q is not known; check the spelling and the resolver of this machine", dns.Name)
	case strings.Contains(text, "server refused TLS"):
		return fail(ErrTLS, "the server offers no TLS; switch it on there (ssl = on) or, on a trusted network, use sslmode=prefer")
	case strings.Contains(text, "certificate"), strings.Contains(text, "x509"), strings.Contains(text, "tls:"):
		return fail(ErrTLS, "the server's certificate was not accepted (%s); check sslrootcert and that the host name is the certificate's", lastPart(text))
	case strings.Contains(text, "refused"):
		return fail(ErrUnreachable, "nothing listens at %s; check host and port, that the server runs, and its listen_addresses", t.address())
	case strings.Contains(text, "no such file"):
		return fail(ErrUnreachable, "there is no server socket in %s; check that the server runs there", t.Host)
	case errors.Is(err, context.DeadlineExceeded), strings.Contains(text, "timeout"), strings.Contains(text, "timed out"):
		return fail(ErrUnreachable, "no answer in time; check host, port, firewall and security group")
	}
	return fail(ErrUnreachable, "%s", lastPart(text))
}

func (t Target) classifyServer(pgErr *pgconn.PgError, fail func(error, string, ...any) error) error {
	switch message := pgErr.Message; {
	case strings.Contains(message, "no pg_hba.conf entry") && strings.Contains(message, "no encryption"):
		return fail(ErrNoHBAEntry, "the server admits user %s from here only with TLS or not at all; use sslmode=require, or add a line to pg_hba.conf: host %s %s <this machine's address>/32 scram-sha-256", t.User, t.Database, t.User)
	case strings.Contains(message, "pg_hba.conf"):
		return fail(ErrNoHBAEntry, "%s; add a line to pg_hba.conf: host %s %s <this machine's address>/32 scram-sha-256", message, t.Database, t.User)
	case pgErr.Code == "28P01", pgErr.Code == "28000":
		return fail(ErrBadPassword, "%s; check the user and the password (PGPASSWORD, ~/.pgpass or password_ref)", message)
	case pgErr.Code == "3D000":
		return fail(ErrNoDatabase, "%s; psql -l lists those that do", message)
	case pgErr.Code == "53300":
		return fail(ErrTooManyConns, "%s; raise max_connections or the role's CONNECTION LIMIT (a backup needs 2), or end idle sessions", message)
	case pgErr.Code == "57P03":
		return fail(ErrStartingUp, "%s; try again when it is up", message)
	case strings.Contains(message, "unsupported startup parameter"):
		return fail(ErrPooler, "%s: this is a connection pooler; connect to the server itself", message)
	case pgErr.Code == "42501":
		return fail(ErrBadPassword, "%s; GRANT CONNECT ON DATABASE %s TO %s", message, quoteIdent(t.Database), quoteIdent(t.User))
	default:
		return fail(ErrUnreachable, "%s (SQLSTATE %s)", message, pgErr.Code)
	}
}

// lastPart is the innermost message of a chain joined with ": ".
func lastPart(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.LastIndexByte(s, '\n'); i >= 0 {
		s = strings.TrimSpace(s[i+1:])
	}
	if i := strings.LastIndex(s, "): "); i >= 0 {
		s = s[i+3:]
	}
	return s
}

// refusePooler compares the process id told at connection with the session's own:
// a pooler invents the first, and may give each transaction another session.
func refusePooler(ctx context.Context, t Target, conn *pgx.Conn) error {
	var pid uint32
	if err := conn.QueryRow(ctx, "SELECT pg_catalog.pg_backend_pid()").Scan(&pid); err != nil {
		return fmt.Errorf("look for a pooler at %s: %w", t, err)
	}
	if pid != conn.PgConn().PID() {
		return &reason{kind: ErrPooler, text: fmt.Sprintf("connect to %s: a connection pooler is in between (it says process %d, the server %d): a snapshot needs a session of its own; connect to the server itself, with PgBouncer usually port 5432 instead of 6432", t, conn.PgConn().PID(), pid)}
	}
	return nil
}
