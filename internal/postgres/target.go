package postgres

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// applicationName is what the server shows in pg_stat_activity and its log.
const applicationName = "pgbackup"

// Target is one database of one server and how to log in. It is a value: the
// With methods return changed copies. It prints without its password.
type Target struct {
	Host     string // name, address, or the directory of a Unix socket
	Port     uint16
	User     string
	Database string

	config  *pgx.ConnConfig   // as pgx resolved it: URI, environment, service and password file
	params  map[string]string // of the connection string, for child programs
	several bool              // hosts are named, and each connection may reach another
	private bool              // nothing of the environment leads elsewhere
}

// ParseTarget reads a libpq connection URI or "key=value …" string. What it does
// not name comes from the PG* environment variables, the service file and
// ~/.pgpass, as in psql. "" takes all of it from there. Errors never contain the
// string.
func ParseTarget(conninfo string) (Target, error) {
	config, err := pgx.ParseConfig(conninfo)
	if err != nil {
		return Target{}, fmt.Errorf("connection string: %s", parseReason(err))
	}
	params, err := conninfoParams(conninfo)
	if err != nil {
		return Target{}, err
	}
	if err := serviceParams(params); err != nil {
		return Target{}, err
	}
	if params["sslpassword"] != "" {
		return Target{}, errors.New("connection string: sslpassword can not be handed to pg_dump without showing it in the process list; use a client key without a passphrase, readable by its owner only")
	}
	t := Target{Host: config.Host, Port: config.Port, User: config.User, Database: config.Database, config: config, params: params}
	if t.Database == "" {
		t.Database = t.User // libpq's default
		config.Database = t.User
	}
	for _, f := range config.Fallbacks {
		if f.Host != config.Host || f.Port != config.Port {
			t.several = true
		}
	}
	return t, nil
}

// parseReason is why a connection string was refused, without any of the string.
func parseReason(err error) string {
	var bad *url.Error
	if errors.As(err, &bad) {
		if strings.Contains(bad.Err.Error(), "invalid userinfo") || strings.Contains(bad.Err.Error(), "invalid port") {
			return "the user, password or port has a character that must be percent-encoded (@ is %40, / is %2F, : is %3A)"
		}
		return "it is not a valid URI"
	}
	inner := errors.Unwrap(err)
	if inner == nil {
		return "it is neither a postgres:// URI nor key=value pairs"
	}
	switch text := inner.Error(); {
	case strings.Contains(text, "invalid port"):
		return "the port is not a number from 1 to 65535"
	case strings.Contains(text, "sslmode"), strings.Contains(text, "certificate"), strings.Contains(text, "CA "), strings.Contains(text, "service"):
		return text // these name a setting or a file
	}
	return "it is neither a valid postgres:// URI nor key=value pairs"
}

// WithDatabase is the same login to another database of the server.
func (t Target) WithDatabase(name string) Target {
	t.Database = name
	if t.config != nil {
		t.config = t.config.Copy()
		t.config.Database = name
	}
	return t
}

// WithPassword is the same target with another password.
func (t Target) WithPassword(password string) Target {
	if t.config != nil {
		t.config = t.config.Copy()
		t.config.Password = password
	}
	return t
}

// OneServer holds that every connection, and every client program, reaches the
// same server.
func (t Target) OneServer() error {
	if t.several {
		return fmt.Errorf("%w: the connection string names several hosts, and each connection and pg_dump or pg_restore could reach another: name one", ErrSeveralHosts)
	}
	return nil
}

// String is user@host:port/database, for messages.
func (t Target) String() string {
	return t.User + "@" + t.address() + "/" + t.Database
}

// GoString keeps the password out of %#v.
func (t Target) GoString() string { return "postgres.Target(" + t.String() + ")" }

func (t Target) address() string {
	if strings.HasPrefix(t.Host, "/") {
		return t.Host
	}
	return net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port)))
}

// envOf maps connection parameters to the environment variables libpq reads.
var envOf = map[string]string{
	"sslmode": "PGSSLMODE", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY", "sslrootcert": "PGSSLROOTCERT", "sslcrl": "PGSSLCRL",
	"sslcrldir": "PGSSLCRLDIR", "sslsni": "PGSSLSNI", "sslnegotiation": "PGSSLNEGOTIATION", "sslcertmode": "PGSSLCERTMODE",
	"ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION", "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
	"gssencmode": "PGGSSENCMODE", "krbsrvname": "PGKRBSRVNAME", "channel_binding": "PGCHANNELBINDING", "require_auth": "PGREQUIREAUTH",
	"requirepeer": "PGREQUIREPEER", "passfile": "PGPASSFILE",
	"target_session_attrs": "PGTARGETSESSIONATTRS",
}

// Env is the environment for PostgreSQL's client programs: this process's, with
// everything that decides where and how they log in. The password is in here and
// never in an argument, which every user of the machine can read. serverMajor
// decides which timeouts can be named.
func (t Target) Env(serverMajor int) []string {
	set := map[string]string{
		"PGHOST": t.Host, "PGPORT": strconv.Itoa(int(t.Port)), "PGUSER": t.User, "PGDATABASE": t.Database,
		"PGAPPNAME": applicationName,
		"PGTZ":      "UTC", // timestamptz in COPY text depends on it
		"PGOPTIONS": strings.TrimSpace(t.params["options"] + " " + sessionOptions(serverMajor)),
		"LC_ALL":    "C", // messages that can be recognised
	}
	for param, value := range t.params {
		if name := envOf[param]; name != "" {
			set[name] = value
		}
	}
	if t.config != nil && t.config.Password != "" {
		set["PGPASSWORD"] = t.config.Password
	}
	timeout := 15 * time.Second
	if t.config != nil && t.config.ConnectTimeout > 0 {
		timeout = t.config.ConnectTimeout
	}
	set["PGCONNECT_TIMEOUT"] = strconv.Itoa(max(2, int(timeout/time.Second)))
	env := slices.DeleteFunc(os.Environ(), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		_, ours := set[name]
		// The encoding is the dump's to choose.
		return ours || elsewhere[name] || t.private && strings.HasPrefix(name, "PG") || name == "PGCLIENTENCODING" || name == "PGDATESTYLE" || name == "LANGUAGE" || notTheirs(name)
	})
	for name, value := range set {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return env
}

// elsewhere are the variables that beat PGHOST and PGPORT in libpq, whatever the
// connection string said. What a service gave is in the others by now.
var elsewhere = map[string]bool{"PGHOSTADDR": true, "PGSERVICE": true, "PGSERVICEFILE": true, "PGSYSCONFDIR": true}

// sessionTimeouts are the timeouts that could end a dump, by the first major
// that has them. Administrators set them for roles and databases; what the
// connection itself asks for wins.
var sessionTimeouts = []struct {
	name  string
	major int
}{
	{"statement_timeout", 0}, {"lock_timeout", 0}, {"idle_in_transaction_session_timeout", 0}, {"idle_session_timeout", 14}, {"transaction_timeout", 17},
}

func sessionOptions(serverMajor int) string {
	var b strings.Builder
	for _, s := range sessionTimeouts {
		if serverMajor >= s.major {
			b.WriteString("-c " + s.name + "=0 ")
		}
	}
	// pg_dump does not set it, and it decides the text of bytea columns.
	b.WriteString("-c bytea_output=hex")
	return b.String()
}

// childConninfo is what a client program is told in its arguments: the database,
// which a service file could otherwise override, and keepalives, which have no
// environment variables. No secret is in it.
func (t Target) childConninfo() string {
	return t.databaseArgument() + " keepalives=1 keepalives_idle=30 keepalives_interval=10 keepalives_count=6"
}

// databaseArgument names the database to programs that take a connection string in
// its place, and a name such as a=b for one.
func (t Target) databaseArgument() string {
	return "dbname='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(t.Database) + "'"
}

// conninfoParams are the parameters written in a connection string.
func conninfoParams(conninfo string) (map[string]string, error) {
	params := map[string]string{}
	if strings.HasPrefix(conninfo, "postgres://") || strings.HasPrefix(conninfo, "postgresql://") {
		u, err := url.Parse(conninfo)
		if err != nil {
			return nil, fmt.Errorf("connection string: %s", parseReason(err))
		}
		for name, values := range u.Query() {
			params[name] = values[len(values)-1]
		}
		delete(params, "password")
		return params, nil
	}
	for rest := strings.TrimLeft(conninfo, " \t\n"); rest != ""; rest = strings.TrimLeft(rest, " \t\n") {
		name, after, ok := strings.Cut(rest, "=")
		if !ok {
			return nil, errors.New("connection string: it is neither a postgres:// URI nor key=value pairs")
		}
		var value string
		value, rest = conninfoValue(strings.TrimLeft(after, " \t\n"))
		params[strings.TrimSpace(name)] = value
	}
	delete(params, "password")
	return params, nil
}

// conninfoValue takes one value, quoted or not, off the front of s.
func conninfoValue(s string) (value, rest string) {
	var b strings.Builder
	quoted := strings.HasPrefix(s, "'")
	i := 0
	if quoted {
		i = 1
	}
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case quoted && c == '\'':
			return b.String(), s[i+1:]
		case !quoted && strings.IndexByte(" \t\n", c) >= 0:
			return b.String(), s[i:]
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}

// quoteIdent quotes a name for SQL.
func quoteIdent(names ...string) string { return pgx.Identifier(names).Sanitize() }

// QuoteLiteral quotes a text for SQL, whatever standard_conforming_strings is.
func QuoteLiteral(s string) string {
	s = strings.ReplaceAll(s, "'", "''")
	if strings.Contains(s, `\`) {
		return "E'" + strings.ReplaceAll(s, `\`, `\\`) + "'"
	}
	return "'" + s + "'"
}

// sqlState is the five-character code of a server's error, or "".
func sqlState(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	return ""
}
