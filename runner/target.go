package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

// defaultPort of PostgreSQL, left out of source names.
const defaultPort = 5432

// server is where to connect, and which databases there are meant.
type server struct {
	postgres.Target
	// one: the connection string names the one database that is meant.
	one bool
	// databases of the job; empty with one == false means every one.
	databases []string
}

// server finds out where PostgreSQL is: --database, then DATABASE_URL, then the
// job, then libpq's own variables.
func (a *app) server(ctx context.Context) (server, error) {
	if conninfo := a.flags.database; conninfo != "" {
		t, err := postgres.ParseTarget(conninfo)
		if err != nil {
			return server{}, usagef("--database: %w", err)
		}
		if hasPassword(conninfo) {
			a.warn("the password in --database can be read by every user of this machine while the program runs; put it into PGPASSWORD, DATABASE_URL or ~/.pgpass")
		}
		return server{Target: t, one: true}, nil
	}
	named, ok := a.jobServer()
	if conninfo := os.Getenv(envDatabase); conninfo != "" {
		t, err := postgres.ParseTarget(conninfo)
		if err != nil {
			return server{}, usagef("%s: %w", envDatabase, err)
		}
		if ok {
			a.log.Warn("the database is taken from "+envDatabase+", not from the job file; unset the variable if that is not meant",
				"used", t.String(), "in_the_job", named.String())
		}
		return server{Target: t, one: true}, nil
	}
	if ok {
		return a.connectTo(ctx, named)
	}
	for _, name := range []string{"PGHOST", "PGDATABASE", "PGSERVICE"} {
		if os.Getenv(name) != "" {
			t, err := postgres.ParseTarget("")
			if err != nil {
				return server{}, usagef("PG… environment variables: %w", err)
			}
			return server{Target: t, one: true}, nil
		}
	}
	return server{}, usagef("no database is named: give --database postgres://user@host/name, a --job file, or set %s", envDatabase)
}

// jobServer is what a job of any kind says about a server.
type jobServer struct {
	field     string // of the job, for messages
	server    job.Server
	url       secretref.Ref
	databases []string // of a logical job; empty is every one
	all       bool     // the job is of databases
}

// jobServer finds what the job says about a server, false when nothing.
func (a *app) jobServer() (jobServer, bool) {
	if a.job == nil {
		return jobServer{}, false
	}
	switch j := a.job; {
	case j.Logical != nil:
		return jobServer{"job.logical", j.Logical.Server, j.Logical.DatabaseURLRef, j.Logical.Databases, true}, true
	case j.Physical != nil:
		return jobServer{"job.physical", j.Physical.Server, j.Physical.DatabaseURLRef, nil, false}, true
	case j.WAL != nil:
		return jobServer{"job.wal", j.WAL.Server, j.WAL.DatabaseURLRef, nil, false}, true
	case j.Globals != nil:
		return jobServer{"job.globals", j.Globals.Server, j.Globals.DatabaseURLRef, nil, false}, true
	case j.Config != nil && j.Config.Directory == "" && j.Config.RDSInstance == "" && j.Config.RDSCluster == "":
		return jobServer{"job.config", j.Config.Server, j.Config.DatabaseURLRef, nil, false}, true
	}
	return jobServer{}, false
}

// String says in a few words what a job would back up.
func (s jobServer) String() string {
	switch {
	case !s.url.IsZero():
		return "the database at " + s.url.String()
	case !s.all:
		return "server " + s.server.Host
	case len(s.databases) == 0:
		return "all databases of " + s.server.Host
	}
	return strings.Join(s.databases, ", ") + " of " + s.server.Host
}

// connectTo reads the secrets of what a job says.
func (a *app) connectTo(ctx context.Context, s jobServer) (server, error) {
	if !s.url.IsZero() {
		conninfo, err := a.secrets().Resolve(ctx, s.url)
		if err != nil {
			return server{}, usagef("%s.database_url_ref: %w", s.field, err)
		}
		t, err := postgres.ParseTarget(string(conninfo))
		if err != nil {
			return server{}, usagef("%s.database_url_ref: %w", s.field, err)
		}
		return server{Target: t, one: true}, nil
	}
	if ref := s.server.SSLRootCertRef; !ref.IsZero() {
		file, err := a.scratchFile(ctx, ref)
		if err != nil {
			return server{}, usagef("%s.server.sslrootcert_ref: %w", s.field, err)
		}
		s.server.SSLRootCert = file
	}
	t, err := postgres.ParseTarget(conninfo(s.server))
	if err != nil {
		return server{}, usagef("%s.server: %w", s.field, err)
	}
	if !s.server.PasswordRef.IsZero() {
		password, err := a.secrets().Resolve(ctx, s.server.PasswordRef)
		if err != nil {
			return server{}, usagef("%s.server.password_ref: %w", s.field, err)
		}
		t = t.WithPassword(string(password))
	}
	return server{Target: t, databases: s.databases}, nil
}

// conninfo writes a job's server as libpq reads it.
func conninfo(s job.Server) string {
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	var parts []string
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+"='"+quote.Replace(value)+"'")
		}
	}
	add("host", s.Host)
	if s.Port != 0 {
		add("port", strconv.Itoa(s.Port))
	}
	add("user", s.User)
	add("sslmode", s.SSLMode)
	add("sslrootcert", s.SSLRootCert)
	add("sslcert", s.SSLCert)
	add("sslkey", s.SSLKey)
	maintenance := s.MaintenanceDatabase
	if maintenance == "" {
		maintenance = "postgres"
	}
	add("dbname", maintenance)
	return strings.Join(parts, " ")
}

// hasPassword tells whether a connection string carries a password.
func hasPassword(conninfo string) bool {
	if u, err := url.Parse(conninfo); err == nil && u.Scheme != "" {
		_, set := u.User.Password()
		return set || u.Query().Has("password")
	}
	return strings.Contains(strings.ReplaceAll(conninfo, " ", ""), "password=")
}

// dump is one database to back up, and the name of its source.
type dump struct {
	target postgres.Target
	source string
}

// dumps lists the databases to back up. A connection string means one database,
// whose source may be named freely; a job's list, and all databases, make one
// source each: <database>@<source>. Where they are all that the server has, every is
// what the names of their sources end with.
func (a *app) dumps(ctx context.Context, all bool) (list []dump, every string, err error) {
	s, err := a.server(ctx)
	if err != nil {
		return nil, "", err
	}
	name := a.sourceName("")
	if s.one && !all {
		if name == "" {
			name = s.Database + "@" + hostName(s.Target)
		}
		return []dump{{s.Target, name}}, "", nil
	}
	if name == "" {
		name = hostName(s.Target)
	}
	databases := s.databases
	if len(databases) == 0 || all {
		every = "@" + name
		if databases, err = postgres.ListDatabases(ctx, s.Target); err != nil {
			return nil, "", err
		}
	}
	for _, db := range databases {
		list = append(list, dump{s.WithDatabase(db), db + "@" + name})
	}
	return list, every, nil
}

// hostName names a server in a source's name: its host, with the port where it
// is not the usual one; for a local socket the name of this machine.
func hostName(t postgres.Target) string {
	host := t.Host
	if strings.HasPrefix(host, "/") || host == "" {
		if h, err := os.Hostname(); err == nil {
			host = h
		}
	}
	if t.Port != defaultPort && t.Port != 0 {
		return fmt.Sprintf("%s-%d", host, t.Port)
	}
	return host
}
